package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// holder is a hand-written client with a key. Its proofs can be made wrong.
type holder struct {
	t   *testing.T
	p   *Provider
	key *ecdsa.PrivateKey
	// edit changes the claims of the next proof, and sign changes its signature and header.
	edit func(claims map[string]any)
	sign func(*jose.SigningKey, *jose.SignerOptions)
}

func newHolder(t *testing.T, opts ...Option) *holder {
	t.Helper()
	p := New(t, append(opts, BoundTokens(), RefreshTokens(), WithClient(Client{ID: "rp", Auth: "none", RedirectURIs: []string{testRedirect}}))...)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &holder{t: t, p: p, key: key}
}

func (h *holder) jkt() string {
	h.t.Helper()
	sum, err := (&jose.JSONWebKey{Key: &h.key.PublicKey}).Thumbprint(crypto.SHA256)
	if err != nil {
		h.t.Fatal(err)
	}
	return b64(sum)
}

// proof returns a proof for a request.
func (h *holder) proof(method, address, nonce, token string) string {
	h.t.Helper()
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": address, "iat": time.Now().Unix()}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = b64(sum[:])
	}
	if h.edit != nil {
		h.edit(claims)
	}
	key, options := jose.SigningKey{Algorithm: jose.ES256, Key: h.key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	if h.sign != nil {
		h.sign(&key, options)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		h.t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		h.t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		h.t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		h.t.Fatal(err)
	}
	return compact
}

// send makes a request with the given headers, and returns the response and its JSON
// members.
func (h *holder) send(method, address, form string, header http.Header) (*http.Response, map[string]any) {
	h.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(form))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header = header
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := h.p.HTTPClient()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	var members map[string]any
	_ = json.Unmarshal(body, &members)
	return response, members
}

// code makes an authorization request whose dpop_jkt is jkt, if that is not empty.
func (h *holder) code(jkt string) (code, verifier string) {
	h.t.Helper()
	verifier = rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {"rp"}, "redirect_uri": {testRedirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {rand.Text()},
		"nonce": {rand.Text()}, "code_challenge": {b64(sum[:])}, "code_challenge_method": {"S256"},
	}
	if jkt != "" {
		q.Set("dpop_jkt", jkt)
	}
	response, _ := h.send("GET", h.p.URL(Authorize)+"?"+q.Encode(), "", http.Header{})
	back, err := response.Location()
	if err != nil {
		h.t.Fatal(err)
	}
	return back.Query().Get("code"), verifier
}

// trade redeems a code with the given proofs.
func (h *holder) trade(code, verifier string, proofs ...string) (*http.Response, map[string]any) {
	h.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {testRedirect}, "client_id": {"rp"}}
	return h.send("POST", h.p.URL(Token), form.Encode(), http.Header{"Dpop": proofs})
}

func TestProofsAreChecked(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(*holder) {
		return func(h *holder) { h.edit = func(claims map[string]any) { claims[name] = value } }
	}
	for _, row := range []struct {
		name   string
		change func(*holder)
		good   bool
	}{
		{"an honest one", func(*holder) {}, true},
		{"another method", set("htm", "GET"), false},
		{"another address", set("htu", "https://op.test/other"), false},
		{"an address with a query", func(h *holder) { set("htu", h.p.URL(Token)+"?a=b")(h) }, false},
		{"an old one", set("iat", time.Now().Add(-5*time.Minute).Unix()), false},
		{"one of the future", set("iat", time.Now().Add(5*time.Minute).Unix()), false},
		{"no time", func(h *holder) { h.edit = func(claims map[string]any) { delete(claims, "iat") } }, false},
		{"no id", set("jti", ""), false},
		{"the hash of a token that is not there", set("ath", "x"), false},
		{"a nonce that was never given", set("nonce", "x"), false},
		{"a member that is unknown", set("sub", "x"), false},
		{"another type", func(h *holder) {
			h.sign = func(_ *jose.SigningKey, o *jose.SignerOptions) { o.WithType("JWT") }
		}, false},
		{"no key", func(h *holder) { h.sign = func(_ *jose.SigningKey, o *jose.SignerOptions) { o.EmbedJWK = false } }, false},
		{"a private key", func(h *holder) {
			h.sign = func(_ *jose.SigningKey, o *jose.SignerOptions) {
				o.EmbedJWK = false
				o.WithHeader("jwk", jose.JSONWebKey{Key: h.key})
			}
		}, false},
		{"another key in it", func(h *holder) {
			other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			h.sign = func(_ *jose.SigningKey, o *jose.SignerOptions) {
				o.EmbedJWK = false
				o.WithHeader("jwk", jose.JSONWebKey{Key: &other.PublicKey})
			}
		}, false},
		{"a secret as key", func(h *holder) {
			h.sign = func(k *jose.SigningKey, o *jose.SignerOptions) {
				k.Algorithm, k.Key, o.EmbedJWK = jose.HS256, make([]byte, 32), false
			}
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := newHolder(t)
			code, verifier := h.code(h.jkt())
			row.change(h)
			response, _ := h.trade(code, verifier, h.proof("POST", h.p.URL(Token), "", ""))
			if (response.StatusCode == http.StatusOK) != row.good {
				t.Errorf("expected a good answer %t, seen status %d", row.good, response.StatusCode)
			}
			if !row.good {
				expect(t, h.p, "DP")
			}
		})
	}
}

func TestKeysAreChecked(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		ask  func(h *holder)
	}{
		{"no proof", func(h *holder) { h.trade(h.code(h.jkt())) }},
		{"two proofs", func(h *holder) {
			code, verifier := h.code(h.jkt())
			h.trade(code, verifier, h.proof("POST", h.p.URL(Token), "", ""), h.proof("POST", h.p.URL(Token), "", ""))
		}},
		{"no dpop_jkt", func(h *holder) {
			code, verifier := h.code("")
			h.trade(code, verifier, h.proof("POST", h.p.URL(Token), "", ""))
		}},
		{"another key in dpop_jkt", func(h *holder) {
			code, verifier := h.code(b64(make([]byte, 32)))
			h.trade(code, verifier, h.proof("POST", h.p.URL(Token), "", ""))
		}},
		{"a proof twice", func(h *holder) {
			proof := h.proof("POST", h.p.URL(Token), "", "")
			code, verifier := h.code(h.jkt())
			h.trade(code, verifier, proof)
			code, verifier = h.code(h.jkt())
			h.trade(code, verifier, proof)
		}},
		{"another key at a refresh", func(h *holder) {
			code, verifier := h.code(h.jkt())
			_, tokens := h.trade(code, verifier, h.proof("POST", h.p.URL(Token), "", ""))
			h.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}, "client_id": {"rp"}}
			h.send("POST", h.p.URL(Token), form.Encode(), http.Header{"Dpop": {h.proof("POST", h.p.URL(Token), "", "")}})
		}},
		{"a bound token as a bearer token", func(h *holder) {
			code, verifier := h.code(h.jkt())
			_, tokens := h.trade(code, verifier, h.proof("POST", h.p.URL(Token), "", ""))
			h.send("GET", h.p.URL(UserInfo), "", http.Header{"Authorization": {"Bearer " + tokens["access_token"].(string)}})
		}},
		{"a token without its hash", func(h *holder) {
			code, verifier := h.code(h.jkt())
			_, tokens := h.trade(code, verifier, h.proof("POST", h.p.URL(Token), "", ""))
			h.send("GET", h.p.URL(UserInfo), "", http.Header{"Authorization": {"DPoP " + tokens["access_token"].(string)}, "Dpop": {h.proof("GET", h.p.URL(UserInfo), "", "")}})
		}},
		{"a token with a proof of another key", func(h *holder) {
			code, verifier := h.code(h.jkt())
			_, tokens := h.trade(code, verifier, h.proof("POST", h.p.URL(Token), "", ""))
			h.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			token := tokens["access_token"].(string)
			h.send("GET", h.p.URL(UserInfo), "", http.Header{"Authorization": {"DPoP " + token}, "Dpop": {h.proof("GET", h.p.URL(UserInfo), "", token)}})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := newHolder(t)
			row.ask(h)
			expect(t, h.p, "DP")
		})
	}
}

// Each proof needs a nonce of its endpoint, and each response contains the next one.
func TestNoncesAreWanted(t *testing.T) {
	t.Parallel()
	h := newHolder(t, ProofNonces())
	code, verifier := h.code(h.jkt())
	nonce := ""
	for i, want := range []int{http.StatusBadRequest, http.StatusOK} {
		response, members := h.trade(code, verifier, h.proof("POST", h.p.URL(Token), nonce, ""))
		if response.StatusCode != want {
			t.Fatalf("request %d: expected status %d, seen %d", i+1, want, response.StatusCode)
		}
		if i == 0 && members["error"] != "use_dpop_nonce" {
			t.Errorf("expected use_dpop_nonce, seen %v", members["error"])
		}
		if nonce = response.Header.Get("DPoP-Nonce"); nonce == "" {
			t.Fatalf("request %d: expected a nonce, seen none", i+1)
		}
		if i == 1 {
			token := members["access_token"].(string)
			response, _ := h.send("GET", h.p.URL(UserInfo), "", http.Header{"Authorization": {"DPoP " + token}, "Dpop": {h.proof("GET", h.p.URL(UserInfo), nonce, token)}})
			if challenge := response.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="use_dpop_nonce"`) {
				t.Errorf("expected another nonce to be wanted at userinfo, seen %q", challenge)
			}
		}
	}
}

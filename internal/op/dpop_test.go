package op

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const dpopRedirect = "https://rp.example/code"

// bound is a client whose tokens are bound to a key, with its own provider.
type bound struct {
	*Client
	t  *testing.T
	op *oidctest.Provider
}

// newBound returns a client with a mode, and a provider with the given options.
func newBound(t *testing.T, mode DPoPMode, options ...oidctest.Option) *bound {
	t.Helper()
	op := oidctest.New(t, options...)
	op.Register(dpopRedirect)
	client := guardedClient(t, op, nil, nil)
	client.DPoP = DPoP{Mode: mode, Alg: dpop.ES256}
	return &bound{client, t, op}
}

// login makes a login and returns its tokens.
func (b *bound) login() (Tokens, error) {
	b.t.Helper()
	key, err := b.LoginKey(b.t.Context(), false)
	if err != nil {
		return Tokens{}, err
	}
	return b.loginWith(key)
}

// loginWith makes a login whose tokens are bound to key, if it is not nil.
func (b *bound) loginWith(key *dpop.Key) (Tokens, error) {
	b.t.Helper()
	secret := func() string { return strings.ReplaceAll(fmt.Sprintf("%43d", time.Now().UnixNano()), " ", "x") }
	login := Login{State: "state-" + secret(), Nonce: secret(), Verifier: secret(), RedirectURI: dpopRedirect, Key: key}
	address, err := b.AuthorizationURL(b.t.Context(), login, url.Values{"scope": {"openid offline_access"}})
	if err != nil {
		return Tokens{}, err
	}
	browser := b.op.HTTPClient()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := browser.Get(address)
	if err != nil {
		b.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	back, err := response.Location()
	if err != nil {
		b.t.Fatalf("the authorization endpoint answers with status %d: %v", response.StatusCode, err)
	}
	return b.Exchange(b.t.Context(), back.Query().Get("code"), login)
}

// userinfo makes a userinfo request.
func (b *bound) userinfo(tokens Tokens) error {
	b.t.Helper()
	_, err := b.Userinfo(b.t.Context(), tokens.Access(), b.op.Issued().Subject)
	return err
}

// expectHits checks the number of requests to endpoints.
func (b *bound) expectHits(hits map[oidctest.Endpoint]int) {
	b.t.Helper()
	for endpoint, want := range hits {
		if seen := b.op.Hits(endpoint); seen != want {
			b.t.Errorf("expected %d requests to the %s endpoint, seen %d", want, endpoint, seen)
		}
	}
}

func good(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("expected no error, seen %v", err)
	}
}

// A login, userinfo requests and refreshes with bound tokens, for each kind of provider.
// oidctest checks each proof, that none is used twice, and that the key stays the same.
func TestBoundTokens(t *testing.T) {
	t.Parallel()
	jwt := oidctest.Client{ID: "rp", Secret: "a-secret-of-the-test-client-of-32-bytes", Auth: "client_secret_jwt", RedirectURIs: []string{dpopRedirect}}
	for _, tc := range []struct {
		name    string
		mode    DPoPMode
		options []oidctest.Option
		change  func(*bound)
		lie     func(*oidctest.Faults)
		hits    map[oidctest.Endpoint]int
	}{
		{name: "where the provider requires it", mode: DPoPOn, options: []oidctest.Option{oidctest.BoundTokens()},
			hits: map[oidctest.Endpoint]int{oidctest.Token: 2, oidctest.UserInfo: 2}},
		{name: "where the provider offers it", mode: DPoPAuto, options: []oidctest.Option{oidctest.DPoP()},
			hits: map[oidctest.Endpoint]int{oidctest.Token: 2, oidctest.UserInfo: 2}},
		{name: "by EdDSA", mode: DPoPOn, options: []oidctest.Option{oidctest.BoundTokens()}, change: func(b *bound) { b.DPoP.Alg = dpop.EdDSA },
			hits: map[oidctest.Endpoint]int{oidctest.Token: 2, oidctest.UserInfo: 2}},
		{name: "with pushed requests", mode: DPoPOn, options: []oidctest.Option{oidctest.BoundTokens(), oidctest.PushedRequests()},
			hits: map[oidctest.Endpoint]int{oidctest.PushedRequest: 1, oidctest.Token: 2, oidctest.UserInfo: 2}},
		// The first proof at each endpoint lacks a nonce. Each response contains the next
		// nonce, even a successful one.
		{name: "with nonces", mode: DPoPOn, options: []oidctest.Option{oidctest.BoundTokens(), oidctest.PushedRequests(), oidctest.ProofNonces()},
			hits: map[oidctest.Endpoint]int{oidctest.PushedRequest: 2, oidctest.Token: 3, oidctest.UserInfo: 3}},
		{name: "with nonces and assertions, none of which comes twice", mode: DPoPOn,
			options: []oidctest.Option{oidctest.BoundTokens(), oidctest.PushedRequests(), oidctest.ProofNonces(), oidctest.WithClient(jwt)},
			change:  func(b *bound) { b.Secret = func() (string, error) { return jwt.Secret, nil } },
			hits:    map[oidctest.Endpoint]int{oidctest.PushedRequest: 2, oidctest.Token: 3, oidctest.UserInfo: 3}},
		{name: "with userinfo by POST", mode: DPoPOn, options: []oidctest.Option{oidctest.BoundTokens(), oidctest.ProofNonces()}, change: func(b *bound) { b.UserinfoByPost = true },
			hits: map[oidctest.Endpoint]int{oidctest.Token: 3, oidctest.UserInfo: 3}},
		{name: "where endpoints have a query", mode: DPoPOn, options: []oidctest.Option{oidctest.BoundTokens(), oidctest.EndpointQuery("tenant=a")},
			hits: map[oidctest.Endpoint]int{oidctest.Token: 2, oidctest.UserInfo: 2}},
		{name: "with another case of the token type", mode: DPoPOn, options: []oidctest.Option{oidctest.BoundTokens()},
			lie:  func(l *oidctest.Faults) { l.Token = func(r map[string]any) { r["token_type"] = "dPOP" } },
			hits: map[oidctest.Endpoint]int{oidctest.Token: 2, oidctest.UserInfo: 2}},
		{name: "with another case of the challenge", mode: DPoPOn, options: []oidctest.Option{oidctest.BoundTokens(), oidctest.ProofNonces()},
			lie: func(l *oidctest.Faults) {
				l.DPoP.Challenge = func(challenge string) string {
					return `Bearer realm="x", ` + strings.NewReplacer("DPoP", "dPoP", "error=", "ERROR = ").Replace(challenge)
				}
			},
			hits: map[oidctest.Endpoint]int{oidctest.Token: 3, oidctest.UserInfo: 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBound(t, tc.mode, append(tc.options, oidctest.RefreshTokens())...)
			if tc.change != nil {
				tc.change(b)
			}
			if tc.lie != nil {
				b.op.Lie(tc.lie)
			}
			tokens, err := b.login()
			good(t, err)
			if tokens.Key == nil {
				t.Fatal("expected a bound token, seen a bearer token")
			}
			if tokens.NotBearer != nil {
				t.Errorf("expected a token that can be used, seen %v", tokens.NotBearer)
			}
			good(t, b.userinfo(tokens))
			refreshed, err := b.Refresh(t.Context(), tokens.RefreshToken, tokens.Key)
			good(t, err)
			if refreshed.Key != tokens.Key {
				t.Errorf("expected the key to stay, seen %v", refreshed.Key)
			}
			good(t, b.userinfo(refreshed))
			b.expectHits(tc.hits)
		})
	}
}

// Tokens are bearer tokens if DPoP is not to be used.
func TestBearerTokens(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		mode   DPoPMode
		passed bool // an application gets the token
		option []oidctest.Option
		lie    func(*oidctest.Faults)
	}{
		{name: "off", mode: DPoPOff, option: []oidctest.Option{oidctest.DPoP()}},
		{name: "auto at a provider without it", mode: DPoPAuto},
		{name: "auto where an application gets the token", mode: DPoPAuto, passed: true, option: []oidctest.Option{oidctest.DPoP()}},
		{name: "auto at a provider with other algorithms", mode: DPoPAuto, option: []oidctest.Option{oidctest.DPoP()},
			lie: func(l *oidctest.Faults) {
				l.Discovery = func(m map[string]any) { m["dpop_signing_alg_values_supported"] = []string{"PS256"} }
			}},
		{name: "auto, and the provider gives a bearer token all the same", mode: DPoPAuto, option: []oidctest.Option{oidctest.DPoP()},
			lie: func(l *oidctest.Faults) { l.DPoP.Bearer = true }},
		{name: "auto, and its type has another case", mode: DPoPAuto, option: []oidctest.Option{oidctest.DPoP()},
			lie: func(l *oidctest.Faults) {
				l.DPoP.Bearer, l.Token = true, func(r map[string]any) { r["token_type"] = "bEARER" }
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBound(t, tc.mode, append(tc.option, oidctest.RefreshTokens())...)
			if tc.lie != nil {
				b.op.Lie(tc.lie)
			}
			key, err := b.LoginKey(t.Context(), tc.passed)
			good(t, err)
			tokens, err := b.loginWith(key)
			good(t, err)
			if tokens.Key != nil {
				t.Errorf("expected a bearer token, seen the key %v", tokens.Key)
			}
			good(t, b.userinfo(tokens))
			refreshed, err := b.Refresh(t.Context(), tokens.RefreshToken, tokens.Key)
			good(t, err)
			good(t, b.userinfo(refreshed))
		})
	}
}

// A provider may bind only the refresh token of a public client, and issue bearer access
// tokens (RFC 9449, section 5). The key is needed for all further refreshes, even after the
// refresh token has been rotated.
func TestARefreshTokenCanBeBoundAlone(t *testing.T) {
	t.Parallel()
	b := newBound(t, DPoPAuto, oidctest.DPoP(), oidctest.RefreshTokens())
	b.op.Lie(func(l *oidctest.Faults) { l.DPoP.BearerAccess = true })
	tokens, err := b.login()
	good(t, err)
	key := tokens.RefreshKey
	for range 2 {
		if tokens.Key != nil {
			t.Errorf("expected a bearer token, seen the key %v", tokens.Key)
		}
		good(t, b.userinfo(tokens))
		tokens, err = b.Refresh(t.Context(), tokens.RefreshToken, tokens.RefreshKey)
		good(t, err)
		if tokens.RefreshKey != key {
			t.Errorf("expected the key to stay, seen %v", tokens.RefreshKey)
		}
	}
}

// With dpop on, bearer tokens are never accepted. The error says what is wrong.
func TestDPoPIsNotDowngraded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		option []oidctest.Option
		lie    func(*oidctest.Faults)
		want   string
	}{
		{"the metadata lists nothing", nil, nil, "dpop is on, and the provider does not offer DPoP: its metadata has no dpop_signing_alg_values_supported"},
		{"the metadata lists other algorithms", []oidctest.Option{oidctest.DPoP()}, func(l *oidctest.Faults) {
			l.Discovery = func(m map[string]any) { m["dpop_signing_alg_values_supported"] = []string{"PS256", "EdDSA"} }
		}, "dpop is on, and the provider does not offer proofs by ES256, but PS256, EdDSA; set alg in dpop { }"},
		{"a bearer token", []oidctest.Option{oidctest.DPoP()}, func(l *oidctest.Faults) { l.DPoP.Bearer = true },
			"the provider gave a Bearer token where dpop is on"},
		{"a token of another type", []oidctest.Option{oidctest.DPoP()}, func(l *oidctest.Faults) { l.Token = func(r map[string]any) { r["token_type"] = "N_A" } },
			`has the token_type "N_A", not Bearer where dpop is on`},
		{"a token without a type", []oidctest.Option{oidctest.DPoP()}, func(l *oidctest.Faults) { l.Token = func(r map[string]any) { delete(r, "token_type") } },
			"has the token_type (absent), not Bearer where dpop is on"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBound(t, DPoPOn, tc.option...)
			if tc.lie != nil {
				b.op.Lie(tc.lie)
			}
			_, err := b.login()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("expected %q, seen %v", tc.want, err)
			}
		})
	}
}

// A malformed list of proof algorithms prevents logins only if DPoP is required.
func TestAListForProofsThatIsNone(t *testing.T) {
	t.Parallel()
	for mode, want := range map[DPoPMode]string{DPoPOff: "", DPoPAuto: "", DPoPOn: "the provider does not offer DPoP"} {
		b := newBound(t, mode)
		b.op.Lie(func(l *oidctest.Faults) {
			l.Discovery = func(m map[string]any) { m["dpop_signing_alg_values_supported"] = "ES256" }
		})
		if _, err := b.login(); !failsWith(err, want) {
			t.Errorf("mode %d: expected the error %q, seen %v", mode, want, err)
		}
	}
}

// With dpop on, a refresh that returns a bearer token is refused as well.
func TestDPoPIsNotDowngradedByARefresh(t *testing.T) {
	t.Parallel()
	b := newBound(t, DPoPOn, oidctest.DPoP(), oidctest.RefreshTokens())
	tokens, err := b.login()
	good(t, err)
	b.op.Lie(func(l *oidctest.Faults) { l.DPoP.Bearer = true })
	_, err = b.Refresh(t.Context(), tokens.RefreshToken, tokens.Key)
	var failed *RefreshError
	if !errors.As(err, &failed) || failed.Over || failed.Down {
		t.Errorf("expected an error that is neither an end nor an outage, seen %#v", failed)
	}
	if !errors.Is(err, errNotBound) {
		t.Errorf("expected that dpop is on, seen %v", err)
	}
}

// Sessions that began before dpop was on get a key at their next refresh.
func TestWhatBeganBeforeGetsAKey(t *testing.T) {
	t.Parallel()
	b := newBound(t, DPoPOff, oidctest.DPoP(), oidctest.RefreshTokens())
	tokens, err := b.login()
	good(t, err)
	b.DPoP.Mode = DPoPOn
	refreshed, err := b.Refresh(t.Context(), tokens.RefreshToken, tokens.Key)
	good(t, err)
	if refreshed.Key == nil {
		t.Error("expected a bound token, seen a bearer token")
	}
	good(t, b.userinfo(refreshed))
}

// Without discovery, the offers of the provider are unknown: on uses DPoP, and auto does
// not.
func TestDPoPWithoutDiscovery(t *testing.T) {
	t.Parallel()
	for mode, want := range map[DPoPMode]bool{DPoPOn: true, DPoPAuto: false, DPoPOff: false} {
		op := oidctest.New(t, oidctest.DPoP())
		client := guardedClient(t, op, nil, func(c *DiscoveryConfig) {
			c.Endpoints = Endpoints{Authorization: op.URL(oidctest.Authorize), Token: op.URL(oidctest.Token), JWKS: op.URL(oidctest.JWKS)}
		})
		client.DPoP = DPoP{Mode: mode, Alg: dpop.ES256}
		key, err := client.LoginKey(t.Context(), false)
		good(t, err)
		if (key != nil) != want {
			t.Errorf("mode %d: expected a key %t, seen %v", mode, want, key)
		}
	}
}

// If a provider refuses its own nonce, the request is sent twice, and no more.
func TestANonceIsTriedOnce(t *testing.T) {
	t.Parallel()
	const advice = "(it wants a nonce in the DPoP proof, and does not take the one that it gave)"
	for _, tc := range []struct {
		at   oidctest.Endpoint
		hits map[oidctest.Endpoint]int
	}{
		{oidctest.PushedRequest, map[oidctest.Endpoint]int{oidctest.PushedRequest: 2, oidctest.Token: 0}},
		{oidctest.Token, map[oidctest.Endpoint]int{oidctest.PushedRequest: 2, oidctest.Token: 2, oidctest.UserInfo: 0}},
		{oidctest.UserInfo, map[oidctest.Endpoint]int{oidctest.Token: 2, oidctest.UserInfo: 2}},
	} {
		t.Run(tc.at.String(), func(t *testing.T) {
			t.Parallel()
			b := newBound(t, DPoPOn, oidctest.BoundTokens(), oidctest.PushedRequests(), oidctest.ProofNonces())
			b.op.Lie(func(l *oidctest.Faults) { l.DPoP.Unsatisfied[tc.at] = true })
			tokens, err := b.login()
			if err == nil {
				err = b.userinfo(tokens)
			}
			if err == nil || !strings.Contains(err.Error(), advice) {
				t.Errorf("expected %q, seen %v", advice, err)
			}
			b.expectHits(tc.hits)
			var refused *Refusal
			if !errors.As(err, &refused) || refused.Code != dpop.UseNonce {
				t.Errorf("expected the code %s, seen %+v", dpop.UseNonce, refused)
			}
			if IsTokenRefused(err) {
				t.Error("expected that this says nothing of the access token, seen that it does")
			}
		})
	}
}

// A refusal without a usable nonce is not retried.
func TestARefusalWithoutANonce(t *testing.T) {
	t.Parallel()
	for name, nonce := range map[string]string{"none": "", "one with a space": "a b", "one that is too long": strings.Repeat("n", 2000)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBound(t, DPoPOn, oidctest.BoundTokens(), oidctest.ProofNonces())
			b.op.Lie(func(l *oidctest.Faults) { l.DPoP.Nonce = func(string) string { return nonce } })
			if _, err := b.login(); err == nil || !strings.Contains(err.Error(), dpop.UseNonce) {
				t.Errorf("expected the error %s, seen %v", dpop.UseNonce, err)
			}
			b.expectHits(map[oidctest.Endpoint]int{oidctest.Token: 1})
		})
	}
}

// A repeated request uses the nonce from its own refusal, even if another login has
// received one meanwhile: a provider may issue nonces for one key, or for one use.
func TestANonceIsThatOfTheRefusal(t *testing.T) {
	t.Parallel()
	var login func() error
	var began atomic.Bool
	op := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.Header.Get("DPoP"), ".")
		claims, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Error(err)
		}
		nonce := fmt.Sprintf("%x", sha256.Sum256([]byte(parts[0]))) // for this key
		if strings.Contains(string(claims), nonce) {
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprint(w, `{"request_uri":"urn:example:1","expires_in":60}`)
			return
		}
		w.Header().Set("DPoP-Nonce", nonce)
		w.WriteHeader(http.StatusBadRequest)
		_ = http.NewResponseController(w).Flush()
		if !began.Swap(true) { // another login, before the refusal is complete
			if err := login(); err != nil {
				t.Errorf("another login: expected no error, seen %v", err)
			}
		}
		_, _ = fmt.Fprint(w, `{"error":"use_dpop_nonce"}`)
	}))
	t.Cleanup(op.Close)
	c := tokenClient(t)
	c.DPoP = DPoP{Mode: DPoPOn, Alg: dpop.ES256}
	c.Discovery = NewDiscovery(DiscoveryConfig{
		Issuer: "https://op.example", JWKS: keySetOf(member(t, "p256", "")), Timeout: 10 * time.Second, Now: time.Now,
		Endpoints: Endpoints{Authorization: "https://op.example/a", Token: "https://op.example/t", Pushed: op.URL},
	})
	t.Cleanup(c.Discovery.Close)
	login = func() error {
		key, err := c.LoginKey(t.Context(), false)
		if err != nil {
			return err
		}
		_, err = c.AuthorizationURL(t.Context(), Login{State: "s", Nonce: "n", Verifier: "v", RedirectURI: dpopRedirect, Key: key}, nil)
		return err
	}
	good(t, login())
}

// A nonce that the provider has forgotten costs one extra request.
func TestANonceThatIsTooOld(t *testing.T) {
	t.Parallel()
	b := newBound(t, DPoPOn, oidctest.BoundTokens(), oidctest.ProofNonces(), oidctest.RefreshTokens())
	tokens, err := b.login()
	good(t, err)
	good(t, b.userinfo(tokens))
	b.op.ForgetNonces()
	refreshed, err := b.Refresh(t.Context(), tokens.RefreshToken, tokens.Key)
	good(t, err)
	good(t, b.userinfo(refreshed))
	b.expectHits(map[oidctest.Endpoint]int{oidctest.Token: 4, oidctest.UserInfo: 4})
}

// If a proof is refused for another reason than its nonce, the error says what to check,
// and the request is not repeated.
func TestAProofThatIsRefused(t *testing.T) {
	t.Parallel()
	for _, at := range []oidctest.Endpoint{oidctest.PushedRequest, oidctest.Token, oidctest.UserInfo} {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			b := newBound(t, DPoPOn, oidctest.BoundTokens(), oidctest.PushedRequests())
			b.op.Lie(func(l *oidctest.Faults) { l.DPoP.Refused[at] = true })
			tokens, err := b.login()
			if err == nil {
				err = b.userinfo(tokens)
			}
			want := "(it refuses the DPoP proof: compare the clocks here and there, and " + b.op.URL(at) + " with the address that the provider sees behind its proxies)"
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("expected %q, seen %v", want, err)
			}
			b.expectHits(map[oidctest.Endpoint]int{at: 1})
			if IsTokenRefused(err) {
				t.Error("expected that this says nothing of the access token, seen that it does")
			}
		})
	}
}

// The same error at a refresh neither ends the session nor counts as an outage.
func TestAProofThatIsRefusedAtARefresh(t *testing.T) {
	t.Parallel()
	b := newBound(t, DPoPOn, oidctest.BoundTokens(), oidctest.RefreshTokens())
	tokens, err := b.login()
	good(t, err)
	b.op.Lie(func(l *oidctest.Faults) { l.DPoP.Refused[oidctest.Token] = true })
	_, err = b.Refresh(t.Context(), tokens.RefreshToken, tokens.Key)
	var failed *RefreshError
	if !errors.As(err, &failed) || failed.Over || failed.Down {
		t.Errorf("expected an error that is neither an end nor an outage, seen %#v", failed)
	}
	if err == nil || !strings.Contains(err.Error(), "compare the clocks") {
		t.Errorf("expected advice, seen %v", err)
	}
}

// Each login has its own key, or all logins of this process at the provider share one.
func TestKeysOfLogins(t *testing.T) {
	t.Parallel()
	b := newBound(t, DPoPOn, oidctest.BoundTokens())
	key := func(c *Client) *dpop.Key {
		t.Helper()
		key, err := c.LoginKey(context.Background(), false)
		good(t, err)
		return key
	}
	if one, another := key(b.Client), key(b.Client); one.Thumbprint() == another.Thumbprint() {
		t.Error("expected a key for each login, seen one for two")
	}
	b.DPoP.PerProcess = true
	reloaded := *b.Client
	if one, another := key(b.Client), key(&reloaded); one.Thumbprint() != another.Thumbprint() {
		t.Error("expected one key for all logins, also after a reload, seen two")
	}
	reloaded.DPoP.Alg = dpop.EdDSA
	if one, another := key(b.Client), key(&reloaded); one.Thumbprint() == another.Thumbprint() {
		t.Error("expected a key for each algorithm, seen one for two")
	}
}

// The description of a refusal does not contain a proof that the provider repeats in it.
func TestAProofIsNotRepeated(t *testing.T) {
	t.Parallel()
	b := newBound(t, DPoPOn, oidctest.BoundTokens())
	var proof string
	b.op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Token).Instead = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			proof = r.Header.Get("DPoP")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"error":"invalid_dpop_proof","error_description":"no: %s"}`, proof)
		})
	})
	_, err := b.login()
	var refused *Refusal
	if !errors.As(err, &refused) {
		t.Fatalf("expected a refusal, seen %v", err)
	}
	if proof == "" || strings.Contains(refused.Description, proof[:40]) {
		t.Errorf("expected no part of the proof, seen %q", refused.Description)
	}
}

package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// requestClaims returns the claims of an honest request object.
func requestClaims(p *Provider) map[string]any {
	now := time.Now().Unix()
	challenge := sha256.Sum256([]byte(rand.Text()))
	return map[string]any{
		"iss": "rp", "aud": p.Issuer(), "iat": now, "nbf": now, "exp": now + 300, "jti": rand.Text(),
		"client_id": "rp", "response_type": "code", "scope": "openid", "redirect_uri": testRedirect,
		"state": rand.Text(), "nonce": rand.Text(), "code_challenge": b64(challenge[:]), "code_challenge_method": "S256",
		"max_age": 3600, "claims": map[string]any{"id_token": map[string]any{"email": nil}},
	}
}

func signRequest(t *testing.T, key any, typ string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	object, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// TestRequestObjectViolations checks that each wrong member is a violation.
func TestRequestObjectViolations(t *testing.T) {
	t.Parallel()
	const typ = "oauth-authz-req+jwt"
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	with := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	without := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	in := func(name string, d time.Duration) func(map[string]any) { return with(name, time.Now().Add(d).Unix()) }
	for _, row := range []struct {
		name    string
		change  func(map[string]any)
		outside url.Values
		typ     string
		key     any
		options []Option
		stops   bool
	}{
		{"no typ of its own", nil, nil, "JWT", key, nil, false},
		{"another key", nil, nil, typ, other, nil, true},
		{"another iss", with("iss", "another"), nil, typ, key, nil, true},
		{"another client_id", with("client_id", "another"), nil, typ, key, nil, true},
		{"another aud", with("aud", "https://another.test"), nil, typ, key, nil, true},
		{"a list as aud", func(c map[string]any) { c["aud"] = []any{c["aud"]} }, nil, typ, key, nil, true},
		{"no exp", without("exp"), nil, typ, key, nil, true},
		{"an exp that is past", in("exp", -time.Second), nil, typ, key, nil, true},
		{"an exp that is far ahead", in("exp", time.Hour), nil, typ, key, nil, true},
		{"no nbf", without("nbf"), nil, typ, key, nil, true},
		{"an nbf to come", in("nbf", time.Minute), nil, typ, key, nil, true},
		{"no iat", without("iat"), nil, typ, key, nil, true},
		{"no jti", without("jti"), nil, typ, key, nil, true},
		{"a short jti", with("jti", "x"), nil, typ, key, nil, true},
		{"claims as a text", with("claims", "{}"), nil, typ, key, nil, false},
		{"max_age as a text", with("max_age", "3600"), nil, typ, key, nil, false},
		{"a secret inside", with("client_secret", "x"), nil, typ, key, nil, false},
		{"a sub", with("sub", "rp"), nil, typ, key, nil, false},
		{"a request inside", with("request", "x"), nil, typ, key, nil, true},
		{"a parameter outside", nil, url.Values{"state": {"x"}}, typ, key, nil, false},
		{"another scope outside", nil, url.Values{"scope": {"openid email"}}, typ, key, nil, false},
		{"no object", nil, url.Values{"request": nil}, typ, key, []Option{RequireRequestObjects()}, true},
		{"an object that is not encrypted", nil, nil, typ, key, []Option{RequireEncryptedRequestObjects()}, true},
		{"garbage", nil, url.Values{"request": {"x"}}, typ, key, nil, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := New(t, append(row.options, RequestObjects(), Lenient())...)
			p.SetClient(func(c *Client) { c.RequestKey = key.Public() })
			p.Register(testRedirect)
			claims := requestClaims(p)
			if row.change != nil {
				row.change(claims)
			}
			q := url.Values{"client_id": {"rp"}, "response_type": {"code"}, "scope": {"openid"}, "request": {signRequest(t, row.key, row.typ, claims)}}
			maps.Copy(q, row.outside)
			maps.DeleteFunc(q, func(_ string, values []string) bool { return values == nil })
			response, err := p.HTTPClient().Get(p.URL(Authorize) + "?" + q.Encode())
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if stops := response.StatusCode == http.StatusBadRequest; stops != row.stops {
				t.Errorf("expected that it stops the request: %t, seen status %d", row.stops, response.StatusCode)
			}
			if seen := p.TakeViolations(); !slices.ContainsFunc(seen, func(v string) bool { return strings.HasPrefix(v, "JAR: ") }) {
				t.Errorf("expected a violation of JAR, seen %q", seen)
			}
		})
	}
}

func TestHonestRequestObjects(t *testing.T) {
	t.Parallel()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for _, encrypted := range []bool{false, true} {
		p := New(t, RequestObjects(), SignedResponses())
		p.SetClient(func(c *Client) { c.RequestKey = key.Public() })
		p.Register(testRedirect)
		claims := requestClaims(p)
		claims["response_mode"], claims["resource"] = "jwt", []string{"https://a.example", "https://b.example"}
		object := signRequest(t, key, "oauth-authz-req+jwt", claims)
		if encrypted {
			recipient := jose.Recipient{Algorithm: jose.ECDH_ES, Key: privateKey("P-256", encKey).Public(), KeyID: "enc-p-256"}
			jwe := must(must(jose.NewEncrypter(jose.A256GCM, recipient, (&jose.EncrypterOptions{}).WithContentType("JWT"))).Encrypt([]byte(object)))
			object = must(jwe.CompactSerialize())
		}
		q := url.Values{"client_id": {"rp"}, "response_type": {"code"}, "scope": {"openid"}, "request": {object}}
		response, err := newReference(p).http.Get(p.URL(Authorize) + "?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		location, err := response.Location()
		if err != nil {
			t.Fatal(err)
		}
		// The response is a JWT signed by the provider, and the only parameter.
		sent := location.Query()
		jws, err := jose.ParseSignedCompact(sent.Get("response"), []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		payload, err := jws.Verify(p.key("RSA", 0).Public())
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal(payload, &members); err != nil {
			t.Fatal(err)
		}
		if members["state"] != claims["state"] || members["iss"] != p.Issuer() {
			t.Errorf("expected the state and the issuer in the response, seen %v", members)
		}
		if sent.Has("code") || sent.Has("state") {
			t.Errorf("expected nothing plain beside the response, seen %v", sent)
		}
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

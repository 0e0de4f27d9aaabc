package integration_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// inForm reports whether a request carries each of the parameters.
func inForm(r oidctest.Request, names ...string) (there []bool) {
	for _, name := range names {
		there = append(there, r.Form.Has(name))
	}
	return there
}

// The provider verifies each method: anything but the agreed one is a violation.
func TestEveryMethodOfClientAuthentication(t *testing.T) {
	t.Parallel()
	ec, rsaKey := ecKey(), must(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwks := must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: rsaKey, KeyID: "ps", Algorithm: "PS512", Use: "sig"}}}))
	for _, tc := range []struct {
		name   string
		client oidctest.Client
		lines  string
	}{
		{"client_secret_basic", oidctest.Client{Auth: "client_secret_basic", Secret: longSecret}, "client_secret " + longSecret},
		{"client_secret_post", oidctest.Client{Auth: "client_secret_post", Secret: longSecret}, "client_secret " + longSecret},
		{"client_secret_jwt", oidctest.Client{Auth: "client_secret_jwt", Secret: longSecret}, `
			client_secret ` + longSecret + `
			client_auth client_secret_jwt
		`},
		{"client_secret_jwt, since nothing else is offered", oidctest.Client{Auth: "client_secret_jwt", Secret: longSecret}, "client_secret " + longSecret},
		{"private_key_jwt with an EC key", oidctest.Client{Auth: "private_key_jwt", Key: ec.Public()}, "client_auth private_key_jwt " + keyFile(t, ec)},
		{"private_key_jwt with an RSA key", oidctest.Client{Auth: "private_key_jwt", Key: rsaKey.Public()}, "client_auth private_key_jwt " + keyFile(t, rsaKey)},
		{"private_key_jwt with an Ed25519 key", oidctest.Client{Auth: "private_key_jwt", Key: ed.Public()}, "client_auth private_key_jwt " + keyFile(t, ed)},
		{"private_key_jwt with a key from a placeholder", oidctest.Client{Auth: "private_key_jwt", Key: ec.Public()}, "client_auth private_key_jwt {file." + keyFile(t, ec) + "}"},
		{"private_key_jwt with a key set", oidctest.Client{Auth: "private_key_jwt", Key: rsaKey.Public()}, "client_auth private_key_jwt " + fileOf(t, jwks)},
		{"private_key_jwt with another key beside it", oidctest.Client{Auth: "private_key_jwt", Key: ec.Public()}, "client_auth private_key_jwt " + keyFile(t, ec) + " " + keyFile(t, ed)},
	} {
		for _, pushed := range []bool{false, true} {
			t.Run(tc.name+map[bool]string{false: " at the token endpoint", true: " at the endpoint for pushed requests"}[pushed], func(t *testing.T) {
				t.Parallel()
				client := tc.client // a copy: the other subtest of the row runs at the same time
				client.ID = "rp"
				opts := []oidctest.Option{oidctest.WithClient(client)}
				if pushed {
					opts = append(opts, oidctest.PushedRequests())
				}
				op := newOP(t, opts...)
				r := provesAs(t, op, tc.lines)
				for range 2 { // each login needs a new assertion
					check(required{t}, r.browser().open("/page")).body("application sees alice")
				}
				asserts := strings.HasSuffix(tc.client.Auth, "_jwt")
				want := []bool{tc.client.Auth == "client_secret_post", asserts, asserts}
				for _, e := range []oidctest.Endpoint{oidctest.Token, oidctest.PushedRequest} {
					if e == oidctest.PushedRequest && !pushed {
						continue
					}
					last := op.Last(e)
					list(t, fmt.Sprintf("%s: secret and assertion", e), inForm(last, "client_secret", "client_assertion", "client_assertion_type"), want...)
					equal(t, fmt.Sprintf("%s: Authorization there", e), last.Header.Get("Authorization") != "", tc.client.Auth == "client_secret_basic")
				}
				for _, canary := range op.Canaries() {
					if strings.Contains(r.logs(), canary) {
						t.Errorf("the log holds %q", canary)
					}
				}
			})
		}
	}
}

// Only the first of two keys signs, so a provider that knows only the second one refuses.
func TestTheSecondKeyDoesNotSign(t *testing.T) {
	t.Parallel()
	first, second := ecKey(), ecKey()
	op := newOP(t, oidctest.WithClient(oidctest.Client{ID: "rp", Auth: "private_key_jwt", Key: second.Public()}))
	r := provesAs(t, op, "client_auth private_key_jwt "+keyFile(t, first)+" "+keyFile(t, second))
	check(t, r.browser().open("/page")).status(http.StatusForbidden)
	logs := r.logs()
	contains(t, "the log", logs, "token_exchange_failed")
	contains(t, "the log", logs, "authenticated with private_key_jwt")
	op.TakeViolations()
}

func TestAssertionsForTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	key := ecKey()
	op := newOP(t, oidctest.WithClient(oidctest.Client{ID: "rp", Auth: "private_key_jwt", Key: key.Public()}))
	r := provesAs(t, op, `
client_auth private_key_jwt `+keyFile(t, key)+` {
	audience token_endpoint
}
`)
	r.browser().open("/page")
	got := op.TakeViolations()
	atLeast(required{t}, "the number of violations", len(got), 1)
	contains(required{t}, "the first violation", got[0], "aud is not the issuer")
	jws, err := jose.ParseSignedCompact(op.Last(oidctest.Token).Form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Aud string }
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims); err != nil {
		t.Fatal(err)
	}
	equal(t, "Aud", claims.Aud, op.URL(oidctest.Token))
}

func TestOurKeysArePublished(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	rsaKey, ec := must(rsa.GenerateKey(rand.Reader, 2048)), ecKey()
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	jwk := must(json.Marshal(jose.JSONWebKey{Key: ed, KeyID: "next"}))
	r := provesAs(t, op, "client_auth private_key_jwt "+strings.Join([]string{keyFile(t, rsaKey), keyFile(t, ec), fileOf(t, jwk)}, " "))
	p := r.browser().send(http.MethodGet, "/@app/auth/default/jwks", map[string]string{"Accept": "application/json"})
	check(required{t}, p).status(http.StatusOK).header("Content-Type", "application/json").header("Cache-Control", "no-store")
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(p.body), &set); err != nil {
		t.Fatal(err)
	}
	equal(required{t}, "the number of Keys", len(set.Keys), 3)
	public := []string{"kty", "kid", "use", "alg", "crv", "n", "e", "x", "y"}
	for i, key := range set.Keys {
		for name := range maps.Keys(key) {
			if !slices.Contains(public, name) {
				t.Errorf("key %d has the member %s", i, name)
			}
		}
		equal(t, "use", key["use"], "sig")
		differs(t, "kid", key["kid"], "")
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(p.body), &keys); err != nil {
		t.Fatal(err)
	}
	for i, want := range []interface{ Equal(crypto.PublicKey) bool }{&rsaKey.PublicKey, ec.Public().(*ecdsa.PublicKey), ed.Public().(ed25519.PublicKey)} {
		if !want.Equal(keys.Keys[i].Key) {
			t.Errorf("key %d is another", i)
		}
	}
	if keys.Keys[2].KeyID != "next" {
		t.Errorf("kid %q", keys.Keys[2].KeyID)
	}
	check(t, r.browser().send(http.MethodPost, "/@app/auth/default/jwks", nil), "POST").status(http.StatusMethodNotAllowed)
}

func TestNoKeysNoKeySet(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	check(t, newHarness(t, `
oidc_rp {
	`+options(op)+`
}
`).browser().get("/@app/auth/default/jwks")).status(http.StatusNotFound)
}

// With mutual TLS, mtls_endpoint_aliases are the endpoints of the whole back channel.
func TestMutualTLSUsesTheAliases(t *testing.T) {
	t.Parallel()
	for name, aliases := range map[string]bool{"without aliases": false, "with aliases": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der, certificate, key := selfSigned(t)
			op := newOP(t, oidctest.TLS(), oidctest.PushedRequests(), oidctest.WithClient(oidctest.Client{ID: "rp", Auth: "tls_client_auth", Certificate: der}))
			if aliases {
				op.Lie(func(l *oidctest.Faults) {
					l.Discovery = func(m map[string]any) {
						moved := map[string]any{}
						for _, name := range []string{"token_endpoint", "userinfo_endpoint", "pushed_authorization_request_endpoint"} {
							moved[name] = m[name]
							m[name] = op.Issuer() + "/trap" // a request to this address is a violation
						}
						m["mtls_endpoint_aliases"] = moved
					}
				})
			}
			r := provesAs(t, op, fmt.Sprintf(`
client_auth tls_client_auth %s %s
userinfo always
tls {
	ca %s
}
`, certificate, key, op.CAFile()))
			check(required{t}, r.browser().open("/page")).body("application sees alice")
			for _, e := range []oidctest.Endpoint{oidctest.Token, oidctest.UserInfo, oidctest.PushedRequest} {
				if op.Hits(e) != 1 {
					t.Errorf("%s was asked %d times", e, op.Hits(e))
				}
			}
			var keys jose.JSONWebKeySet
			p := r.browser().get("/@app/auth/default/jwks")
			succeeds(required{t}, "the published keys", json.Unmarshal([]byte(p.body), &keys))
			equal(required{t}, "the number of Keys", len(keys.Keys), 1)
			equal(t, "the key is public", keys.Keys[0].IsPublic(), true)
			equal(t, "the key has the certificate", bytes.Equal(keys.Keys[0].Certificates[0].Raw, der), true)
			form := op.Last(oidctest.Token).Form
			equal(t, "client_id", form.Get("client_id"), "rp")
			equal(t, "the presence of client_secret", form.Has("client_secret"), false)
			equal(t, "the presence of client_assertion", form.Has("client_assertion"), false)
			equal(t, "Authorization", op.Last(oidctest.Token).Header.Get("Authorization"), "")
		})
	}
}

// A client without a certificate does not use mtls_endpoint_aliases.
func TestOthersLeaveTheAliasesAlone(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) {
		l.Discovery = func(m map[string]any) {
			m["mtls_endpoint_aliases"] = map[string]any{"token_endpoint": op.Issuer() + "/trap"}
		}
	})
	check(t, newHarness(t, `
oidc_rp {
	`+options(op)+`
}
`).browser().open("/page")).body("application sees alice")
}

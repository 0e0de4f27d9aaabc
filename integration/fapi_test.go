package integration_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// fapiVariant is a provider that supports FAPI 2.0, and the options of a site for it.
type fapiVariant struct {
	name    string
	options func(t *testing.T) (ofProvider []oidctest.Option, lines string)
}

// fapiVariants are the two ways to bind access tokens in the profile, each with a client
// authentication.
var fapiVariants = []fapiVariant{
	{"tls_client_auth, tokens bound to the certificate", func(t *testing.T) ([]oidctest.Option, string) {
		der, certificate, key := selfSigned(t)
		return []oidctest.Option{oidctest.TLS(), oidctest.WithClient(oidctest.Client{ID: "rp", Auth: "tls_client_auth", Certificate: der})},
			"client_auth tls_client_auth " + certificate + " " + key
	}},
	{"private_key_jwt, tokens bound by DPoP", func(t *testing.T) ([]oidctest.Option, string) {
		key := ecKey()
		return []oidctest.Option{oidctest.BoundTokens(), oidctest.ProofNonces(), oidctest.WithClient(oidctest.Client{ID: "rp", Auth: "private_key_jwt", Key: key.Public()})},
			"client_auth private_key_jwt " + keyFile(t, key)
	}},
}

// newFAPI returns a provider of a variant, which lists RS256 first, and a site with the profile.
func newFAPI(t *testing.T, v fapiVariant, more ...oidctest.Option) (*harness, *oidctest.Provider) {
	t.Helper()
	opts, lines := v.options(t)
	op := newOP(t, append(append(opts, oidctest.Alg("PS256"), oidctest.PushedRequests()), more...)...)
	op.Lie(listRS256First)
	return provesAs(t, op, lines+`
profile fapi2
userinfo always
tls {
	ca `+op.CAFile()+`
}
`), op
}

// listRS256First makes the metadata offer more than the profile allows.
func listRS256First(l *oidctest.Faults) {
	before := l.Discovery
	l.Discovery = func(m map[string]any) {
		m["id_token_signing_alg_values_supported"] = []string{"RS256", "PS256"}
		m["token_endpoint_auth_signing_alg_values_supported"] = []string{"RS256", "PS256", "ES256"}
		if before != nil {
			before(m)
		}
	}
}

// These are the modules of the plan fapi2-security-profile-final-client-test-plan of the OpenID
// Foundation's suite, each with the provider's lie. An error is detected before the next
// request.
func TestModulesOfTheFAPISecurityProfile(t *testing.T) {
	t.Parallel()
	params := func(edit func(q url.Values)) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) { l.Authorization.Params = edit }
	}
	claims := func(edit func(c map[string]any)) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) { l.IDToken.Claims = edit }
	}
	without := func(name string) func(*oidctest.Faults) {
		return claims(func(c map[string]any) { delete(c, name) })
	}
	suffixed := func(name string) func(*oidctest.Faults) {
		return claims(func(c map[string]any) { c[name] = c[name].(string) + "1" })
	}
	atUserinfo, atToken := []oidctest.Endpoint{oidctest.UserInfo}, []oidctest.Endpoint{oidctest.Token, oidctest.UserInfo}
	for _, module := range []struct {
		name      string
		lie       func(*oidctest.Faults)
		code      errorcode.Code // empty: the user is signed in
		unreached []oidctest.Endpoint
	}{
		{"happy-path", nil, "", nil},
		{"discovery-issuer-mismatch", func(l *oidctest.Faults) {
			l.Discovery = func(m map[string]any) { m["issuer"] = m["issuer"].(string) + "INVALID" }
		}, errorcode.ProviderUnavailable, []oidctest.Endpoint{oidctest.PushedRequest, oidctest.Authorize}},
		{"invalid-iss", suffixed("iss"), errorcode.TokenInvalid, atUserinfo},
		{"invalid-aud", suffixed("aud"), errorcode.TokenInvalid, atUserinfo},
		{"invalid-missing-iss", without("iss"), errorcode.TokenInvalid, atUserinfo},
		{"invalid-missing-aud", without("aud"), errorcode.TokenInvalid, atUserinfo},
		{"invalid-secondary-aud", claims(func(c map[string]any) { c["aud"] = []any{c["aud"], "another"} }), errorcode.TokenInvalid, atUserinfo},
		{"invalid azp", claims(func(c map[string]any) { c["azp"] = "another" }), errorcode.TokenInvalid, atUserinfo},
		{"valid-aud-as-array", claims(func(c map[string]any) { c["aud"] = []any{c["aud"]} }), "", nil},
		{"invalid-null-alg", func(l *oidctest.Faults) { l.IDToken.Alg = "none" }, errorcode.TokenInvalid, atUserinfo},
		{"invalid-alternate-alg", func(l *oidctest.Faults) { l.IDToken.Alg = "RS256" }, errorcode.TokenInvalid, atUserinfo},
		{"invalid-expired-exp", claims(func(c map[string]any) { c["exp"] = c["iat"].(int64) - 330 }), errorcode.TokenInvalid, atUserinfo},
		{"invalid-missing-exp", without("exp"), errorcode.TokenInvalid, atUserinfo},
		{"invalid-nonce", suffixed("nonce"), errorcode.TokenInvalid, atUserinfo},
		{"invalid-missing-nonce", without("nonce"), errorcode.TokenInvalid, atUserinfo},
		{"invalid-authorization-response-iss", params(func(q url.Values) { q.Set("iss", q.Get("iss")+"1") }), errorcode.StateMismatch, atToken},
		{"remove-authorization-response-iss", params(func(q url.Values) { q.Del("iss") }), errorcode.StateMismatch, atToken},
		{"remove-authorization-response-iss, and it was not promised", func(l *oidctest.Faults) {
			params(func(q url.Values) { q.Del("iss") })(l)
			l.Discovery = func(m map[string]any) { delete(m, "authorization_response_iss_parameter_supported") }
		}, errorcode.StateMismatch, atToken},
		{"ensure-authorization-response-with-invalid-state-fails", params(func(q url.Values) { q.Set("state", q.Get("state")+"1") }), errorcode.StateMismatch, atToken},
		{"ensure-authorization-response-with-invalid-missing-state-fails", params(func(q url.Values) { q.Del("state") }), errorcode.BadRequest, atToken},
		{"token-endpoint-response-without-expires_in", func(l *oidctest.Faults) {
			l.Token = func(m map[string]any) { delete(m, "expires_in") }
		}, "", nil},
		{"token-type-case-insensitivity", func(l *oidctest.Faults) {
			l.Token = func(m map[string]any) { m["token_type"] = oddCase(m["token_type"].(string)) }
		}, "", nil},
	} {
		for _, v := range fapiVariants {
			t.Run(module.name+" with "+v.name, func(t *testing.T) {
				t.Parallel()
				r, op := newFAPI(t, v)
				if module.lie != nil {
					op.Lie(module.lie)
					op.Lie(listRS256First)
				}
				w := r.witness(op, rpURL)
				p := w.walk("/page")
				if module.code == "" {
					check(t, p).body("application sees alice")
					atLeast(t, "requests for userinfo", op.Hits(oidctest.UserInfo), 1) // the first may lack a nonce
				} else {
					equal(t, "the error code", shownCode(p), module.code)
					equal(t, "a session was set", w.opened, false)
					equal(t, "requests to the application", r.upstream.count(), 0)
				}
				for _, e := range module.unreached {
					asked(t, op, e, 0)
				}
			})
		}
	}
}

// oddCase changes the case of a word in the way the suite does to test case insensitivity.
func oddCase(word string) string {
	odd := []byte(word)
	for i, c := range odd {
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			odd[i] = c ^ 0x20
		}
	}
	return string(odd)
}

// The provider sees what the profile requires.
func TestWhatALoginWithAProfileSends(t *testing.T) {
	t.Parallel()
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	v := fapiVariant{"", func(t *testing.T) ([]oidctest.Option, string) {
		return []oidctest.Option{oidctest.BoundTokens(), oidctest.WithClient(oidctest.Client{ID: "rp", Auth: "private_key_jwt", Key: key.Public()})},
			"client_auth private_key_jwt " + keyFile(t, crypto.Signer(key))
	}}
	r, op := newFAPI(t, v)
	b := r.browser()
	sent := b.get("/page")
	address := must(url.Parse(sent.location()))
	list(t, "parameters that the browser carries", sortedKeys(address.Query()), "client_id", "request_uri")
	form := op.Last(oidctest.PushedRequest).Form
	equal(t, "code_challenge_method", form.Get("code_challenge_method"), "S256")
	assertion := must(jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.PS256}))
	var statement struct{ Aud json.RawMessage }
	succeeds(t, "the assertion", json.Unmarshal(assertion.UnsafePayloadWithoutVerification(), &statement))
	equal(t, "aud of the assertion", string(statement.Aud), `"`+op.Issuer()+`"`)
	check(t, b.open(sent.location())).body("application sees alice")
	equal(t, "the scheme of the access token", op.Last(oidctest.UserInfo).Header.Get("Authorization")[:5], "DPoP ")
	list(t, "the published keys", publishedAlgs(t, r), "PS256")
}

// publishedAlgs returns the algorithms of the keys at this client's jwks endpoint.
func publishedAlgs(t *testing.T, r *harness) (algs []string) {
	t.Helper()
	var keys jose.JSONWebKeySet
	succeeds(t, "the published keys", json.Unmarshal([]byte(r.browser().get("/@app/auth/default/jwks").body), &keys))
	for _, key := range keys.Keys {
		algs = append(algs, key.Algorithm)
	}
	return algs
}

// Metadata that contradicts the profile is detected before any redirect to the provider, and the
// log says what is missing.
func TestProvidersWithoutWhatAProfileDemands(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(m map[string]any)
		cause  string
	}{
		{"no endpoint for pushed requests", func(m map[string]any) { delete(m, "pushed_authorization_request_endpoint") },
			"the metadata has no pushed_authorization_request_endpoint, and authorization requests must be pushed (FAPI 2.0 Security Profile 5.3.3.2)"},
		{"ID tokens by RS256 alone", func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"RS256"} },
			"id_token_signing_alg_values_supported of the metadata has none of PS256, ES256, EdDSA, Ed25519: it has RS256 (FAPI 2.0 Security Profile 5.4.1)"},
		{"client assertions by another algorithm", func(m map[string]any) {
			m["token_endpoint_auth_signing_alg_values_supported"] = []string{"RS256", "PS256"}
		}, "the first key of client_auth private_key_jwt signs with ES256, and the provider takes PS256 for client assertions (FAPI 2.0 Security Profile 5.4.1)"},
		{"no DPoP", func(m map[string]any) { delete(m, "dpop_signing_alg_values_supported") },
			"dpop is on, and the provider does not offer DPoP"},
		{"an endpoint without TLS", func(m map[string]any) { m["token_endpoint"] = "http://op.example/token" }, "is plain http, which is only for loopback"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, op := newFAPI(t, fapiVariants[1])
			op.Lie(func(l *oidctest.Faults) { l.Discovery = tc.change })
			p := r.browser().get("/page")
			check(t, p).status(http.StatusServiceUnavailable)
			equal(t, "the error code", shownCode(p), errorcode.ProviderUnavailable)
			contains(t, "the log", r.logs(), tc.cause)
			for _, e := range []oidctest.Endpoint{oidctest.PushedRequest, oidctest.Authorize, oidctest.Token} {
				asked(t, op, e, 0)
			}
		})
	}
}

// A bearer token breaks the profile, so the login fails.
func TestABearerTokenWhereAProfileBindsThem(t *testing.T) {
	t.Parallel()
	r, op := newFAPI(t, fapiVariants[1])
	op.Lie(func(l *oidctest.Faults) { l.DPoP.Bearer = true })
	equal(t, "the error code", shownCode(r.browser().open("/page")), errorcode.TokenExchangeFailed)
	contains(t, "the log", r.logs(), "Bearer token where dpop is on")
	asked(t, op, oidctest.UserInfo, 0)
}

// With a client certificate, requests go to mtls_endpoint_aliases and present the certificate
// there, whatever the client authentication (RFC 8705 section 5).
func TestACertificateBesideAKeyIsShownAtTheAliases(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"", "profile fapi2"} {
		key := ecKey()
		der, certificate, privateKey := selfSigned(t)
		op := newOP(t, oidctest.TLS(), oidctest.Alg("ES256"), oidctest.PushedRequests(), oidctest.WithClient(oidctest.Client{ID: "rp", Auth: "private_key_jwt", Key: key.Public()}))
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
		r := provesAs(t, op, `
client_auth private_key_jwt `+keyFile(t, key)+`
userinfo always
`+profile+`
tls {
	ca `+op.CAFile()+`
	client_certificate `+certificate+` `+privateKey+`
}
`)
		check(required{t}, r.browser().open("/page")).body("application sees alice")
		for _, e := range []oidctest.Endpoint{oidctest.PushedRequest, oidctest.Token, oidctest.UserInfo} {
			asked(t, op, e, 1)
			equal(t, "the certificate is shown at "+e.String(), slices.Equal(op.Last(e).Certificate, der), true)
		}
		equal(t, "a proof of DPoP", op.Last(oidctest.Token).Header.Get("DPoP"), "")
	}
}

package integration_test

import (
	"net/url"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// These are the modules about signed responses in the plan
// fapi2-message-signing-final-client-test-plan of the OpenID Foundation's suite. A false
// response never leads to a token request.
func TestMessageSigning(t *testing.T) {
	t.Parallel()
	claims := func(edit func(c map[string]any)) func(*oidctest.AuthorizationLies) {
		return func(l *oidctest.AuthorizationLies) { l.JWT.Claims = edit }
	}
	for _, module := range []struct {
		name string
		lie  func(*oidctest.AuthorizationLies)
		good bool
	}{
		{"happy-path", func(*oidctest.AuthorizationLies) {}, true},
		{"ensure-jarm-without-iss-fails", claims(func(c map[string]any) { delete(c, "iss") }), false},
		{"ensure-jarm-with-invalid-iss-fails", claims(func(c map[string]any) { c["iss"] = c["iss"].(string) + "1" }), false},
		{"ensure-jarm-without-aud-fails", claims(func(c map[string]any) { delete(c, "aud") }), false},
		{"ensure-jarm-with-invalid-aud-fails", claims(func(c map[string]any) { c["aud"] = "another" }), false},
		{"ensure-jarm-without-exp-fails", claims(func(c map[string]any) { delete(c, "exp") }), false},
		{"ensure-jarm-with-expired-exp-fails", claims(func(c map[string]any) { c["exp"] = c["iat"].(int64) - 600 }), false},
		{"ensure-jarm-with-invalid-sig-fails", func(l *oidctest.AuthorizationLies) { l.JWT.Signature = oidctest.SignCorruptly }, false},
		{"ensure-jarm-signature-is-not-none", func(l *oidctest.AuthorizationLies) { l.JWT.Alg = "none" }, false},
		{"an algorithm that the profile does not have", func(l *oidctest.AuthorizationLies) { l.JWT.Alg = "RS256" }, false},
		{"ensure-authorization-response-with-invalid-state-fails", claims(func(c map[string]any) { c["state"] = c["state"].(string) + "1" }), false},
		{"ensure-authorization-response-with-invalid-missing-state-fails", claims(func(c map[string]any) { delete(c, "state") }), false},
		{"a response that is not signed at all", func(l *oidctest.AuthorizationLies) {
			l.Beside = func(sent, plain url.Values) {
				sent.Del("response")
				for name := range plain {
					sent.Set(name, plain.Get(name))
				}
			}
		}, false},
	} {
		for _, v := range fapiVariants {
			t.Run(module.name+" with "+v.name, func(t *testing.T) {
				t.Parallel()
				opts, lines := v.options(t)
				op := newOP(t, append(opts, oidctest.Alg("PS256"), oidctest.PushedRequests(), oidctest.RequireRequestObjects(), oidctest.SignedResponses())...)
				if op.Client().Key == nil { // the client signs requests, but not assertions
					key := ecKey()
					op.SetClient(func(c *oidctest.Client) { c.RequestKey = key.Public() })
					lines += "\nclient_keys " + keyFile(t, key)
				}
				op.Lie(listRS256First)
				op.Lie(func(l *oidctest.Faults) { module.lie(&l.Authorization) })
				r := provesAs(t, op, lines+`
profile fapi2_message_signing
userinfo always
tls {
	ca `+op.CAFile()+`
}
`)
				w := r.witness(op, rpURL)
				p := w.walk("/page")
				for _, name := range []string{"state", "nonce", "redirect_uri", "code_challenge", "response_mode"} {
					equal(t, name+" beside the request object", op.Last(oidctest.PushedRequest).Form.Has(name), false)
				}
				if module.good {
					check(t, p).body("application sees alice")
					return
				}
				equal(t, "a session was set", w.opened, false)
				differs(t, "the error code", shownCode(p), errorcode.Code(""))
				asked(t, op, oidctest.Token, 0)
				equal(t, "requests to the application", r.upstream.count(), 0)
			})
		}
	}
}

package integration_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// Every response of the back channel is read whatever its Content-Type is, and may begin
// with a byte order mark.
//
// See docs/faults.md, row F21.
func TestAnswersAreReadUnderEveryLabel(t *testing.T) {
	t.Parallel()
	for _, label := range []string{
		"application/json", "application/json; charset=windows-1252", "text/plain", "text/html; charset=utf-8", "application/x-www-form-urlencoded", "nonsense", "-",
	} {
		for _, mark := range []string{"", "\ufeff"} {
			t.Run(label+map[bool]string{false: " without a byte order mark", true: " with a byte order mark"}[mark != ""], func(t *testing.T) {
				t.Parallel()
				op := newOP(t, oidctest.PushedRequests())
				r := newHarness(t, protectedBy(op))
				op.Lie(func(l *oidctest.Faults) {
					for _, endpoint := range []oidctest.Endpoint{oidctest.Discovery, oidctest.JWKS, oidctest.Token, oidctest.UserInfo, oidctest.PushedRequest} {
						fault := l.At(endpoint)
						fault.Body = func(honest []byte) []byte { return append([]byte(mark), honest...) }
						fault.Header = func(h http.Header) {
							h.Set("Content-Type", label)
							if label == "-" {
								h["Content-Type"] = nil
							}
						}
					}
				})
				check(t, r.browser().open("/page")).body("application sees alice")
			})
		}
	}
}

func TestSignedUserinfoIsReadUnderEveryLabel(t *testing.T) {
	t.Parallel()
	for _, label := range []string{"application/jwt", "application/json", "text/plain", ""} {
		for _, broken := range []bool{false, true} {
			op := newOP(t)
			r := newHarness(t, protectedBy(op))
			op.Lie(func(l *oidctest.Faults) {
				l.UserInfo.Signed = true
				if broken {
					l.UserInfo.JWT.Signature = oidctest.SignWithWrongKey
				}
				l.At(oidctest.UserInfo).ContentType = label
			})
			if p := r.browser().open("/page"); (p.body == "application sees alice") == broken {
				t.Errorf("%q, broken %t: status %d\n%s", label, broken, p.StatusCode, r.logs())
			}
		}
	}
}

// A client with a certificate uses mtls_endpoint_aliases with every authentication method,
// unless the configuration names an endpoint.
func TestACertificateUsesTheAliasesWithEveryMethod(t *testing.T) {
	t.Parallel()
	key := ecKey()
	for name, tc := range map[string]struct {
		client oidctest.Client
		lines  string
	}{
		"client_secret_basic": {oidctest.Client{ID: "rp", Secret: longSecret, Auth: "client_secret_basic"}, "client_secret " + longSecret},
		"client_secret_jwt": {oidctest.Client{ID: "rp", Secret: longSecret, Auth: "client_secret_jwt"}, `
			client_auth client_secret_jwt
			client_secret ` + longSecret},
		"private_key_jwt": {oidctest.Client{ID: "rp", Auth: "private_key_jwt", Key: key.Public()}, "client_auth private_key_jwt " + keyFile(t, key)},
		"none":            {oidctest.Client{ID: "rp", Auth: "none"}, ""},
	} {
		for _, byHand := range []bool{false, true} {
			t.Run(name+map[bool]string{false: ", all is discovered", true: ", userinfo by hand"}[byHand], func(t *testing.T) {
				t.Parallel()
				_, certificate, private := selfSigned(t)
				op := newOP(t, oidctest.TLS(), oidctest.PushedRequests(), oidctest.WithClient(tc.client))
				trap, hand := op.Issuer()+"/trap", ""
				op.Lie(func(l *oidctest.Faults) {
					l.Discovery = func(m map[string]any) {
						aliases := map[string]any{}
						for _, name := range []string{"token_endpoint", "userinfo_endpoint", "pushed_authorization_request_endpoint"} {
							aliases[name], m[name] = m[name], trap // a request to the trap is a violation
						}
						if byHand {
							m["userinfo_endpoint"], aliases["userinfo_endpoint"] = trap, trap
						}
						m["mtls_endpoint_aliases"] = aliases
					}
				})
				if byHand {
					hand = "userinfo_endpoint " + op.Issuer() + "/userinfo"
				}
				r := provesAs(t, op, fmt.Sprintf(`
%s
%s
userinfo always
tls {
	ca %s
	client_certificate %s %s
}
`, tc.lines, hand, op.CAFile(), certificate, private))
				check(required{t}, r.browser().open("/page")).body("application sees alice")
				for _, e := range []oidctest.Endpoint{oidctest.Token, oidctest.UserInfo, oidctest.PushedRequest} {
					if op.Hits(e) != 1 {
						t.Errorf("%s was asked %d times", e, op.Hits(e))
					}
				}
			})
		}
	}
}

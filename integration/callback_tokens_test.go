package integration_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestIDTokensOfEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, oidctest.Alg(alg))
			r := newHarness(t, protectedBy(op))
			check(t, r.browser().open("/page")).body("application sees alice")
			for name, lies := range map[string]oidctest.JWTLies{
				"corrupt": {Signature: oidctest.SignCorruptly}, "another key's": {Signature: oidctest.SignWithWrongKey}, "missing": {Signature: oidctest.SignNot},
				"with another at_hash": {Claims: func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }},
			} {
				op.Lie(func(l *oidctest.Faults) { l.IDToken = lies })
				check(t, r.browser().open("/page"), fmt.Sprintf("a signature that is %s", name)).
					status(http.StatusForbidden).
					shows("could not be trusted")
			}
		})
	}
}

func TestEncryptedIDTokensAndUserinfo(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.SetClient(func(c *oidctest.Client) { c.PostLogoutURIs = []string{rpURL + "/@app/auth/default/signedout"} })
	file, encrypt := decryptionKey(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	userinfo always
	decryption_key {file.`+file+`}
}
`)
	op.Lie(func(l *oidctest.Faults) {
		l.IDToken.Compact = encrypt
		l.UserInfo.Signed, l.UserInfo.JWT.Compact = true, encrypt
	})
	b := r.browser()
	check(required{t}, b.open("/page")).body("application sees alice")
	// The hint is the decrypted token (Core 3.1.2.1).
	u, err := url.Parse(b.get("/Special:UserLogout").location())
	if err != nil {
		t.Fatal(err)
	}
	if hint := u.Query().Get("id_token_hint"); strings.Count(hint, ".") != 2 {
		t.Errorf("the hint has %d dots", strings.Count(hint, "."))
	}
	for name, lie := range map[string]func(*oidctest.Faults){
		"an ID token signed by another key": func(l *oidctest.Faults) {
			l.IDToken = oidctest.JWTLies{Compact: encrypt, Signature: oidctest.SignWithWrongKey}
		},
		"an unsigned ID token": func(l *oidctest.Faults) { l.IDToken = oidctest.JWTLies{Compact: encrypt, Alg: "none"} },
		"an ID token of another issuer": func(l *oidctest.Faults) {
			l.IDToken = oidctest.JWTLies{Compact: encrypt, Claims: func(c map[string]any) { c["iss"] = "https://evil.test" }}
		},
		"an ID token encrypted twice": func(l *oidctest.Faults) {
			l.IDToken = oidctest.JWTLies{Compact: func(s string) string { return encrypt(encrypt(s)) }}
		},
		"userinfo signed by another key": func(l *oidctest.Faults) {
			l.UserInfo = oidctest.UserInfoLies{Signed: true, JWT: oidctest.JWTLies{Compact: encrypt, Signature: oidctest.SignWithWrongKey}}
		},
		"userinfo for another client": func(l *oidctest.Faults) {
			l.UserInfo = oidctest.UserInfoLies{Signed: true, JWT: oidctest.JWTLies{Compact: encrypt, Claims: func(c map[string]any) { c["aud"] = "another" }}}
		},
		"unsigned userinfo": func(l *oidctest.Faults) {
			l.UserInfo = oidctest.UserInfoLies{Signed: true, JWT: oidctest.JWTLies{Compact: func(string) string { return encrypt(`{"sub":"u-1001"}`) }}}
		},
		"userinfo of another time": func(l *oidctest.Faults) {
			l.UserInfo = oidctest.UserInfoLies{Signed: true, JWT: oidctest.JWTLies{Claims: func(c map[string]any) { c["exp"] = 1 }}}
		},
		"userinfo without aud": func(l *oidctest.Faults) {
			l.UserInfo = oidctest.UserInfoLies{Signed: true, JWT: oidctest.JWTLies{Claims: func(c map[string]any) { delete(c, "aud") }}}
		},
	} {
		op.Honest()
		op.Lie(lie)
		check(t, r.browser().open("/page"), name).status(http.StatusForbidden)
	}
	op.Honest() // tokens that are only signed are accepted as well
	if p := r.browser().open("/page"); p.body != "application sees alice" {
		t.Errorf("not encrypted: status %d: %s", p.StatusCode, p.body)
	}
}

func TestAnEncryptedIDTokenWithoutAKeySaysWhatToDo(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	_, encrypt := decryptionKey(t)
	op.Lie(func(l *oidctest.Faults) { l.IDToken.Compact = encrypt })
	r := newHarness(t, protectedBy(op))
	check(t, r.browser().open("/page")).status(http.StatusForbidden)
	contains(t, "the log", r.logs(), "configure decryption_key")
}

func TestParametersAreSentAndTokensHeldToThem(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, `
	authorization_params {
		max_age 600
		acr_values "gold silver"
		claims "{\"id_token\": {\"acr\": {\"essential\": true, \"values\": [\"gold\"]}}}"
		resource https://a.example https://b.example/x?y=1
	}
`))
	p := r.browser().get("/page")
	u, _ := url.Parse(p.location())
	q := u.Query()
	list(t, "resource", q["resource"], "https://a.example", "https://b.example/x?y=1")
	equal(t, "max_age", q.Get("max_age"), "600")
	begins(t, "claims", q.Get("claims"), `{"id_token"`)
	check(t, r.browser().open("/page")).body("application sees alice")
	for name, change := range map[string]func(map[string]any){
		"signed in too long ago": func(c map[string]any) { c["auth_time"] = time.Now().Add(-time.Hour).Unix() },
		"no auth_time":           func(c map[string]any) { delete(c, "auth_time") },
		"another acr":            func(c map[string]any) { c["acr"] = "silver" },
		"no acr":                 func(c map[string]any) { delete(c, "acr") },
	} {
		op.Lie(func(l *oidctest.Faults) { l.IDToken.Claims = change })
		check(t, r.browser().open("/page"), name).status(http.StatusForbidden).shows("could not be trusted")
	}
}

const (
	oneTenant     = "9188040d-6c67-4c5b-b112-36a304b66dad"
	anotherTenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"
)

// Users with the same sub and name in two tenants are two users, because each tenant's
// administrator chooses both.
func TestUsersOfTwoTenantsAreTwo(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.NoIss())
	template := op.Issuer() + "/{tenantid}/v2.0"
	op.Lie(func(l *oidctest.Faults) { l.Discovery = func(m map[string]any) { m["issuer"] = template } })
	tenant, issuer := oneTenant, ""
	in := func(c map[string]any) {
		c["tid"], c["iss"] = tenant, cmp.Or(issuer, strings.Replace(template, "{tenantid}", tenant, 1))
	}
	op.Lie(func(l *oidctest.Faults) { l.IDToken.Claims = in })
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+optionsOfIssuer(op, template)+`
	}
	reverse_proxy {upstream} {
		header_up X-User "{http.auth.user.id} of {http.oidc_rp.issuer}"
	}
}
`)
	for _, tenant = range []string{oneTenant, anotherTenant} {
		want := "application sees " + tenant + "/alice of " + op.Issuer() + "/" + tenant + "/v2.0"
		check(t, r.browser().open("/page")).body(want)
	}
	for _, issuer = range []string{template, op.Issuer(), op.Issuer() + "/" + oneTenant + "/v2.0"} {
		check(t, r.browser().open("/page"), issuer).status(http.StatusForbidden)
	}
}

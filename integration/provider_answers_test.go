package integration_test

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// Odd values of optional members of a token response never fail a login.
func TestOddMembersOfATokenAnswerFailNoLogin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ member, value, warned string }{
		{"expires_in", `3599.5`, ""}, {"expires_in", `"3599.0"`, ""}, {"expires_in", `""`, `""`}, {"expires_in", `"never"`, `"never"`}, {"expires_in", `[]`, "a list"},
		{"expires_in", `{}`, "an object"}, {"expires_in", `1e20`, ""}, {"expires_in", `-1`, "-1"}, {"expires_in", `null`, ""},
		{"scope", `["openid"]`, ""}, {"scope", `null`, ""}, {"refresh_expires_in", `"x"`, ""}, {"session_state", `{}`, ""}, {"refresh_token", `[]`, "a list"},
		{"token_type", `null`, ""}, {"token_type", `"mac"`, ""}, {"token_type", `[]`, ""},
	} {
		t.Run(tc.member+" is "+cmp.Or(strings.Trim(tc.value, "{}"), "an object"), func(t *testing.T) {
			t.Parallel()
			op := newOP(t, oidctest.ClaimsInIDToken())
			r := newHarness(t, protectedBy(op))
			op.Lie(func(l *oidctest.Faults) {
				l.Token = func(response map[string]any) { response[tc.member] = json.RawMessage(tc.value) }
			})
			for range 2 {
				check(required{t}, r.browser().open("/page")).body("application sees alice")
			}
			lines := r.logLines(map[string]string{"msg": "a member of the provider's token response cannot be parsed and is ignored", "member": tc.member, "found": tc.warned})
			equal(t, "a warning is logged", len(lines) == 1, tc.warned != "")
		})
	}
}

// The token_type matters only if the access token is used.
func TestATokenTypeCountsWhereTheAccessTokenIsUsed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options []oidctest.Option
		lines   string
		refused bool
	}{
		"for userinfo":         {nil, "", true},
		"for userinfo, always": {[]oidctest.Option{oidctest.ClaimsInIDToken()}, "userinfo always", true},
		"for the application": {[]oidctest.Option{oidctest.ClaimsInIDToken()}, `
			upstream {
				access_token
			}
		`, true},
		"for nothing": {[]oidctest.Option{oidctest.ClaimsInIDToken()}, "", false},
		"for nothing at all": {nil, `
			userinfo never
			username_claim sub
		`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, tc.options...)
			r := newHarness(t, protectedBy(op, tc.lines))
			op.Lie(func(l *oidctest.Faults) { l.Token = func(response map[string]any) { response["token_type"] = "DPoP" } })
			p := r.browser().open("/page")
			if tc.refused {
				check(t, p).code(errorcode.TokenExchangeFailed)
			} else {
				check(t, p).status(http.StatusOK).code("")
			}
			if tc.refused && op.Hits(oidctest.UserInfo) != 0 {
				t.Error("userinfo was asked")
			}
			if !strings.Contains(r.logs(), `has the token_type \"DPoP\"`) && !strings.Contains(r.logs(), `has the token_type \\\"DPoP\\\"`) {
				t.Errorf("the log does not name the type\n%s", r.logs())
			}
		})
	}
}

// Without expires_in, a lifetime of the access token is assumed, and one warning is
// logged.
func TestWithoutExpiresInALifetimeIsAssumed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		line        string
		notYet, due time.Duration
	}{
		{"", 58 * time.Minute, 59*time.Minute + 30*time.Second},
		{"access_token_lifetime 10m", notYetDue, due},
	} {
		t.Run("with "+cmp.Or(tc.line, "nothing about it"), func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			op.Lie(func(l *oidctest.Faults) { l.Token = func(response map[string]any) { delete(response, "expires_in") } })
			r := newHarnessAt(t, t.TempDir(), refreshSite(op, tc.line))
			b := signedIn(t, r)
			first := r.bearer()
			op.at(tc.notYet, r)
			b.get("/x")
			equal(t, "the number of refreshes before the time", calls(op), 0)
			equal(t, "the access token before the time", r.bearer(), first)
			op.at(tc.due, r)
			b.get("/x")
			equal(t, "the number of refreshes", calls(op), 1)
			differs(t, "the access token at the application", r.bearer(), first)
			signedIn(t, r)
			warnings := r.logLines(map[string]string{"level": "warn", "msg": "the provider does not say when its access tokens expire (expires_in); a lifetime is assumed, see access_token_lifetime"})
			equal(t, "the number of warnings", len(warnings), 1)
		})
	}
}

// An access token that cannot be refreshed is not withheld because of an assumed lifetime.
func TestALifetimeIsNotAssumedOfATokenThatIsNotRefreshed(t *testing.T) {
	t.Parallel()
	stop(t)
	for name, tc := range map[string]struct {
		refreshTokens bool
		session, line string
		withheld      bool
	}{
		"no refresh token": {false, "", "", false},
		"refresh is off": {true, `
			session {
				refresh off
			}
		`, "", false},
		"a lifetime is named": {false, "", "access_token_lifetime 10m", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var provider []oidctest.Option
			if tc.refreshTokens {
				provider = append(provider, oidctest.RefreshTokens())
			}
			op := newOP(t, provider...)
			op.Lie(func(l *oidctest.Faults) { l.Token = func(response map[string]any) { delete(response, "expires_in") } })
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	`+tc.line+`
	`+tc.session+`
	upstream {
		access_token
	}
}
`)
			b := signedIn(t, r)
			r.ahead(2 * time.Hour)
			check(t, b.get("/x")).status(http.StatusOK)
			equal(t, "the access token is withheld", r.bearer() == "", tc.withheld)
		})
	}
}

// If refresh is on and the provider issues no refresh token, one warning is logged.
func TestRefreshWithoutARefreshTokenIsSaid(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	session {
		refresh on
	}
}
`)
	signedIn(t, r)
	signedIn(t, r)
	equal(t, "the number of warnings", strings.Count(r.logs(), "the provider gave no refresh token"), 1)
}

// userinfo_method post is for providers that take the access token only in a form.
func TestUserinfoByPost(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"get", "post"} {
		op := newOP(t)
		r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	userinfo_method `+method+`
}
`)
		check(t, r.browser().open("/page"), method).body("application sees alice")
		last := op.Last(oidctest.UserInfo)
		equal(t, method+": Method", last.Method, strings.ToUpper(method))
		equal(t, method+": the presence of access_token", last.Form.Has("access_token"), method == "post")
		equal(t, method+": the presence of Authorization", last.Header.Get("Authorization") != "", method == "get")
	}
}

// The log says what is wrong with a claim of an ID token or of userinfo.
func TestWhatIsWrongWithASubIsSaid(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		lie  func(*oidctest.Faults)
		want string
	}{
		{func(l *oidctest.Faults) { l.UserInfo.Claims = func(c map[string]any) { delete(c, "sub") } }, "userinfo has no sub"},
		{func(l *oidctest.Faults) { l.UserInfo.Claims = func(c map[string]any) { c["sub"] = 12345 } }, "sub is not a string but a number"},
		{func(l *oidctest.Faults) { l.IDToken.Claims = func(c map[string]any) { c["sub"] = 12345 } }, "sub is not a string but a number"},
		{func(l *oidctest.Faults) {
			l.IDToken.Claims = func(c map[string]any) { c["sub"] = strings.Repeat("x", 300) }
		}, "it has 300 bytes"},
		// The log has the value of the claim, and why it is refused.
		{func(l *oidctest.Faults) { l.IDToken.Claims = func(c map[string]any) { c["azp"] = "another\u202e" } }, `azp is another client: it is \"another`},
		{func(l *oidctest.Faults) {
			l.IDToken.Claims = func(c map[string]any) { c["iss"] = "https://other.example" }
		}, `iss is not the provider's issuer: it is \"https://other.example\"`},
		{func(l *oidctest.Faults) {
			l.IDToken.Claims = func(c map[string]any) { c["aud"] = []string{"rp", "other"} }
		}, `aud names other clients, such as \"other\"`},
		{func(l *oidctest.Faults) { l.IDToken.Alg = "HS256" }, `it is signed with the algorithm \"HS256\", and accepted are RS256 (see id_token_algs); algorithms with the client secret count only where id_token_algs names them`},
		{func(l *oidctest.Faults) { l.IDToken.Alg = "none" }, `it is signed with the algorithm \"none\"`},
	} {
		op := newOP(t)
		r := newHarness(t, protectedBy(op))
		op.Lie(tc.lie)
		check(t, r.browser().open("/page")).status(http.StatusForbidden)
		contains(t, "the log", r.logs(), tc.want)
	}
}

// Keys that are skipped are logged with the reason, once per change of the key set.
func TestSkippedKeysAreInTheLogOncePerChange(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	flawed := map[string]any{"kty": "RSA", "kid": "flawed", "use": "SIG", "n": "AQAB", "e": "AQAB"}
	op.Lie(func(l *oidctest.Faults) {
		l.Keys.Publish = func(signing map[string]any, others []any) []any {
			signing["x5c"], signing["x5t"] = []string{"%%%"}, "=="
			return append([]any{signing, flawed}, others...)
		}
	})
	for range 3 {
		check(required{t}, r.browser().open("/page")).status(http.StatusOK)
	}
	lines := r.logLines(map[string]string{"kid": "flawed", "level": "info", "provider": "default"})
	equal(required{t}, "the number of lines", len(lines), 1)
	equal(t, "reason", lines[0]["reason"], `use is "SIG", not sig`)
}

func TestAKeyThatIsSkippedIsNamedWhereItIsMissed(t *testing.T) {
	t.Parallel()
	for name, beside := range map[string]bool{"beside others": true, "alone": false} {
		op := newOP(t)
		r := newHarness(t, protectedBy(op))
		op.Lie(func(l *oidctest.Faults) {
			l.Keys.Publish = func(signing map[string]any, others []any) []any {
				signing["key_ops"] = "verify"
				if beside {
					return append(others, signing)
				}
				return []any{signing}
			}
		})
		r.browser().open("/page")
		if !strings.Contains(r.logs(), "key_ops is not a list of strings") {
			t.Errorf("%s: the log does not say it\n%s", name, r.logs())
		}
	}
}

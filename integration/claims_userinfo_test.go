package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// namedInIDToken makes ID tokens name the user and leaves all other claims to userinfo.
func namedInIDToken(op *oidctest.Provider) {
	op.Lie(func(l *oidctest.Faults) {
		l.IDToken.Claims = func(c map[string]any) { c["preferred_username"] = "alice" }
	})
}

// lostUserinfo are the ways in which a userinfo request yields no claims.
var lostUserinfo = map[string]func(*oidctest.Fault){
	"401":  func(f *oidctest.Fault) { f.Status = 401 },
	"403":  func(f *oidctest.Fault) { f.Status = 403 },
	"404":  func(f *oidctest.Fault) { f.Status = 404 },
	"500":  func(f *oidctest.Fault) { f.Status = 500 },
	"503":  func(f *oidctest.Fault) { f.Status = 503 },
	"down": func(f *oidctest.Fault) { f.Drop = true },
	"slow": func(f *oidctest.Fault) { f.Delay = oidctest.Forever },
	"HTML": func(f *oidctest.Fault) {
		f.ContentType, f.Body = "text/html", func([]byte) []byte { return []byte("<p>hello</p>") }
	},
	"an empty document": func(f *oidctest.Fault) { f.Body = func([]byte) []byte { return nil } },
	"a list":            func(f *oidctest.Fault) { f.Body = func([]byte) []byte { return []byte("[]") } },
	"a redirect":        func(f *oidctest.Fault) { f.Status, f.Header = 302, func(h http.Header) { h.Set("Location", "/") } },
}

// A failed userinfo request does not prevent a login if only headers need its claims.
//
// See docs/faults.md, row F07.
func TestUserinfoThatFailsKeepsOutOnlyThoseWhoseNameItHas(t *testing.T) {
	t.Parallel()
	for name, fault := range lostUserinfo {
		for _, userinfo := range []string{"auto", "always"} {
			t.Run(name+", "+userinfo, func(t *testing.T) {
				t.Parallel()
				op := newOP(t)
				timeout := "30s"
				if name == "slow" {
					timeout = "5s" // every login waits this long
				}
				r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	timeout `+timeout+`
	userinfo `+userinfo+`
	claims {
		family family_name
	}
	upstream {
		header X-Email {http.auth.user.email}
		header X-Groups groups
		header X-Family family
	}
}
`)
				namedInIDToken(op)
				op.Lie(func(l *oidctest.Faults) { fault(l.At(oidctest.UserInfo)) })
				for range 2 {
					check(required{t}, r.browser().open("/page")).body("application sees alice")
				}
				header, _ := r.upstream.got()
				for _, name := range []string{"X-Email", "X-Groups", "X-Family"} {
					if header.Get(name) != "" {
						t.Errorf("%s is %q, expected nothing", name, header.Get(name))
					}
				}
				logs := r.logs()
				equal(t, "the number of warnings", strings.Count(logs, "userinfo failed"), 1)
				contains(t, "the log", logs, "userinfo never")
				if strings.Contains(logs, "the configuration names a claim") {
					t.Errorf("the log blames the provider for claims that no login could request:\n%s", logs)
				}
				// Now the name is only in userinfo.
				op.Honest()
				op.Lie(func(l *oidctest.Faults) { fault(l.At(oidctest.UserInfo)) })
				check(t, r.browser().open("/page"), "where userinfo has the name").status(http.StatusForbidden).shows("userinfo_failed")
			})
		}
	}
}

// Userinfo about another user always fails the login, and the log says what is wrong with it.
func TestUserinfoOfAnotherUserAlwaysRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, cause string
		lie         func(map[string]any)
	}{
		{"another sub", "its sub is not that of the ID token", func(c map[string]any) { c["sub"] = "u-1002" }},
		{"no sub", "userinfo has no sub", func(c map[string]any) { delete(c, "sub") }},
		{"a sub that is null", "userinfo has no sub", func(c map[string]any) { c["sub"] = nil }},
		{"a numeric sub", "its sub is not a string", func(c map[string]any) { c["sub"] = 1001 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	upstream {
		header X-Groups groups
	}
}
`)
			namedInIDToken(op)
			op.Lie(func(l *oidctest.Faults) { l.UserInfo.Claims = row.lie })
			check(t, r.browser().open("/page")).status(http.StatusForbidden).shows("userinfo_failed")
			if !strings.Contains(r.logs(), row.cause) {
				t.Errorf("the log does not say %q:\n%s", row.cause, r.logs())
			}
		})
	}
}

// Only the ID token says how and when the user signed in.
func TestUserinfoSaysNothingAboutTheSignIn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	userinfo always
	claims {
		level acr
	}
	upstream {
		header X-Said {http.auth.user.claims.acr}{http.auth.user.claims.amr}{http.auth.user.claims.auth_time}{http.auth.user.claims.tid}{http.auth.user.claims.level}
	}
}
`)
	op.Lie(func(l *oidctest.Faults) {
		l.IDToken.Claims = func(c map[string]any) {
			for _, name := range []string{"acr", "acrs", "amr", "auth_time", "tid"} {
				delete(c, name)
			}
		}
		l.UserInfo.Claims = func(c map[string]any) {
			c["acr"], c["amr"], c["auth_time"], c["tid"] = "urn:mfa", []string{"otp"}, time.Now().Unix(), "t-1"
		}
	})
	check(required{t}, r.browser().open("/page")).status(http.StatusOK)
	if header, _ := r.upstream.got(); header.Get("X-Said") != "" {
		t.Errorf("the application received %q, expected nothing", header.Get("X-Said"))
	}
}

// After a refresh without an ID token, claims that userinfo no longer contains are removed.
func TestARefreshWithoutIDTokenAsksUserinfo(t *testing.T) {
	t.Parallel()
	noIDToken := func(l *oidctest.Faults) {
		l.Token = func(response map[string]any) {
			if response["scope"] != nil && l.At(oidctest.Token) != nil {
				delete(response, "id_token")
			}
		}
	}
	said := `
upstream {
	access_token
	header X-Groups groups
	header X-Family {http.auth.user.claims.family_name}
	header X-Mail {http.auth.user.email}
	header X-Name name
}
`
	for _, row := range []struct {
		name    string
		options []oidctest.Option
		more    string
		change  func(claims map[string]any)
		lie     func(*oidctest.Faults)
		want    string // groups, family name, verified e-mail
	}{
		{"a group is removed", nil, "", func(c map[string]any) { c["groups"] = []string{"staff"} }, nil, "staff|Müller|alice@example.com"},
		{"all groups are gone", nil, "", func(c map[string]any) { delete(c, "groups") }, nil, "|Müller|alice@example.com"},
		{"a claim is gone", nil, "", func(c map[string]any) { delete(c, "family_name") }, nil, "admins,staff||alice@example.com"},
		{"the address is another one", nil, "", func(c map[string]any) { c["email"], c["email_verified"] = "other@example.com", false }, nil, "admins,staff|Müller|"},
		{"groups come by a path", nil, `
			groups_claim realm_access.roles
			session {
				claims family_name email
			}
		`, func(c map[string]any) { c["realm_access"] = map[string]any{"roles": []string{"viewer"}} }, nil, "viewer|Müller|alice@example.com"},
		{"groups come by a path and are gone", nil, `
			groups_claim realm_access.roles
			session {
				claims family_name email
			}
		`, func(c map[string]any) { delete(c, "realm_access") }, nil, "|Müller|alice@example.com"},
		{"a group of the ID token is removed", []oidctest.Option{oidctest.ClaimsInIDToken()}, "", func(c map[string]any) { c["groups"] = []string{"staff"} }, nil, "staff|Müller|alice@example.com"},
		{"a claim of the ID token is not in userinfo", []oidctest.Option{oidctest.ClaimsInIDToken()}, "", func(c map[string]any) { delete(c, "family_name") }, nil, "admins,staff|Müller|alice@example.com"},
		{"userinfo fails", nil, "", func(c map[string]any) { delete(c, "groups") }, func(l *oidctest.Faults) { l.At(oidctest.UserInfo).Status = 500 }, "admins,staff|Müller|alice@example.com"},
		{"userinfo is of another user", nil, "", func(c map[string]any) { delete(c, "groups") }, func(l *oidctest.Faults) {
			l.UserInfo.Claims = func(c map[string]any) { c["sub"] = "u-1002" }
		}, "admins,staff|Müller|alice@example.com"},
		{"userinfo is never asked", []oidctest.Option{oidctest.ClaimsInIDToken()}, "userinfo never", func(c map[string]any) { delete(c, "groups") }, nil, "admins,staff|Müller|alice@example.com"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t, row.options...)
			withFamily(op.Provider)
			op.Honest()
			r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op.Provider)+`
		`+said+`
		`+row.more+`
	}
	reverse_proxy {upstream}
}
`)
			b := signedIn(t, r)
			user := op.User("alice")
			row.change(user.Claims)
			op.SetUser("alice", user)
			op.Lie(noIDToken)
			if row.lie != nil {
				op.Lie(row.lie)
			}
			op.at(due, r)
			check(required{t}, b.get("/")).status(http.StatusOK)
			equal(required{t}, "the number of refreshes", calls(op), 1)
			header, _ := r.upstream.got()
			if got := header.Get("X-Groups") + "|" + header.Get("X-Family") + "|" + header.Get("X-Mail"); got != row.want {
				t.Errorf("the application received %q, expected %q\n%s", got, row.want, r.logs())
			}
			if header.Get("Authorization") != "Bearer "+op.Issued().AccessToken {
				t.Error("the new access token is lost")
			}
		})
	}
}

// A refresh may return the ID token of the login again. The session continues, although that
// token has expired and its at_hash is for the old access token.
func TestARefreshMayBringTheOldIDToken(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	first := op.Issued().IDToken
	op.Lie(func(l *oidctest.Faults) { l.Token = func(response map[string]any) { response["id_token"] = first } })
	for i := 1; i < 3; i++ {
		op.at(time.Duration(i)*due, r)
		check(t, b.send(http.MethodGet, "/", apiCall), fmt.Sprintf("refresh %d", i)).status(http.StatusOK)
		equal(t, fmt.Sprintf("refresh %d: the number of refreshes", i), calls(op), i)
	}
}

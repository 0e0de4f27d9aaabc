package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A login requests and keeps everything that any instance of the site needs.
func TestALoginKeepsWhatEveryInstanceNeeds(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]string{"endpoints first": {"endpoints", "guard"}, "guard first": {"guard", "endpoints"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t, oidctest.ClaimsInIDToken())
			op.Register(rpURL + "/@app/auth/corp/code")
			withFamily(op.Provider)
			parts := map[string]string{
				"endpoints": `
					oidc_rp endpoints {
						session {
							claims name
						}
					}
				`,
				"guard": `
					handle /app* {
						oidc_rp {
							session {
								claims name
							}
							upstream {
								header X-Family family_name
								header X-Groups groups
								access_token
								id_token X-Id
							}
						}
						reverse_proxy {upstream}
					}
				`,
			}
			r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	route {
		`+parts[order[0]]+parts[order[1]]+`
	}
}
`, `
oidc_rp {
	provider corp {
		`+options(op.Provider)+`
	}
}
`)
			b := r.browser()
			check(required{t}, b.open("/app/x")).status(http.StatusOK)
			header, _ := r.upstream.got()
			want := map[string]string{"X-Family": "Müller", "X-Groups": "admins,staff", "Authorization": "Bearer " + op.Issued().AccessToken, "X-Id": op.Issued().IDToken}
			for name, value := range want {
				if header.Get(name) != value {
					t.Errorf("the application gets %s %q, expected %q", name, header.Get(name), value)
				}
			}
			op.at(due, r)
			check(t, b.get("/app/x"), "when tokens are due").status(http.StatusOK)
			equal(t, "when tokens are due: the number of requests to Token", op.Hits(oidctest.Token), 2)
			check(t, b.get("/app/x"), "the page again").status(http.StatusOK)
		})
	}
}

// reloaded returns one site with two configurations, before and after a reload.
func reloaded(t *testing.T, op *oidctest.Provider, before, after string) (*harness, *harness) {
	storage := storageDir(t)
	site := func(lines string) *harness {
		return newHarnessAt(t, storage, `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		`+lines+`
	}
	reverse_proxy {upstream}
}
`)
	}
	return site(before), site(after)
}

// A session that lacks a claim or token that the new configuration needs is renewed by a
// silent login.
func TestAReloadThatNeedsMoreReachesSessions(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ before, after, header, want string }{
		"a claim of userinfo": {"", `
			upstream {
				header X-Family family_name
			}
		`, "X-Family", "Müller"},
		"a claim that was not kept": {`
			session {
				claims name
			}
		`, `
			session {
				claims name
			}
			upstream {
				header X-Mail {http.auth.user.claims.email}
			}
		`,
			"X-Mail", "alice@example.com"},
		"a token": {"", `
			upstream {
				id_token X-Id
			}
		`, "X-Id", "ID TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, oidctest.ClaimsInIDToken())
			withFamily(op)
			here, there := reloaded(t, op, row.before, row.after)
			b := here.browser()
			b.open("/")
			moveTo(b, there)
			p := b.send(http.MethodGet, "/api", apiCall)
			check(t, p).status(http.StatusUnauthorized).shows(`"session_outdated"`)
			first := b.get("/page")
			check(required{t}, first).status(http.StatusFound).leadsWith("prompt=none", "login_hint=alice")
			check(required{t}, b.open(first.location())).status(http.StatusOK).endsAt("/page")
			header, _ := there.upstream.got()
			if row.want == "ID TOKEN" {
				row.want = op.Issued().IDToken
			}
			if got := header.Get(row.header); got != row.want {
				t.Errorf("the application gets %q, expected %q", got, row.want)
			}
			check(t, b.send(http.MethodGet, "/api", apiCall), "a call afterwards").status(http.StatusOK)
		})
	}
}

// A claim that the provider does not send makes no session outdated after the one silent
// login, and neither does a reload that needs nothing new.
func TestWhatTheProviderDoesNotSendIsAskedForOnce(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	here, there := reloaded(t, op, "", `
upstream {
	header X-Shoe shoe_size
	access_token
}
`)
	b := here.browser()
	b.open("/")
	moveTo(b, there)
	check(required{t}, b.open("/")).status(http.StatusOK)
	equal(required{t}, "the number of requests to Authorize", op.Hits(oidctest.Authorize), 2)
	for range 3 {
		check(t, b.get("/"), "the page again").status(http.StatusOK)
	}
	moveTo(b, here)
	if p := b.get("/"); p.StatusCode != http.StatusOK {
		t.Errorf("where less is needed: status %d, expected 200", p.StatusCode)
	}
}

// Public routes serve an outdated session as it is.
func TestOnPublicRoutesAnOutdatedSessionGoesOn(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	here, there := reloaded(t, op, "", `
public /open
upstream {
	header X-Sub sub
	header X-Family family_name
}
`)
	b := here.browser()
	b.open("/")
	moveTo(b, there)
	check(t, b.get("/open")).status(http.StatusOK)
	if header, _ := there.upstream.got(); header.Get("X-Sub") != "u-1001" {
		t.Errorf("the application gets %q, expected the user", header.Get("X-Sub"))
	}
}

// If the provider has to interact with the user, or returns another user, one ordinary
// login follows.
func TestASilentLoginThatFailsIsFollowedByAnOrdinaryOne(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"login_required", "interaction_required", "consent_required", "account_selection_required"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, oidctest.ClaimsInIDToken())
			here, there := reloaded(t, op, "", `
upstream {
	access_token
}
`)
			b := here.browser()
			b.open("/")
			moveTo(b, there)
			op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = code })
			p := b.open("/page", op.URL(oidctest.Authorize)) // the silent one
			p = b.get(p.location())
			p = b.get(p.location()) // the callback
			check(required{t}, p, "after "+string(code)).
				status(http.StatusFound).
				leadsWithout("prompt=none").
				leadsInto(op.URL(oidctest.Authorize))
			op.Honest()
			check(t, b.open(p.location())).status(http.StatusOK).endsAt("/page")
		})
	}
	t.Run("another user", func(t *testing.T) {
		t.Parallel()
		op := newOP(t, oidctest.ClaimsInIDToken())
		here, there := reloaded(t, op, "", `
upstream {
	header X-Sub sub
	access_token
}
`)
		b := here.browser()
		b.open("/")
		moveTo(b, there)
		op.SignIn("bob")
		check(t, b.open("/page")).status(http.StatusOK)
		equal(t, "the number of requests to Authorize", op.Hits(oidctest.Authorize), 3)
		if header, _ := there.upstream.got(); header.Get("X-Sub") != "u-1002" {
			t.Errorf("the application sees %q, expected the user who signed in", header.Get("X-Sub"))
		}
	})
}

// Of the logins that begin although there is a session, the third within a minute is
// refused. A logout resets the count, and so does time.
func TestLoginsBesideASessionAreCounted(t *testing.T) {
	t.Parallel()
	stop(t)
	op := newOP(t, oidctest.ClaimsInIDToken())
	here, there := reloaded(t, op, "", `
upstream {
	access_token
}
`)
	b := here.browser()
	b.open("/")
	moveTo(b, there)
	for i, want := range []int{http.StatusFound, http.StatusFound, http.StatusForbidden, http.StatusForbidden} {
		check(t, b.get("/page"), fmt.Sprintf("page load %d", i+1)).status(want)
	}
	check(t, b.send(http.MethodGet, "/page", apiCall), "a call").status(http.StatusUnauthorized)
	there.ahead(time.Minute + time.Second)
	check(t, b.get("/page"), "a minute later a page load").status(http.StatusFound)
	b.get("/Special:UserLogout")
	for name := range b.cookies() {
		if strings.HasSuffix(name, "_again") {
			t.Errorf("after a logout the browser still has %s", name)
		}
	}
}

// If no further login may begin, the callback of a public site redirects home with an
// error, as it does for all other errors.
func TestTheLastCountedLoginOfAPublicSiteLeadsHome(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	storage := storageDir(t)
	site := func(lines string) *harness {
		return newHarnessAt(t, storage, `
http://rp.test {
	oidc_rp public {
		`+options(op)+`
		private /page
		`+lines+`
	}
	reverse_proxy {upstream}
}
`)
	}
	here, there := site(""), site(`
upstream {
	access_token
}
`)
	b := here.browser()
	b.open("/page")
	moveTo(b, there)
	b.get("/page")
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "login_required" })
	p := b.open("/page", op.URL(oidctest.Authorize)) // the second silent login
	p = b.get(p.location())
	p = b.get(p.location()) // the callback
	check(t, p).status(http.StatusSeeOther)
	equal(t, "the redirect", p.location(), rpURL+"/?auth_error=forbidden")
}

// A login keeps everything that it was begun for, even if the callback is served by a node
// whose configuration needs less.
func TestALoginKeepsWhatItWasBegunFor(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	withFamily(op)
	before, after := `
session {
	claims name
}
`, `
session {
	claims name
}
upstream {
	header X-Family family_name
	access_token
}
`
	old, now := reloaded(t, op, before, after)
	b := now.browser()
	begun := b.get("/page")
	moveTo(b, old)
	check(required{t}, b.open(begun.location())).status(http.StatusOK)
	moveTo(b, now)
	check(t, b.get("/page"), "the page").status(http.StatusOK)
	header, _ := now.upstream.got()
	if got := fmt.Sprint(header.Get("X-Family"), header.Get("Authorization") != ""); got != "Müllertrue" {
		t.Errorf("the application gets %s, expected the name and the token", got)
	}
}

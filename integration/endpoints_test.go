package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// sharedOption is a global option with two providers, the second of which is disabled.
func sharedOption(p *oidctest.Provider) string {
	return `
oidc_rp {
	provider corp {
		` + options(p) + `
	}
	provider partners {
		` + options(p) + `
		disabled
	}
	default_provider corp
}
`
}

func TestEndpointsAnswerAsTheSeedsSay(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register(rpURL + "/@app/auth/corp/code")
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		provider corp partners
	}
	reverse_proxy {upstream}
}
`, sharedOption(op))
	for _, row := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/@app/auth/corp/login", 302}, {"GET", "/@app/auth/default/login", 302}, {"GET", "/%40app/auth/corp/login", 302},
		{"GET", "/@app/auth/unknown/login", 404}, {"GET", "/@app/auth/missing/code", 404}, {"GET", "/@app/auth/missing/signedout", 404},
		{"GET", "/@app/auth/partners/login", 403}, {"GET", "/@app/auth/partners/code", 403}, {"GET", "/@app/auth/partners/signedout", 403},
		{"GET", "/@app/auth/corp", 404}, {"GET", "/@app/auth/", 200}, {"GET", "/@app/auth//", 404}, {"GET", "/@app/auth", 404}, {"GET", "/@app/auth/corp/", 404},
		{"GET", "/@app/auth/corp/login/", 404}, {"GET", "/@app/auth/corp/other", 404}, {"GET", "/@app/auth//login", 404}, {"GET", "/@app/auth/Corp/login", 404},
		{"GET", "/@app/auth/corp/LOGIN", 404}, {"GET", "/@APP/auth/corp/login", 302}, {"GET", "/@app/auth/../auth/corp/login", 404},
		{"POST", "/@app/auth/corp/login", 405}, {"HEAD", "/@app/auth/corp/login", 405}, {"POST", "/@app/auth/corp/code", 405}, {"PUT", "/Special:UserLogout", 405},
		{"GET", "/@app/auth/corp/signedout", 200}, {"GET", "/Special:UserLogout", 200}, {"GET", "/Special%3AUserLogout", 200},
	} {
		if row.path == "/@APP/auth/corp/login" {
			continue // paths are case-sensitive: this is a private page of the site
		}
		p := r.raw(row.method+" "+row.path+" HTTP/1.1", "Host: rp.test", "Connection: close", "Content-Length: 0", "Accept: text/html")
		check(t, p, fmt.Sprintf("%s %s", row.method, row.path)).status(row.status)
		equal(t, fmt.Sprintf("%s %s: Cache-Control", row.method, row.path), p.Header.Get("Cache-Control"), "no-store")
		equal(t, fmt.Sprintf("%s %s: Referrer-Policy", row.method, row.path), p.Header.Get("Referrer-Policy"), "no-referrer")
		if row.status == 302 && !strings.Contains(p.Header.Get("Location"), url.QueryEscape(rpURL+"/@app/auth/corp/code")) {
			t.Errorf("%s: the redirect URI is in another's name: %s", row.path, p.Header.Get("Location"))
		}
		if row.status == 405 && p.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", row.method, row.path)
		}
	}
	if p := r.rawGet("/@APP/auth/corp/login", "Accept: application/json"); p.StatusCode != 401 {
		t.Errorf("an address in another case is a page of the site, status %d", p.StatusCode)
	}
	if r.upstream.count() != 0 {
		t.Errorf("the application was asked %d times", r.upstream.count())
	}
}

func TestEndpointsMatchTheOriginalRequest(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for name, site := range map[string]string{
		"after a rewrite": `
			rewrite * /index.html
			oidc_rp {
				` + options(op) + `
			}
			reverse_proxy {upstream}
		`,
		"with a matcher": `
			oidc_rp /private/* {
				` + options(op) + `
			}
			reverse_proxy {upstream}
		`,
		"in endpoints mode beside handlers": `
			oidc_rp endpoints {
				provider corp
			}
			handle_path /app/* {
				oidc_rp {
					provider corp
				}
				reverse_proxy {upstream}
			}
			handle {
				respond ok
			}
		`,
	} {
		global := ""
		if strings.Contains(site, "provider corp") {
			global = `
oidc_rp {
	provider corp {
		` + options(op) + `
	}
}
`
		}
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	`+site+`
}
`, global)
		check(t, r.browser().get("/@app/auth/default/login"), name).status(http.StatusFound)
	}
}

func TestHandleBlocksWithEndpointsModeGoRound(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register(rpURL + "/@app/auth/corp/code")
	r := newHarnessAt(t, storageDir(t), `http://rp.test {
		oidc_rp endpoints {
			provider corp
		}
		handle_path /app/* {
			oidc_rp {
				provider corp
			}
			reverse_proxy {upstream} {
				header_up X-User {http.auth.user.id}
			}
		}
		handle {
			respond "home of {http.auth.user.id}"
		}
	}`, `
oidc_rp {
	provider corp {
		`+options(op)+`
	}
}
`)
	b := r.browser()
	if p := b.get("/"); p.body != "home of " {
		t.Errorf("home shows %q", p.body)
	}
	check(t, b.open("/app/page?q=1")).body("application sees alice").endsAt("/app/page?q=1")
	if _, at := r.upstream.got(); at != "/page?q=1" {
		t.Errorf("the application saw %q", at)
	}
}

// An id that this instance does not have is served only by an instance on the same site.
func TestAnotherSitesEndpointIsNoWayPastTheGuard(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		provider one {
			`+options(op)+`
		}
	}
	reverse_proxy {upstream}
}
http://other.test {
	oidc_rp {
		provider two {
			`+options(op)+`
		}
	}
	respond other
}
`)
	p := r.browser().get("/@app/auth/two/login")
	differs(t, "the status", p.StatusCode, http.StatusOK)
	equal(t, "the number of requests at the application", r.upstream.count(), 0)
}

// A callback that is used again leads to the page or to an error page, and never begins another
// login.
//
// See docs/faults.md, row F20.
func TestASecondUseOfAnAnswerIsNoLoop(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	p := b.open("/page?a=b", rpURL+"/@app/auth/default/code")
	callback := p.location()
	check(required{t}, b.get(callback)).leadsTo("/page?a=b")
	exchanges := op.Hits(oidctest.Token)
	check(t, b.get(callback), "again, signed in").status(http.StatusSeeOther).leadsTo("/page?a=b")
	other := r.browser()
	check(t, other.get(callback), "in another browser").
		status(http.StatusForbidden).
		shows("login_expired", "/@app/auth/default/login")
	other.get("/elsewhere") // begins a login of its own
	check(t, other.get(callback), "in another browser with a login of its own").status(http.StatusForbidden).shows("state_mismatch")
	if op.Hits(oidctest.Token) != exchanges {
		t.Error("a code was sent again")
	}
	if b.get("/@app/auth/default/code?state=x&code=y").Header.Get("Location") != "/" {
		t.Error("an answer to somebody else's login does not lead home")
	}
}

func TestPreflightPassesOnlyWhereItIsAllowedAndNeverWithIdentity(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	preflight pass
	upstream {
		header X-Remote-User {http.auth.user.id}
	}
}
`)
	preflight := map[string]string{"Origin": "https://app.test", "Access-Control-Request-Method": "POST", "X-Remote-User": "root", "Sec-Fetch-Mode": "cors"}
	check(t, r.browser().send("OPTIONS", "/api", preflight)).status(http.StatusOK)
	if header, _ := r.upstream.got(); header.Get("X-Remote-User") != "" {
		t.Errorf("the application received %q", header.Get("X-Remote-User"))
	}
	delete(preflight, "Access-Control-Request-Method")
	if p := r.browser().send("OPTIONS", "/api", preflight); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("what is no preflight: status %d", p.StatusCode)
	}
}

func TestPlaceholdersAreEmptyForAnonymousUsersAndTypedForExpressions(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	names := []string{"http.auth.user.id", "http.auth.user.name", "http.auth.user.email", "http.auth.user.groups", "http.auth.user.claims.realm_access.roles", "http.auth.user.claims.nothing",
		"http.oidc_rp.authenticated", "http.oidc_rp.provider", "http.oidc_rp.subject", "http.oidc_rp.issuer", "http.oidc_rp.login_url", "http.oidc_rp.logout_url", "http.oidc_rp.error.code", "http.oidc_rp.access_token", "http.oidc_rp.made_up"}
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp public {
		`+options(op)+`
	}
	@admin expression "'admins' in {http.auth.user.groups}"
	respond @admin "admin {http.auth.user.name}"
	respond "{`+strings.Join(names, "}|{")+`}"
}
`)
	b := r.browser()
	want := "||||||false||||/@app/auth/default/login?returnto=%2Fpage|/Special:UserLogout|||"
	if p := b.get("/page"); p.body != want {
		t.Errorf("an anonymous user is %q\nnot %q", p.body, want)
	}
	if p := b.open("/@app/auth/default/login"); p.body != "admin Alice Müller" {
		t.Errorf("alice is %q", p.body)
	}
	op.SignIn("bob")
	p := r.browser().open("/@app/auth/default/login?returnto=/page")
	check(t, p).opens("bob|Bob").shows("|true|default|u-1002|" + op.Issuer() + "|")
	if fields := strings.Split(p.body, "|"); fields[2] != "" {
		t.Errorf("bob's address is not verified, and shown as %q", fields[2])
	}
}

func TestAClaimsTextIsNeverExpanded(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	user := op.User("alice")
	user.Claims["name"] = "{env.PATH} {http.request.header.Cookie}"
	op.SetUser("alice", user)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	upstream {
		header X-Name name
		header X-Full "<{http.auth.user.name}>"
	}
}
`)
	signedIn(t, r)
	header, _ := r.upstream.got()
	equal(t, "X-Name", header.Get("X-Name"), fmt.Sprint(user.Claims["name"]))
	equal(t, "X-Full", header.Get("X-Full"), fmt.Sprintf("<%s>", user.Claims["name"]))
}

package integration_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const mfa = "claims `{\"id_token\":{\"acr\":{\"essential\":true,\"values\":[\"urn:mfa\"]}}}`"

// demandingSite has an admin part that demands more of a sign-in than the rest.
func demandingSite(op *oidctest.Provider, demands ...string) string {
	block := `
oidc_rp {
	` + options(op) + `
	%
}
reverse_proxy {upstream} {
	header_up X-User {http.auth.user.id}
}
`
	return `
http://rp.test {
	handle /admin* {
		` + strings.Replace(block, "%", `
authorization_params {
	`+strings.Join(demands, "\n\t")+`
}
`, 1) + `
	}
	handle {
		` + strings.Replace(block, "%", "", 1) + `
	}
}
`
}

// proof makes a provider say how a user signed in.
func proof(op *oidctest.Provider, acr string, ago time.Duration) {
	op.Lie(func(l *oidctest.Faults) {
		l.IDToken.Claims = func(c map[string]any) {
			delete(c, "acr")
			if acr != "" {
				c["acr"] = acr
			}
			c["auth_time"] = c["iat"].(int64) - int64(ago/time.Second)
		}
	})
}

// The demands of an instance are checked on each request.
func TestASessionIsHeldToWhatAnInstanceDemands(t *testing.T) {
	t.Parallel()
	stop(t)
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), demandingSite(op, "max_age 60", mfa))
	b := r.browser()
	proof(op, "1", time.Hour)
	check(required{t}, b.open("/"), "the part that demands nothing").body("application sees alice")
	api := map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
	check(t, b.send(http.MethodGet, "/admin/x", api), "a call with a session that proves nothing").status(http.StatusUnauthorized)
	first := b.get("/admin/x")
	check(required{t}, first).status(http.StatusFound).leadsWith("max_age=60", "urn%3Amfa")
	proof(op, "urn:mfa", 0)
	check(t, b.open(first.location()), "after the login").body("application sees alice")
	check(t, b.send(http.MethodGet, "/admin/x", api), "a call with a session that proves it").status(http.StatusOK)
	check(t, b.get("/"), "the rest").status(http.StatusOK)
	r.ahead(100 * time.Second) // max_age and clock_skew
	check(t, b.send(http.MethodGet, "/admin/x", api), "a call within max_age and clock_skew").status(http.StatusOK)
	r.ahead(125 * time.Second)
	check(t, b.send(http.MethodGet, "/admin/x", api), "a call after max_age").status(http.StatusUnauthorized)
	check(t, b.get("/admin/x"), "a page load after max_age").status(http.StatusFound)
	check(t, b.get("/"), "the rest after max_age").status(http.StatusOK)
}

// A login is held to the demands of the instance that began it, whichever instance serves
// the callback.
func TestALoginIsHeldToWhatItWasBegunWith(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]func(op *oidctest.Provider){
		"another acr":                func(op *oidctest.Provider) { proof(op, "1", 0) },
		"no acr":                     func(op *oidctest.Provider) { proof(op, "", 0) },
		"an old auth_time":           func(op *oidctest.Provider) { proof(op, "urn:mfa", time.Hour) },
		"an auth_time in the future": func(op *oidctest.Provider) { proof(op, "urn:mfa", -10*time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarnessAt(t, storageDir(t), demandingSite(op, "max_age 60", mfa))
			say(op)
			b := r.browser()
			p := b.open("/admin/x")
			check(t, p).status(http.StatusForbidden)
			if !strings.Contains(p.body, "token_invalid") && !strings.Contains(p.body, "could not be trusted") {
				t.Errorf("expected a page about token_invalid, seen %s", p.body)
			}
			equal(t, "the session's cookie", b.cookies()["__Host-oidc_rp"], "")
			equal(t, "the number of requests at the application", r.upstream.count(), 0)
			check(t, b.open("/"), "the part that demands nothing").status(http.StatusOK)
		})
	}
}

// After a reload that demands more, existing sessions need a new login. This includes
// sessions of earlier releases, which keep no facts about the sign-in.
func TestAReloadThatDemandsMoreAsksAgain(t *testing.T) {
	t.Parallel()
	for _, demands := range []string{"max_age 60", mfa} {
		op := newOP(t)
		here, there := twoSites(t, op, "", `
authorization_params {
	`+demands+`
}
`)
		b := here.browser()
		proof(op, "", 2*time.Hour)
		b.open("/")
		moveTo(b, there)
		proof(op, "urn:mfa", 0)
		first := b.get("/page")
		if first.StatusCode != http.StatusFound {
			t.Errorf("%s: status %d, expected a login", demands, first.StatusCode)
			continue
		}
		check(t, b.open(first.location()), demands).body("application sees alice")
		check(t, b.get("/page"), demands+": the page again").status(http.StatusOK)
	}
}

// On a public route, a session that proves too little is anonymous.
func TestOnPublicRoutesAWeakSessionIsAnonymous(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	here, there := twoSites(t, op, "", `
authorization_params {
	`+mfa+`
}
public /open
`)
	b := here.browser()
	proof(op, "1", 0)
	b.open("/")
	moveTo(b, there)
	check(t, b.get("/open")).status(http.StatusOK).body("application sees ")
}

// Instances of one site whose sessions cannot be shared, although their cookies have the
// same name, cause no endless redirects.
func TestInstancesThatKeepSessionsApartAreNoLoop(t *testing.T) {
	t.Parallel()
	for name, sessions := range map[string][2]string{
		"another store": {"", `
			session {
				store memory
			}
		`},
		"another secret": {"", `
			session {
				secret 0123456789abcdef0123456789abcdef
			}
		`},
		"a domain at the guard": {"", `
			session {
				cookie {
					domain rp.test
				}
			}
		`},
		"a domain at the endpoints": {`
			session {
				cookie {
					domain rp.test
				}
			}
		`, ""},
		"another name, which is right": {"", `
			session {
				cookie other
			}
		`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp endpoints {
		`+options(op)+`
		`+sessions[0]+`
	}
	handle /app* {
		oidc_rp {
			`+options(op)+`
			`+sessions[1]+`
		}
		reverse_proxy {upstream}
	}
}
`)
			b, address, logins := r.browser(), "/app", 0
			for range 30 {
				p := b.get(address)
				if address = p.location(); address == "" {
					check(t, p, "the page").status(http.StatusForbidden)
					break
				}
				if strings.HasPrefix(address, op.Issuer()) {
					logins++
				}
			}
			equal(t, "the last redirect", address, "")
			atMost(t, "the number of logins", logins, 3)
		})
	}
}

package integration_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// setByName returns the Set-Cookie lines of a response by cookie name.
func setByName(t *testing.T, header http.Header) map[string]*http.Cookie {
	t.Helper()
	all := make(map[string]*http.Cookie)
	for _, line := range header["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		all[c.Name] = c
	}
	return all
}

// A transient session ends when the browser closes: none of its cookies has a lifetime, whether
// whole or in chunks, new or updated. The cookies of a login keep their own lifetimes.
func TestATransientSessionHasNoLifetimeInTheBrowser(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, session string
		groups        int // they make the session large
		want          []string
	}{
		{"in one cookie", "", 0, []string{"__Host-oidc_rp", "__Secure-oidc_rp_hint"}},
		{"in chunks", "max_chunks 4", 1000, []string{"__Host-oidc_rp", "__Host-oidc_rp_1"}}, // with an ID token too large for a cookie
		{"in a store", "store memory", 0, []string{"__Host-oidc_rp", "__Secure-oidc_rp_hint"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t, oidctest.ClaimsInIDToken())
			user := op.User("alice")
			var groups []string
			for range row.groups {
				groups = append(groups, rand.Text()[:12])
			}
			user.Claims["groups"] = groups
			op.SetUser("alice", user)
			r := newHarnessAt(t, storageDir(t), refreshSite(op, `
session {
	lifetime 1h
	`+row.session+`
	cookie {
		transient
	}
}
`))
			b := r.browser()
			p := b.open("/x", rpURL+"/x")
			set := setByName(t, p.Header)
			var kept []string
			for name, c := range set {
				switch {
				case strings.Contains(name, "_tx_"), c.MaxAge < 0:
				case strings.HasSuffix(name, "_mark"):
					if c.MaxAge != 60 {
						t.Errorf("%s: expected a minute, seen %q", name, c.Raw)
					}
				default:
					kept = append(kept, name)
					equal(t, c.Name+": Max-Age", c.MaxAge, 0)
					if !c.Expires.IsZero() {
						t.Errorf("%s: expected no Expires, seen %v", c.Name, c.Expires)
					}
				}
			}
			for _, name := range row.want {
				if !slices.Contains(kept, name) {
					t.Errorf("expected the cookie %s, seen %q", name, kept)
				}
			}
			if p := b.get("/x"); p.StatusCode != http.StatusOK {
				t.Fatalf("expected 200, seen %d\n%s", p.StatusCode, r.logs())
			}
			op.at(due, r)
			p = b.get("/x")
			for name, c := range setByName(t, p.Header) {
				if c.MaxAge != 0 {
					t.Errorf("%s after a refresh: expected no lifetime, seen %d", name, c.MaxAge)
				}
			}
			p = b.get("/Special:UserLogout")
			expired := setByName(t, p.Header)
			for _, name := range kept {
				if c := expired[name]; c == nil || c.MaxAge >= 0 {
					t.Errorf("%s: expected the logout to delete it, seen %v", name, c)
				}
			}
			u, _ := url.Parse(rpURL + "/Special:UserLogout")
			for _, c := range b.jar.Cookies(u) {
				if !strings.Contains(c.Name, "_mark") {
					t.Errorf("expected no cookie after the logout, seen %s", c.Name)
				}
			}
		})
	}
}

// A transient session ends with its lifetime, even if the browser still has the cookie.
func TestALifetimeEndsATransientSession(t *testing.T) {
	t.Parallel()
	stop(t)
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	session {
		lifetime 1h
		cookie {
			transient
		}
	}
}
`)
	b := r.browser()
	b.open("/x")
	r.ahead(61 * time.Minute)
	if p := b.send(http.MethodGet, "/x", apiCall); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("expected 401 after the lifetime, seen %d", p.StatusCode)
	}
}

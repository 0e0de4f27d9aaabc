package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// whoSees is a site whose application shows the user that the site passes on.
const whoSees = `
http://rp.test {
	oidc_rp %s {
		%s
		%s
	}
	reverse_proxy {upstream} {
		header_up X-User "<{http.auth.user.id}> {http.oidc_rp.authenticated}"
	}
}
`

func TestOnlyKnownUsersSignIn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, row := range []struct {
		name, mode, known string
		status            int
		body, url         string
	}{
		{"private, known", "private", "known_users list bob alice", http.StatusOK, "application sees <alice> true", rpURL + "/page"},
		{"private, unknown", "private", "known_users list bob Alice alice2", http.StatusForbidden, "Your account is not known here.", "/code"},
		{"public, known", "public", "known_users list alice", http.StatusOK, "application sees <alice> true", rpURL + "/page"},
		{"public, unknown", "public", "known_users list bob", http.StatusOK, "application sees <> false", rpURL + "/?auth_error=user_unknown"},
		{"known to the second list", "private", `known_users list bob
		known_users list alice`, http.StatusOK, "application sees <alice> true", rpURL + "/page"},
		{"known to a list for another provider", "private", `known_users list alice {
			provider default
		}`, http.StatusOK, "application sees <alice> true", rpURL + "/page"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := newHarnessAt(t, storageDir(t), fmt.Sprintf(whoSees, row.mode, options(op), row.known))
			b := r.browser()
			p := b.open(rpURL + "/@app/auth/default/login?returnto=/page")
			if p.StatusCode != row.status {
				t.Errorf("expected status %d, seen %d\n%s", row.status, p.StatusCode, r.logs())
			}
			if !strings.Contains(p.body, row.body) {
				t.Errorf("expected %q, seen %s", row.body, p.body)
			}
			if !strings.Contains(p.url, row.url) {
				t.Errorf("expected to end at %s, seen %s", row.url, p.url)
			}
			unknown := strings.HasSuffix(row.name, "unknown")
			if _, kept := b.cookies()["__Host-oidc_rp"]; kept == unknown {
				t.Errorf("expected a session %t, seen %t", !unknown, kept)
			}
			if refused := strings.Contains(r.logs(), `"code":"user_unknown"`) && strings.Contains(r.logs(), `"event":"refused","user":"alice"`); refused != unknown {
				t.Errorf("expected a line in the audit log %t, seen %t\n%s", unknown, refused, r.logs())
			}
		})
	}
}

// withoutAlice signs alice in at a site that knows her, and moves her browser to a
// reloaded site that no longer does.
func withoutAlice(t *testing.T, op *oidctest.Provider, mode, more string) (*harness, *browser) {
	t.Helper()
	storage := storageDir(t)
	before := newHarnessAt(t, storage, fmt.Sprintf(whoSees, mode, options(op), more+`
	known_users list alice`))
	b := before.browser()
	if p := b.open(rpURL + "/@app/auth/default/login?returnto=/page"); !strings.Contains(p.body, "application sees <alice> true") {
		t.Fatalf("expected alice to be signed in, seen %d %s", p.StatusCode, p.body)
	}
	after := newHarnessAt(t, storage, fmt.Sprintf(whoSees, mode, options(op), more+`
	known_users list bob`))
	moveTo(b, after)
	return after, b
}

func TestTheSessionOfARemovedUserIsAnonymous(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	t.Run("a public page is served without an identity", func(t *testing.T) {
		t.Parallel()
		r, b := withoutAlice(t, op, "public", "")
		p := b.get("/page")
		if p.StatusCode != http.StatusOK {
			t.Errorf("expected status 200, seen %d", p.StatusCode)
		}
		if !strings.Contains(p.body, "application sees <> false") {
			t.Errorf("expected an anonymous request, seen %s\n%s", p.body, r.logs())
		}
	})
	t.Run("a program gets 401 on a private page", func(t *testing.T) {
		t.Parallel()
		_, b := withoutAlice(t, op, "private", "")
		p := b.send(http.MethodGet, "/page", map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})
		if p.StatusCode != http.StatusUnauthorized {
			t.Errorf("expected status 401, seen %d", p.StatusCode)
		}
	})
	t.Run("a private page leads to one login, which ends on a page that says why", func(t *testing.T) {
		t.Parallel()
		r, b := withoutAlice(t, op, "private", "")
		for try := range 4 {
			p := b.open("/page")
			if p.StatusCode != http.StatusForbidden {
				t.Errorf("try %d: expected status 403, seen %d", try, p.StatusCode)
			}
			if !strings.Contains(p.body, "Your account is not known here.") {
				t.Errorf("try %d: expected the reason, seen %s\n%s", try, p.body, r.logs())
			}
			if strings.Contains(p.body, "signed in as") {
				t.Errorf("try %d: the page speaks of a user who is signed in: %s", try, p.body)
			}
		}
		if hits := r.upstream.count(); hits != 0 {
			t.Errorf("expected no request to reach the application, seen %d", hits)
		}
	})
	t.Run("a logout ends it", func(t *testing.T) {
		t.Parallel()
		r, b := withoutAlice(t, op, "private", "end_session off")
		cookies := b.cookieHeader()
		p := b.open("/Special:UserLogout")
		check(t, p).status(http.StatusOK).shows("Signed out")
		if left := b.cookies(); len(left) != 0 {
			t.Errorf("expected no cookies, seen %v", left)
		}
		if !strings.Contains(r.logs(), `"event":"signed_out","user":"alice"`) {
			t.Errorf("expected a line in the audit log\n%s", r.logs())
		}
		known := newHarnessAt(t, r.storage, fmt.Sprintf(whoSees, "public", options(op), "known_users list alice"))
		known.rawGet("/x", "Cookie: "+cookies)
		if header, _ := known.upstream.got(); header.Get("X-User") != "<> false" {
			t.Errorf("expected a copied cookie to be over, seen %q", header.Get("X-User"))
		}
	})
}

// An instance that knows alice and one that does not share a session without a redirect
// loop.
func TestASiblingThatKnowsMoreUsersIsNoLoop(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	handle /closed* {
		oidc_rp {
			`+options(op)+`
			endpoints /closed/auth
			known_users list bob
		}
		reverse_proxy {upstream}
	}
	handle {
		oidc_rp {
			`+options(op)+`
		}
		reverse_proxy {upstream}
	}
}
`)
	op.Register(rpURL + "/closed/auth/default/code")
	b := r.browser()
	if p := b.open("/open"); p.StatusCode != http.StatusOK {
		t.Fatalf("expected status 200, seen %d\n%s", p.StatusCode, r.logs())
	}
	check(t, b.open("/closed")).status(http.StatusForbidden).shows("Your account is not known here.")
	if p := b.get("/open"); p.StatusCode != http.StatusOK {
		t.Errorf("expected the other guard to serve the page still, seen %d", p.StatusCode)
	}
}

// Users of different providers share no names.
func TestKnownUsersOfSeveralProviders(t *testing.T) {
	t.Parallel()
	corp, partners := newOP(t), newOP(t)
	corp.Register(rpURL + "/@app/auth/corp/code")
	partners.Register(rpURL + "/@app/auth/partners/code")
	for _, row := range []struct {
		name, known, provider string
		ok                    bool
	}{
		{"corp's alice", "known_users list alice", "corp", true},
		{"a partner's alice is not corp's", "known_users list alice", "partners", false},
		{"a partner's alice by her whole name", "known_users list partners/alice", "partners", true},
		{"corp's alice is not a partner's", "known_users list partners/alice", "corp", false},
		{"a list for users of the other provider", `known_users list alice partners/alice {
			provider corp
		}`, "partners", false},
		{"a list for users of the provider", `known_users list alice partners/alice {
			provider partners
		}`, "partners", true},
		{"a list for each", `known_users list alice {
			provider corp
		}
		known_users list partners/alice {
			provider partners
		}`, "partners", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := newHarnessAt(t, storageDir(t), fmt.Sprintf(whoSees, "private", `
provider corp {
	`+options(corp)+`
}
provider partners {
	`+options(partners)+`
}
default_provider corp
`, row.known))
			p := r.browser().open(rpURL + "/@app/auth/" + row.provider + "/login?returnto=/page")
			if served := p.StatusCode == http.StatusOK; served != row.ok {
				t.Errorf("expected the page %t, seen %d %s\n%s", row.ok, p.StatusCode, p.body, r.logs())
			}
		})
	}
}

func TestAReloadAddsADirectoryUnderOpenSessions(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	storage := storageDir(t)
	open := newHarnessAt(t, storage, fmt.Sprintf(whoSees, "private", options(op), ""))
	alice := open.browser()
	alice.open("/page")
	for _, row := range []struct {
		known string
		ok    bool
	}{{"known_users list alice", true}, {"known_users list bob", false}, {"", true}} {
		r := newHarnessAt(t, storage, fmt.Sprintf(whoSees, "private", options(op), row.known))
		moveTo(alice, r)
		if p := alice.get("/page"); (p.StatusCode == http.StatusOK) != row.ok {
			t.Errorf("%q: expected the page %t, seen %d", row.known, row.ok, p.StatusCode)
		}
	}
}

func TestDirectoriesThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, known, expected string }{
		{"a provider that the site does not have", `known_users list alice {
			provider crop
		}`, "known_users list: provider crop: this site has no such provider: did you mean 'corp'?"},
		{"a file that is missing", "known_users file /absent/users.txt", "known_users: position 0: loading module 'file': provision oidc_rp.directories.file: stat /absent/users.txt: no such file or directory"},
		{"a name that is an empty placeholder", "known_users list {env.OIDC_RP_ABSENT}", "{env.OIDC_RP_ABSENT}"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			config, err := adapt(`{
				admin off
				auto_https off
			}
			` + strings.ReplaceAll(fmt.Sprintf(whoSees, "private", `provider corp {
				issuer https://a.example
				client_id a
			}`, row.known), "{upstream}", "127.0.0.1:1"))
			if err != nil {
				t.Fatal(err)
			}
			err = tryProvision(config)
			failsWith(t, "the configuration", err, row.expected)
		})
	}
}

// A refresh can bring another name, which is looked up for the request that waited for the
// refresh.
func TestANameThatARefreshBringsIsLookedUp(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, known, body string
	}{
		{"another name, which is unknown", "known_users list alice", "application sees <> false"},
		{"another name, which is known", "known_users list alice mallory", "application sees <mallory> true"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t, oidctest.ClaimsInIDToken())
			r := newHarnessAt(t, storageDir(t), fmt.Sprintf(whoSees, "public", options(op.Provider), `session {
				refresh on
			}
			`+row.known))
			b := r.browser()
			if p := b.open(rpURL + "/@app/auth/default/login?returnto=/page"); !strings.Contains(p.body, "<alice> true") {
				t.Fatalf("expected alice to be signed in, seen %s", p.body)
			}
			op.Lie(func(l *oidctest.Faults) {
				l.Refreshed.Claims = func(c map[string]any) { c["preferred_username"] = "mallory" }
			})
			op.at(due, r)
			p := b.get("/page")
			if calls(op) != 1 {
				t.Errorf("expected one refresh, seen %d", calls(op))
			}
			if !strings.Contains(p.body, row.body) {
				t.Errorf("expected %q, seen %s", row.body, p.body)
			}
		})
	}
}

func TestNoTokensAreRefreshedForARemovedUser(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r, b := withoutAlice(t, op.Provider, "public", `session {
		refresh on
	}`)
	op.at(due, r)
	if p := b.get("/page"); !strings.Contains(p.body, "application sees <> false") {
		t.Errorf("expected an anonymous request, seen %s", p.body)
	}
	if calls(op) != 0 {
		t.Errorf("expected no refresh, seen %d", calls(op))
	}
}

func TestDirectoriesInJSONThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	config, err := adapt(`{
		admin off
		auto_https off
	}
	http://rp.test {
		oidc_rp {
			issuer https://a.example
			client_id a
			known_users list alice
		}
	}
	`)
	if err != nil {
		t.Fatal(err)
	}
	known := `"known_users":[{"module":"list","names":["alice"]}]`
	if !strings.Contains(string(config), known) {
		t.Fatalf("expected %s, seen %s", known, config)
	}
	for _, row := range []struct{ name, known, expected string }{
		{"an empty list", `[]`, "known_users: the list is empty, so no user would be known"},
		{"null in the list", `[null]`, `known_users: a directory is an object that names its module, as {"module": "list"}`},
		{"a directory without a module", `[{"names":["alice"]}]`, `known_users: a directory is an object that names its module, as {"module": "list"}`},
		{"an unknown module", `[{"module":"lits"}]`, "unknown module: oidc_rp.directories.lits"},
		{"no names", `[{"module":"list"}]`, "names: the list is empty"},
		{"an unknown field", `[{"module":"list","names":["alice"],"active":true}]`, `unknown field "active"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := tryProvision([]byte(strings.Replace(string(config), known, `"known_users":`+row.known, 1)))
			failsWith(t, "the configuration", err, row.expected)
		})
	}
}

// A provider where anyone can have an account needs known_users or a rule that says who
// may enter.
func TestKnownUsersLimitAProviderForTheWholeWorld(t *testing.T) {
	t.Parallel()
	for known, ok := range map[string]bool{"": false, "known_users list alice@example.com": true} {
		config, err := adapt(`{
			admin off
			auto_https off
		}
		http://rp.test {
			oidc_rp {
				issuer https://accounts.google.com
				client_id a
				` + known + `
			}
		}
		`)
		if err != nil {
			t.Fatal(err)
		}
		if err := tryProvision(config); (err == nil) != ok {
			t.Errorf("%q: expected the configuration to load %t, seen %v", known, ok, err)
		}
	}
}

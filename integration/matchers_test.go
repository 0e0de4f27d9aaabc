package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// matchersSite has a response for each matcher, in the order in which they are evaluated.
const matchersSite = `
@admins {
	path /admins
	oidc_rp group admins
}
@both {
	path /both
	oidc_rp group staff
	oidc_rp user alice
}
@block {
	path /block
	oidc_rp {
		group staff
		any {
			claim level 7
			expression claims.level == 3
		}
	}
}
@claims {
	path /claims
	oidc_rp_claim org.unit ops sales
	oidc_rp_claim level 3
}
@profile {
	path /profile
	oidc_rp profile known
}
@function ` + "`path('/function') && oidc_rp('group', 'admins') && oidc_rp_claim('level', '3') && oidc_rp()`" + `
@anyone {
	path /anyone
	not oidc_rp
}
@suspended {
	path /suspended
	not oidc_rp_claim suspended true
}
@expression {
	path /expression
	expression !oidc_rp_claim('suspended', 'true')
}
respond @admins matched
respond @both matched
respond @block matched
respond @claims matched
respond @profile matched
respond @function matched
respond @anyone matched
respond @suspended matched
respond @expression matched
`

const matchersProfile = `oidc_rp {
	profile known {
		require group staff
		deny claim suspended true
	}
}`

func TestMatchersOfSignedInUsers(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newHarness(t, `
oidc_rp public {
	`+options(op)+`
	session {
		claims name
	}
	private /login
}
`+matchersSite, matchersProfile)
	all := []string{"/admins", "/both", "/block", "/claims", "/profile", "/function", "/anyone", "/suspended", "/expression"}
	for _, row := range []struct {
		name, claims string // no claims: not signed in
		matched      string
	}{
		{"unauthenticated", "", "/anyone /suspended /expression"},
		{"an admin", `{"groups": ["admins", "staff"], "level": 3, "org": {"unit": "ops"}}`, "/admins /both /block /claims /profile /function /suspended /expression"},
		{"staff of another level", `{"groups": ["staff"], "level": 4, "org": {"unit": "ops"}}`, "/both /profile /suspended /expression"},
		{"a suspended user", `{"groups": ["admins"], "level": 3, "org": {"unit": "hr"}, "suspended": true}`, "/admins /function"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := r.browser()
			if row.claims != "" {
				says(t, op, row.claims)
				check(required{t}, b.open(rpURL+"/login")).status(http.StatusOK).endsAt("/login")
			}
			var matched []string
			for _, path := range all {
				p := b.get(rpURL + path)
				if p.StatusCode != http.StatusOK {
					t.Errorf("%s: expected status 200, seen %d\n%s", path, p.StatusCode, r.logs())
				}
				if p.body == "matched" {
					matched = append(matched, path)
				}
			}
			if got := strings.Join(matched, " "); got != row.matched {
				t.Errorf("expected a match for %s, seen one for %s", row.matched, got)
			}
		})
	}
}

// Without a guard nothing is known about the user, so even a negated matcher must not
// match: all of them are errors.
func TestMatchersWithoutAGuardAreErrors(t *testing.T) {
	t.Parallel()
	for name, guard := range map[string]string{
		"no guard at all": "",
		"a guard for other paths": `oidc_rp /private/* {
			OPTIONS
		}`,
		"the endpoints alone": `oidc_rp endpoints {
			OPTIONS
		}`,
		"a guard in another handle": `handle /x/* {
			oidc_rp {
				OPTIONS
			}
		}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarness(t, strings.ReplaceAll(guard, "OPTIONS", options(op))+matchersSite, matchersProfile)
			for _, path := range []string{"/admins", "/claims", "/anyone", "/suspended", "/expression", "/function"} {
				if p := r.browser().get(rpURL + path); p.StatusCode != http.StatusInternalServerError {
					t.Errorf("%s: expected status 500, seen %d", path, p.StatusCode)
				}
			}
		})
	}
}

// A claim that the provider keeps elsewhere (a distributed claim) is unknown, which is not
// the same as absent.
func TestMatchersOfClaimsThatCouldNotBeHadAreErrors(t *testing.T) {
	t.Parallel()
	for matcher, want := range map[string]int{
		"oidc_rp":                                                    http.StatusOK,
		"oidc_rp_claim level 3":                                      http.StatusOK,
		"oidc_rp_claim suspended true":                               http.StatusInternalServerError,
		"not oidc_rp_claim suspended true":                           http.StatusInternalServerError,
		"oidc_rp profile known":                                      http.StatusInternalServerError,
		"expression !oidc_rp_claim('suspended', 'true')":             http.StatusInternalServerError,
		"expression oidc_rp() || oidc_rp_claim('suspended', 'true')": http.StatusOK,
		`oidc_rp {
			any {
				group staff
				claim suspended true
			}
		}`: http.StatusOK,
		`oidc_rp {
			any {
				group none
				claim suspended true
			}
		}`: http.StatusInternalServerError,
		`oidc_rp {
			group none
			claim suspended true
		}`: http.StatusOK,
		"oidc_rp expression claims.suspended == true": http.StatusInternalServerError,
	} {
		t.Run(matcher, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, oidctest.ClaimsInIDToken())
			r := newHarness(t, `
oidc_rp public {
	`+options(op)+`
}
@m `+matcher+`
respond @m matched
`, matchersProfile)
			says(t, op, `{"groups": ["staff"], "level": 3, "_claim_names": {"suspended": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://op.example/claims"}}}`)
			b := r.browser()
			b.open(rpURL + "/@app/auth/default/login")
			if p := b.get(rpURL + "/"); p.StatusCode != want {
				t.Errorf("expected status %d, seen %d\n%s", want, p.StatusCode, r.logs())
			}
		})
	}
}

// A session that is older than a matcher lacks the claim that the matcher names. Its user
// logs in again on private pages, and is anonymous on public pages until then.
func TestMatchersSeeNoSessionThatLacksTheirClaims(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	here, there := reloaded(t, op, `
		session {
			claims name
		}
		public /open /suspended
	`, `
		session {
			claims name
		}
		public /open /suspended
	}
	@suspended oidc_rp_claim suspended true
	respond @suspended suspended
	@others not oidc_rp_claim suspended true
	respond @others others
	route {
	`)
	says(t, op, `{"suspended": true}`)
	b := here.browser()
	b.open(rpURL + "/x")
	moveTo(b, there)
	if p := b.get(rpURL + "/open"); p.body != "others" {
		t.Errorf("expected the user to be anonymous on a public page, seen status %d, %q", p.StatusCode, p.body)
	}
	if p := b.open(rpURL + "/x"); p.body != "suspended" {
		t.Errorf("expected a login that asks for the claim, seen status %d, %q\n%s", p.StatusCode, p.body, there.logs())
	}
	if p := b.get(rpURL + "/open"); p.body != "suspended" {
		t.Errorf("expected the claim on a public page as well, seen status %d, %q", p.StatusCode, p.body)
	}
}

// Matchers on error pages see the user whom the guard has identified.
func TestMatchersOnErrorPages(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	error_pages caddy
	private /owners {
		require group owners
	}
}
handle_errors {
	@staff oidc_rp group staff
	respond @staff "staff, {http.oidc_rp.error.code}"
	respond "others, {http.oidc_rp.error.code}"
}
`)
	b := r.browser()
	if p := b.send(http.MethodPost, rpURL+"/x", map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}); !strings.HasPrefix(p.body, "others") {
		t.Errorf("expected no match for an unauthenticated user, seen status %d, %q", p.StatusCode, p.body)
	}
	b.open("/")
	if p := b.get(rpURL + "/owners"); p.body != "staff, forbidden" {
		t.Errorf("expected a match for the refused user, seen status %d, %q\n%s", p.StatusCode, p.body, r.logs())
	}
}

// A rule about the path in a matcher considers every reading of the path, too.
func TestMatchersSeeEveryReadingOfAPath(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
}
@elsewhere oidc_rp expression `+"`!request.path.startsWith(\"/admin\")`"+`
respond @elsewhere elsewhere
`)
	b := r.browser()
	b.open("/")
	before := r.upstream.count()
	for _, path := range adminPaths {
		p := r.rawGet(path, "Accept: text/html", "Cookie: "+b.cookieHeader())
		if p.body == "elsewhere" {
			t.Errorf("%q: expected no match, seen one", path)
		}
	}
	if got := r.upstream.count() - before; got != len(adminPaths) {
		t.Errorf("expected the other requests to reach the application, %d of them, seen %d", len(adminPaths), got)
	}
	if p := b.get(rpURL + "/other"); p.body != "elsewhere" {
		t.Errorf("expected a match for another path, seen %q", p.body)
	}
}

// Conditions that the guard evaluates before it knows the user cannot contain these
// matchers, at any depth.
func TestMatchersAreRefusedBeforeTheGuard(t *testing.T) {
	t.Parallel()
	const refused = "is for routes behind the guard"
	for name, site := range map[string]string{
		"a private route": `@m oidc_rp group a
		oidc_rp {
			OPTIONS
			private @m
		}`,
		"a public route": `@m oidc_rp_claim a b
		oidc_rp {
			OPTIONS
			public @m
		}`,
		"the guard's own matcher": `@m not oidc_rp
		oidc_rp @m {
			OPTIONS
		}`,
		"an expression": `@m expression oidc_rp('group', 'a')
		oidc_rp {
			OPTIONS
			public @m
		}`,
		"an expression inside of not": `@m {
			not {
				expression !oidc_rp_claim('a', 'b')
			}
		}
		oidc_rp {
			OPTIONS
			private @m
		}`,
		"a rule": `oidc_rp {
			OPTIONS
			require expression oidc_rp('group', 'a')
		}`,
	} {
		op := newOP(t)
		config, err := adapt(`{
			admin off
			auto_https off
			storage file_system ` + t.TempDir() + `
		}
		http://rp.test {
			` + strings.ReplaceAll(site, "OPTIONS", options(op)) + `
		}
		`)
		if err == nil {
			err = tryProvision(config)
		}
		failsWith(t, name, err, refused)
	}
	for name, expression := range map[string]string{
		"takes texts in quotes": "oidc_rp('group', {http.request.host})", "unrecognized rule 'grup'": "oidc_rp('grup', 'a')",
		"claim takes the path": "oidc_rp_claim()", "there is no profile": "oidc_rp('profile', 'none')",
	} {
		op := newOP(t)
		config, err := adapt(`{
			admin off
			auto_https off
			storage file_system ` + t.TempDir() + `
		}
		http://rp.test {
			oidc_rp {
				` + options(op) + `
			}
			@m expression ` + expression + `
			respond @m x
		}
		`)
		if err == nil {
			err = tryProvision(config)
		}
		failsWith(t, expression, err, name)
	}
}

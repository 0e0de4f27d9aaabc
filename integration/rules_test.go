package integration_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// says sets claims of the provider's ID tokens, as JSON.
func says(t *testing.T, op *oidctest.Provider, claims string) {
	t.Helper()
	var said map[string]any
	if err := json.Unmarshal([]byte(claims), &said); err != nil {
		t.Fatal(err)
	}
	claimsOf(op, said)
}

// statusOf signs a new browser in at a page and returns the final status.
func (r *harness) statusOf(path string) int {
	r.t.Helper()
	return r.browser().open(rpURL + path).StatusCode
}

func TestRulesOfASiteAndOfARouteAddUp(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	require group staff
	private /admin /admin/* {
		require group admins
		deny claim on_leave true
	}
	public /assets/*
}
`)
	for _, row := range []struct {
		name, claims  string
		page, private int
	}{
		{"in no group", `{"groups": []}`, http.StatusForbidden, http.StatusForbidden},
		{"staff", `{"groups": ["staff"]}`, http.StatusOK, http.StatusForbidden},
		{"an admin who is no staff", `{"groups": ["admins"]}`, http.StatusForbidden, http.StatusForbidden},
		{"an admin", `{"groups": ["staff", "admins"]}`, http.StatusOK, http.StatusOK},
		{"an admin on leave", `{"groups": ["staff", "admins"], "on_leave": true}`, http.StatusOK, http.StatusForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			says(t, op, row.claims)
			if got := r.statusOf("/"); got != row.page {
				t.Errorf("expected status %d for the site, seen %d\n%s", row.page, got, r.logs())
			}
			if got := r.statusOf("/admin/users"); got != row.private {
				t.Errorf("expected status %d for the route, seen %d\n%s", row.private, got, r.logs())
			}
		})
	}
}

// The rules of a route apply to every path that an application could read as one of the
// route.
func TestRulesHoldInEveryReadingOfAPath(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	private /admin /admin/* {
		require group owners
	}
}
`)
	b := r.browser()
	if p := b.open("/"); p.StatusCode != http.StatusOK {
		t.Fatalf("expected the user to be let in elsewhere, seen status %d\n%s", p.StatusCode, r.logs())
	}
	before := r.upstream.count()
	for _, path := range []string{
		"/admin", "/admin/x", "/ADMIN/x", "/admin;x/y", "/admin;a=b", "/%2561dmin/x", "/x/..%5cadmin/y", "/admin./x", "/admin%20/x", "/admin%00", "/admin%00/x",
		"//admin/x", "/./admin/x", "/a/../admin/x", "/a/%2e%2e/admin/x", "/a/..%2fadmin/x", "/a/..;/admin/x", "/%61dmin/x", "/admin%2fx", "/admin%252fx",
		`/admin\x`, "/admin%5cx", "/admin.../x", "/admin/../admin/x", "/%2fadmin/x", "/admin%3bx/y", "/admin%2e/x", "/admin?x",
	} {
		p := r.rawGet(path, "Accept: text/html", "Cookie: "+b.cookieHeader())
		if p.StatusCode != http.StatusForbidden && p.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: expected status 403, seen %d", path, p.StatusCode)
		}
	}
	if got := r.upstream.count(); got != before {
		_, at := r.upstream.got()
		t.Errorf("expected the application to see none of these requests, seen %d of them, the last for %q", got-before, at)
	}
}

// A HEAD request is judged as GET, whichever of the two a matcher names. No other methods
// are treated alike.
func TestRulesJudgeHEADAsGET(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
@reports {
	path /reports/*
	method GET
}
@open {
	path /open/*
	method GET
}
@probe {
	path /probe
	method HEAD
}
@both {
	path /reports/both
	method HEAD
}
@partly {
	path /reports/open/*
	method HEAD
}
oidc_rp {
	`+options(op)+`
	public @partly
	private @reports {
		require group auditors
	}
	private @both {
		require group staff
	}
	public @open @probe
}
`)
	b := r.browser()
	b.open("/")
	for _, row := range []struct {
		method, path      string
		signedIn, unknown int
	}{
		{"GET", "/reports/x", http.StatusForbidden, http.StatusUnauthorized},
		{"HEAD", "/reports/x", http.StatusForbidden, http.StatusUnauthorized},
		{"HEAD", "/reports/both", http.StatusForbidden, http.StatusUnauthorized},
		{"HEAD", "/reports/open/x", http.StatusForbidden, http.StatusUnauthorized},
		{"OPTIONS", "/reports/x", http.StatusOK, http.StatusUnauthorized},
		{"POST", "/reports/x", http.StatusOK, http.StatusUnauthorized},
		{"GET", "/open/x", http.StatusOK, http.StatusOK},
		{"HEAD", "/open/x", http.StatusOK, http.StatusOK},
		{"OPTIONS", "/open/x", http.StatusOK, http.StatusUnauthorized},
		{"HEAD", "/probe", http.StatusOK, http.StatusOK},
		{"GET", "/probe", http.StatusOK, http.StatusUnauthorized},
	} {
		program := map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
		if p := b.send(row.method, rpURL+row.path, program); p.StatusCode != row.signedIn {
			t.Errorf("%s %s: expected status %d, seen %d", row.method, row.path, row.signedIn, p.StatusCode)
		}
		if p := r.browser().send(row.method, rpURL+row.path, program); p.StatusCode != row.unknown {
			t.Errorf("%s %s, unauthenticated: expected status %d, seen %d", row.method, row.path, row.unknown, p.StatusCode)
		}
	}
}

// If the readings of one path belong to several routes, the rules of all of them apply.
func TestRulesOfSeveralReadingsAddUp(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	private /a/* {
		require group a
	}
	private /b/* {
		require group b
	}
}
`)
	for claims, want := range map[string]int{
		`{"groups": ["a"]}`: http.StatusForbidden, `{"groups": ["b"]}`: http.StatusForbidden, `{"groups": ["a", "b"]}`: http.StatusOK,
	} {
		says(t, op, claims)
		b := r.browser()
		b.open("/")
		p := r.rawGet("/a/..%2fb/x", "Accept: text/html", "Cookie: "+b.cookieHeader())
		if p.StatusCode != want {
			t.Errorf("%s: expected status %d, seen %d", claims, want, p.StatusCode)
		}
	}
}

// Public routes refuse no user. A user whom a rule refuses is anonymous there.
func TestRefusedUsersAreAnonymousOnPublicRoutes(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newHarness(t, `
oidc_rp public {
	`+options(op)+`
	require group staff
	private /members/* {
		require group members
	}
	public /about
}
`)
	for claims, want := range map[string]string{
		`{"groups": ["staff"]}`:   "application sees alice",
		`{"groups": ["members"]}`: "application sees ",
	} {
		says(t, op, claims)
		b := r.browser()
		b.open(rpURL + "/members/x")
		for _, path := range []string{"/", "/about"} {
			p := b.get(rpURL + path)
			if p.StatusCode != http.StatusOK {
				t.Errorf("%s, %s: expected status 200, seen %d", claims, path, p.StatusCode)
			}
			if p.body != want {
				t.Errorf("%s, %s: expected %q, seen %q", claims, path, want, p.body)
			}
		}
	}
}

func TestRefusalSaysWhoWasRefused(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	private /quiet {
		require group "<b>owners</b>"
	}
	private /loud {
		require group "<b>owners</b>"
		explain on
	}
}
`)
	b := r.browser()
	b.open("/")
	quiet, loud := b.get(rpURL+"/quiet"), b.get(rpURL+"/loud")
	for _, p := range []*visited{quiet, loud} {
		if p.StatusCode != http.StatusForbidden {
			t.Errorf("%s: expected status 403, seen %d", p.url, p.StatusCode)
		}
		for _, text := range []string{"You are signed in as <strong>alice</strong>", "Use another account", "prompt=select_account", "Sign out", "/Special:UserLogout"} {
			if !strings.Contains(p.body, text) {
				t.Errorf("%s: expected the page to have %q, seen\n%s", p.url, text, p.body)
			}
		}
	}
	if strings.Contains(quiet.body, "owners") {
		t.Errorf("expected a page that does not explain, seen\n%s", quiet.body)
	}
	if text := "<code>require group &lt;b&gt;owners&lt;/b&gt;</code>"; !strings.Contains(loud.body, text) {
		t.Errorf("expected a page that explains with %q, seen\n%s", text, loud.body)
	}
	holdFields(t, r.lastAudited("refused"), alice(op, map[string]any{"code": "forbidden", "rule": "require group <b>owners</b>"}))
}

// Pages and logs show a rule as it is written. The value of a placeholder stays secret.
func TestRefusalShowsTheRuleAsItIsWritten(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	file := filepath.Join(t.TempDir(), "group")
	if err := os.WriteFile(file, []byte("owners-of-everything\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	explain on
	private /one {
		require group {file.`+file+`}
	}
	private /any {
		require any {
			group {file.`+file+`}
			user mallory
		}
	}
}
`)
	b := r.browser()
	b.open("/")
	for path, rule := range map[string]string{"/one": "require group {file." + file + "}", "/any": "require any { group {file." + file + "}; user mallory }"} {
		if p := b.get(rpURL + path); !strings.Contains(p.body, "<code>"+rule+"</code>") {
			t.Errorf("%s: expected a page with %q, seen\n%s", path, rule, p.body)
		}
		holdFields(t, r.lastAudited("refused"), alice(op, map[string]any{"code": "forbidden", "rule": rule}))
	}
	if strings.Contains(r.logs(), "owners-of-everything") {
		t.Errorf("expected a log without what the placeholder stands for, seen\n%s", r.logs())
	}
}

func TestRefusalOfAProgramIsAProblem(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	require group staff
	private /api {
		require group owners
		explain on
	}
}
`)
	b := r.browser()
	b.open("/")
	p := b.send(http.MethodPost, rpURL+"/api", map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})
	var problem struct {
		Reason, Rule, User, Provider string
		LoginURL                     string `json:"login_url"`
		LogoutURL                    string `json:"logout_url"`
	}
	if err := json.Unmarshal([]byte(p.body), &problem); err != nil {
		t.Fatalf("expected a problem document, seen %s", p.body)
	}
	if p.StatusCode != http.StatusForbidden {
		t.Errorf("expected status 403, seen %d", p.StatusCode)
	}
	for name, row := range map[string][2]string{
		"reason": {problem.Reason, "forbidden"}, "rule": {problem.Rule, "require group owners"}, "user": {problem.User, "alice"}, "provider": {problem.Provider, "default"},
		"login_url": {problem.LoginURL, "/@app/auth/default/login?returnto=%2Fapi&prompt=select_account"}, "logout_url": {problem.LogoutURL, "/Special:UserLogout"},
	} {
		if seen, want := row[0], row[1]; seen != want {
			t.Errorf("%s: expected %q, seen %q", name, want, seen)
		}
	}
}

// Rules of a site apply to all its providers, and the page names the provider at which the
// refused user has signed in.
func TestRefusalNamesTheProvider(t *testing.T) {
	t.Parallel()
	corp, partner := newOP(t), newOP(t)
	corp.Register(rpURL + "/@app/auth/corp/code")
	partner.Register(rpURL + "/@app/auth/partner/code")
	r := newHarness(t, `
oidc_rp {
	provider corp {
		`+options(corp)+`
	}
	provider partner {
		`+options(partner)+`
	}
	default_provider corp
	require group admins
}
`)
	if p := r.browser().open(rpURL + "/"); p.StatusCode != http.StatusOK {
		t.Errorf("expected an admin of the default provider to be let in, seen status %d", p.StatusCode)
	}
	p := r.browser().open(rpURL + "/@app/auth/partner/login")
	if p.StatusCode != http.StatusForbidden {
		t.Errorf("expected an admin of another provider to be refused, seen status %d", p.StatusCode)
	}
	if want := "You are signed in as <strong>partner/alice</strong> at <strong>partner</strong>"; !strings.Contains(p.body, want) {
		t.Errorf("expected a page with %q, seen\n%s", want, p.body)
	}
}

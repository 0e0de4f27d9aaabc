package integration_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestExpressionsDecideWhoMayEnter(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	require expression "staff" in groups && claims.level > 2
	private /finance /finance/* {
		require any {
			group cfo
			expression claims.org.unit == "finance"
		}
		deny expression claims.on_leave == true
	}
	private /own/* {
		require expression `+"`"+`request.path == "/own/" + user`+"`"+`
	}
	private /mixed {
		require expression {http.auth.user.id} == "alice" && {http.request.uri.query.day} != "sunday" && method('GET') && provider == "default"
	}
}
`)
	for _, row := range []struct {
		name, claims string
		page         string
		want         int
	}{
		{"the expression is true", `{"groups": ["staff"], "level": 3}`, "/", http.StatusOK},
		{"the expression is false", `{"groups": ["staff"], "level": 2}`, "/", http.StatusForbidden},
		{"a claim is not there", `{"groups": ["staff"]}`, "/", http.StatusForbidden},
		{"a claim is of another type", `{"groups": ["staff"], "level": "3"}`, "/", http.StatusForbidden},
		{"another group", `{"groups": ["other"], "level": 3}`, "/", http.StatusForbidden},
		{"the groups are one name", `{"groups": "staff", "level": 3}`, "/", http.StatusOK},
		{"an alternative holds, and deny is false", `{"groups": ["staff"], "level": 3, "org": {"unit": "finance"}, "on_leave": false}`, "/finance/x", http.StatusOK},
		{"another alternative holds although the expression fails", `{"groups": ["staff", "cfo"], "level": 3, "on_leave": false}`, "/finance/x", http.StatusOK},
		{"no alternative holds", `{"groups": ["staff"], "level": 3, "org": {"unit": "sales"}, "on_leave": false}`, "/finance/x", http.StatusForbidden},
		{"deny is true", `{"groups": ["staff", "cfo"], "level": 3, "on_leave": true}`, "/finance/x", http.StatusForbidden},
		{"deny is about a claim that is not there", `{"groups": ["staff", "cfo"], "level": 3}`, "/finance/x", http.StatusForbidden},
		{"the path is the user's", `{"groups": ["staff"], "level": 3}`, "/own/alice", http.StatusOK},
		{"the path is of another user", `{"groups": ["staff"], "level": 3}`, "/own/bob", http.StatusForbidden},
		{"placeholders and matchers are true", `{"groups": ["staff"], "level": 3}`, "/mixed?day=monday", http.StatusOK},
		{"a placeholder is not", `{"groups": ["staff"], "level": 3}`, "/mixed?day=sunday", http.StatusForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			says(t, op, row.claims)
			if got := r.statusOf(row.page); got != row.want {
				t.Errorf("expected status %d for %s, seen %d\n%s", row.want, row.page, got, r.logs())
			}
		})
	}
}

// adminPaths are paths that some applications read as below /admin. As sent, none of them begins
// with /admin.
var adminPaths = []string{
	"/app/..;/admin", "/app/..;/admin/x", "/%2561dmin/x", "/x/..%5cadmin/y", "/a/..%2fadmin/x", "/a/../admin/x", "//admin/x", "/%61dmin/x", "/./admin", `/x/..\admin`, "/x%2f..%2fadmin",
}

// An expression about the path is evaluated for each reading of the path. require must hold for
// all of them, and deny for none.
func TestExpressionsSeeEveryReadingOfAPath(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]string{
		"require with the variable":   "require expression `!request.path.startsWith(\"/admin\")`",
		"deny with the variable":      "deny expression `request.path.startsWith(\"/admin\")`",
		"require with a placeholder":  "require expression `!{http.request.uri.path}.startsWith(\"/admin\")`",
		"deny with the original path": "deny expression `{http.request.orig_uri.path}.startsWith(\"/admin\")`",
		"require with a matcher":      "require expression `!path('/admin', '/admin/*')`",
		"deny with a matcher":         "deny expression `path('/admin', '/admin/*')`",
		"deny with a regexp":          "deny expression `path_regexp('^/admin')`",
		"deny in a profile":           "require profile no_admin",
		"require among alternatives": `require any {
			expression ` + "`!request.path.startsWith(\"/admin\")`" + `
			group owners
		}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	`+rule+`
}
`, `oidc_rp {
	profile no_admin {
		deny expression `+"`request.path.matches(\"^/admin(/|$)\")`"+`
	}
}`)
			b := r.browser()
			if p := b.open("/"); p.StatusCode != http.StatusOK {
				t.Fatalf("expected the user to be let in elsewhere, seen status %d\n%s", p.StatusCode, r.logs())
			}
			before := r.upstream.count()
			for _, path := range adminPaths {
				p := r.rawGet(path, "Accept: text/html", "Cookie: "+b.cookieHeader())
				if p.StatusCode != http.StatusForbidden {
					t.Errorf("%q: expected status 403, seen %d", path, p.StatusCode)
				}
			}
			long := "/" + strings.Repeat("a/", 5000) + ";b" // too long to try every reading
			if p := r.rawGet(long, "Accept: text/html", "Cookie: "+b.cookieHeader()); p.StatusCode != http.StatusForbidden {
				t.Errorf("expected status 403 for a path that is too long to read, seen %d", p.StatusCode)
			}
			if got := r.upstream.count(); got != before {
				_, at := r.upstream.got()
				t.Errorf("expected the application to see none of these requests, seen %d of them, the last for %q", got-before, at)
			}
			if p := r.rawGet("/app/..;/other", "Accept: text/html", "Cookie: "+b.cookieHeader()); p.StatusCode != http.StatusOK {
				t.Errorf("expected an odd path elsewhere to be served, seen status %d", p.StatusCode)
			}
			if _, at := r.upstream.got(); at != "/app/..;/other" {
				t.Errorf("expected the application to see the path as it was sent, seen %q", at)
			}
		})
	}
}

// After a rewrite before the guard, an expression sees both the path that was sent and the one
// that the application gets.
func TestExpressionsSeeThePathBeforeAndAfterARewrite(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
route {
	uri /old/* strip_prefix /old
	oidc_rp {
		`+options(op)+`
		deny expression `+"`request.path.startsWith(\"/old/secret\") || request.path.startsWith(\"/admin\")`"+`
	}
}
`)
	b := r.browser()
	b.open("/")
	for path, want := range map[string]int{"/old/x": http.StatusOK, "/old/secret": http.StatusForbidden, "/old/admin/x": http.StatusForbidden, "/old/%61dmin/x": http.StatusForbidden} {
		if p := b.get(rpURL + path); p.StatusCode != want {
			t.Errorf("%s: expected status %d, seen %d", path, want, p.StatusCode)
		}
	}
}

func TestExpressionsReadTheRequest(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	require expression `+"`request.host == \"rp.test\" && request.client_ip == \"127.0.0.1\" && request.method == \"GET\"`"+`
	deny expression `+"`\"x-user\" in request.header || \"x-blocked\" in request.header && \"yes\" in request.header[\"x-blocked\"]`"+`
	upstream {
		header X-User {http.auth.user.id}
	}
}
`)
	b := r.browser()
	b.open("/")
	for _, row := range []struct {
		name, method string
		header       map[string]string
		want         int
	}{
		{"as it should be", "GET", nil, http.StatusOK},
		{"HEAD is judged as GET", "HEAD", nil, http.StatusOK},
		{"another method", "DELETE", nil, http.StatusForbidden},
		{"a header", "GET", map[string]string{"X-Blocked": "yes"}, http.StatusForbidden},
		{"another value of it", "GET", map[string]string{"X-Blocked": "no"}, http.StatusOK},
		{"a header of ours that the client sent", "GET", map[string]string{"X-User": "admin"}, http.StatusOK},
	} {
		if p := b.send(row.method, rpURL+"/x", row.header); p.StatusCode != row.want {
			t.Errorf("%s: expected status %d, seen %d\n%s", row.name, row.want, p.StatusCode, r.logs())
		}
	}
	p := r.raw("GET /x HTTP/1.1", "Host: RP.test.:443", "Connection: close", "Accept: text/html", "Cookie: "+b.cookieHeader())
	if p.StatusCode >= 500 {
		t.Errorf("expected no error for another spelling of the host, seen status %d", p.StatusCode)
	}
}

// HEAD is treated as GET, however an expression reads the method.
func TestExpressionsJudgeHEADAsGET(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	private /variable {
		deny expression `+"`request.method == \"GET\"`"+`
	}
	private /matcher {
		deny expression `+"`method(\"GET\")`"+`
	}
	private /placeholder {
		deny expression `+"`{http.request.method} == \"GET\"`"+`
	}
	private /ok {
		require expression `+"`method(\"GET\")`"+`
	}
}
`)
	b := r.browser()
	b.open("/")
	program := map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
	for _, path := range []string{"/variable", "/matcher", "/placeholder"} {
		for method, want := range map[string]int{"GET": http.StatusForbidden, "HEAD": http.StatusForbidden, "POST": http.StatusOK} {
			if p := b.send(method, rpURL+path, program); p.StatusCode != want {
				t.Errorf("%s %s: expected status %d, seen %d\n%s", method, path, want, p.StatusCode, r.logs())
			}
		}
	}
	if p := b.send("HEAD", rpURL+"/ok", program); p.StatusCode != http.StatusOK {
		t.Errorf("HEAD /ok: expected status 200, seen %d\n%s", p.StatusCode, r.logs())
	}
}

// Before the TLS handshake is complete, the client's address is easily forged.
func TestExpressionsAboutTheClientWaitForTheHandshake(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	private /variable {
		require expression request.client_ip == "192.0.2.1"
	}
	private /matcher {
		deny expression client_ip('192.0.2.1')
	}
	private /alternative {
		require any {
			expression request.client_ip == "203.0.113.1"
			user alice
		}
	}
}
`)
	b := r.browser()
	b.open("/")
	cookies := b.cookieHeader()
	for _, row := range []struct {
		path     string
		complete bool
		want     int
	}{
		{"/variable", false, http.StatusTooEarly},
		{"/variable", true, http.StatusOK},
		{"/matcher", false, http.StatusTooEarly},
		{"/matcher", true, http.StatusForbidden},
		{"/alternative", false, http.StatusOK},
		{"/", false, http.StatusOK},
	} {
		request := httptest.NewRequest(http.MethodGet, rpURL+row.path, nil)
		request.TLS = &tls.ConnectionState{HandshakeComplete: row.complete}
		request.Header.Set("Accept", "text/html")
		request.Header.Set("Cookie", cookies)
		w := httptest.NewRecorder()
		r.handler().ServeHTTP(w, request)
		if w.Code != row.want {
			t.Errorf("%s, handshake complete %v: expected status %d, seen %d\n%s", row.path, row.complete, row.want, w.Code, r.logs())
		}
	}
}

// Errors are logged once a minute for each expression, without values from the request or the
// session.
func TestErrorsOfExpressionsAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	stop(t)
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	private /x {
		require expression claims[request.header["x-key"][0]] == 1
	}
}
`)
	b := r.browser()
	b.open("/")
	count := func() int { return strings.Count(r.logs(), "an expression of a rule could not be evaluated") }
	for range 3 {
		if p := b.send(http.MethodGet, rpURL+"/x", map[string]string{"X-Key": "hunter2"}); p.StatusCode != http.StatusForbidden {
			t.Errorf("expected status 403, seen %d", p.StatusCode)
		}
	}
	if got := count(); got != 1 {
		t.Errorf("expected one line, seen %d", got)
	}
	r.ahead(61 * time.Second)
	b.send(http.MethodGet, rpURL+"/x", map[string]string{"X-Key": "hunter2"})
	if got := count(); got != 2 {
		t.Errorf("expected a second line a minute later, seen %d lines", got)
	}
	if logs := r.logs(); strings.Contains(logs, "hunter2") {
		t.Errorf("expected no values in the log, seen\n%s", logs)
	}
	if logs := r.logs(); !strings.Contains(logs, `"error":"no such key"`) {
		t.Errorf("expected the log to say what was wrong, seen\n%s", logs)
	}
}

// Claims in an expression are requested and kept like those in any other rule.
func TestExpressionsNameClaims(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	session {
		claims name
	}
	private /variable {
		require expression claims.department == "sales" && claims["https://x.example/level"] == 3
	}
	private /placeholder {
		require expression {http.auth.user.claims.org.unit} == "ops"
	}
}
`)
	says(t, op, `{"department": "sales", "https://x.example/level": 3, "org": {"unit": "ops"}, "other": "x"}`)
	b := r.browser()
	for _, path := range []string{"/variable", "/placeholder"} {
		if p := b.open(rpURL + path); p.StatusCode != http.StatusOK {
			t.Errorf("%s: expected that the claims of userinfo are kept, seen status %d\n%s", path, p.StatusCode, r.logs())
		}
	}
}

// A deny rule fails closed if userinfo cannot be read.
func TestExpressionsRefuseWhatCouldNotBeHad(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{
		`deny expression has(claims.contractor) && claims.contractor == true`, `deny expression "contractors" in groups`, `deny expression {http.auth.user.claims.contractor} == "true"`,
	} {
		op := newOP(t, oidctest.ClaimsInIDToken())
		r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	userinfo never
	`+rule+`
}
`)
		says(t, op, `{"groups": null, "_claim_names": {"groups": "src1", "contractor": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://op.example/claims"}}}`)
		if got := r.statusOf("/"); got != http.StatusForbidden {
			t.Errorf("%s: expected status 403 for claims that the provider keeps elsewhere, seen %d", rule, got)
		}
		holdFields(t, r.lastAudited("refused"), map[string]any{"code": "forbidden", "user": "alice"})
		says(t, op, `{"groups": ["staff"]}`)
		if got := r.statusOf("/"); got != http.StatusOK {
			t.Errorf("%s: expected status 200 for claims that are not there, seen %d\n%s", rule, got, r.logs())
		}
	}
}

func TestAllClaimsAsOneText(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	session {
		claims department org
	}
	require amr mfa
	upstream {
		header X-Claims {http.auth.user.claims}
	}
}
`)
	says(t, op, `{"department": "sales, \"north\"", "org": {"level": 3}, "other": "x", "amr": ["mfa"]}`)
	if got := r.statusOf("/"); got != http.StatusOK {
		t.Errorf("expected status 200, seen %d", got)
	}
	header, _ := r.upstream.got()
	if got, want := header.Get("X-Claims"), `{"department":"sales, \"north\"","org":{"level":3},"sub":"u-1001"}`; got != want {
		t.Errorf("expected the claims that are kept, %s, seen %s\n%s", want, got, r.logs())
	}
}

// In an expression, all claims together are a map.
func TestAllClaimsHaveTypes(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	require expression {http.auth.user.claims}.org.level == 3 && size(claims) == size({http.auth.user.claims})
}
`)
	says(t, op, `{"org": {"level": 3}}`)
	if got := r.statusOf("/"); got != http.StatusOK {
		t.Errorf("expected status 200, seen %d\n%s", got, r.logs())
	}
}

package caddycel_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"cel.dev/cel-go/common/types/ref"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	_ "github.com/caddy-oidc-rp/caddy-oidc-rp" // its matchers provide the requests

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddycel"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/expression"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// newContext returns the context of a module.
func newContext(t testing.TB) caddy.Context {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	return ctx
}

func newEnvironment(t testing.TB, ctx caddy.Context) *expression.Environment {
	t.Helper()
	options, programs, err := caddycel.Options(ctx)
	if err != nil {
		t.Fatal(err)
	}
	environment, err := expression.NewEnvironment(options, programs)
	if err != nil {
		t.Fatal(err)
	}
	return environment
}

// newRequest returns a request as Caddy hands it to handlers.
func newRequest(t testing.TB) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://app.test:8080/a/b.html?q=1&q=2&x=y", nil)
	r.Header.Set("X-Team", "red")
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), new(caddyhttp.Server))
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "192.0.2.1")
	caddyhttp.SetVar(r.Context(), "color", "blue")
	return r
}

// world is the source of the variables in tests.
type world struct {
	r        *http.Request
	requests *caddycel.Requests
	matchers bool
	value    ref.Val
}

var alice = identity.User{Session: &session.Session{Username: "alice"}, Mapping: &identity.Mapping{Provider: "corp"}}

func (w *world) User() identity.User       { return alice }
func (w *world) HTTP() *http.Request       { return w.r }
func (w *world) ClientIP() (string, error) { return "192.0.2.1", nil }
func (w *world) Value() (ref.Val, error) {
	if !w.matchers {
		return caddycel.Plain(w.r), nil
	}
	var err error
	if w.value == nil {
		w.value, err = w.requests.Value(w.r)
	}
	return w.value, err
}

// verdicts returns the results of Caddy's expression matcher and of this plugin:
// whether the text is refused, the result, and whether there was an error.
func verdicts(t testing.TB, environment *expression.Environment, requests *caddycel.Requests, ctx caddy.Context, text string) (caddys, ours [3]bool) {
	t.Helper()
	r := newRequest(t)
	matcher := caddyhttp.MatchExpression{Expr: text}
	if err := matcher.Provision(ctx); err != nil {
		caddys[0] = true
	} else {
		holds, err := matcher.MatchWithError(r)
		caddys = [3]bool{false, holds, err != nil}
	}
	program, err := environment.Compile(text)
	if err != nil {
		ours[0] = true
		return caddys, ours
	}
	holds, err := program.Eval(&world{r: r, requests: requests, matchers: program.Matchers})
	return caddys, [3]bool{false, holds, err != nil}
}

// expressions are examples of every kind in Caddy's documentation and tests.
var expressions = []string{
	`true`, `false`, `1 + 1`, `1 + `, ``, `"text"`, `{http.request.host}`,
	`{http.request.host} == "app.test"`, `{http.request.host}=="app.test" && {http.request.uri.path} == "/a/b.html"`,
	`{http.request.method}.startsWith("G")`, `{http.request.header.X-Team} == "red"`, `{http.vars.color} in ["blue", "red"]`,
	`{http.none} == null`, `{http.none}.size() == 0`, `{http.request.port} > 80`, `int({http.request.port}) > 80`,
	`"\{http.request.host}" == "{" + "http.request.host}"`, `'{http.request.host}' == 'ph(req, "http.request.host")'`, `"{http.request.host}" == ""`, `{aa}{bb} == ""`,
	`ph(req, "http.request.host") == "app.test"`, `ph(req, "http.request." + "host") == "app.test"`, `ph("x", "y") == ""`, `req == req`, `req == 1`,
	`path('/a/*')`, `path('/c*', '/A/B.html')`, `path({http.request.uri.path})`, `path('/\{http.vars.color}')`, `path()`, `path(1)`,
	`path_regexp('^/a/(.*)$') && {http.regexp.1} == "b.html"`, `path_regexp('name', '^/a/(.*)$') && {http.regexp.name.1} == "b.html"`, `path_regexp('(')`,
	`host('app.test')`, `host('*.test', 'x')`, `method('GET', 'POST')`, `method("PUT")`,
	`query({'q': '1'})`, `query({"q": ["2", "3"]})`, `query({'none': '*'})`, `header({'X-Team': 'red'})`, `header({'X-Team': ['blue', 'r*']})`, `header({'X-Team': 1})`,
	`header_regexp('X-Team', '^(r)')`, `header_regexp('n', 'X-Team', '^(r)') && {http.regexp.n.1} == "r"`, `vars({'color': 'blue'})`, `vars({'\{http.request.host}': 'app.test'})`,
	`vars_regexp('color', '^b')`, `protocol('http')`, `protocol('https')`, `remote_ip('192.0.2.0/24')`, `remote_ip({http.vars.net})`, `client_ip('192.0.2.1')`, `client_ip('x')`,
	`file()`, `file({'try_files': ['/none']})`, `url_pattern('/a/*')`, `tls({'handshake_complete': true})`,
	`["a", "b"].exists(x, x == "b")`, `[1, 2].all(x, x > 0) && {"k": 1}.k == 1`, `cel.bind(x, {http.request.host}, x == "app.test")`, `math.greatest(1, 2) == 2`,
	`lists.range(3) == [0, 1, 2]`, `"a,b".split(",")[1] == "b"`, `"%s".format(["x"]) == "x"`, `[3, 1].sort() == [1, 3]`, `has({"a": 1}.a)`, `timestamp("2026-01-01T00:00:00Z") < timestamp("2027-01-01T00:00:00Z")`,
	`duration("1h") > duration("1m")`, `"abc".matches("^a")`, `optional.of(1).hasValue()`, `sets.contains([1], [1])`, `base64.encode(b"x") == "eA=="`, `{http.request.uri.query.q} == "1"`,
	`1 / 0 == 1`, `[1][5] == 1`, `{"a": 1}["b"] == 1`, `1/0 == 1 || true`,
}

// The plugin accepts the same expressions as Caddy's expression matcher, with the same
// results.
func TestExpressionsMeanWhatTheyMeanToCaddy(t *testing.T) {
	ctx := newContext(t)
	environment := newEnvironment(t, ctx)
	requests, err := caddycel.NewRequests(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range expressions {
		if caddys, ours := verdicts(t, environment, requests, ctx, text); caddys != ours {
			t.Errorf("%s: expected what Caddy makes of it (refused, holds, fails: %v), seen %v", text, caddys, ours)
		}
	}
}

var ourWords = regexp.MustCompile(`\b(claims|groups|user|provider|request|oidc_rp\w*)\b`)

func FuzzExpressionsMeanWhatTheyMeanToCaddy(f *testing.F) {
	for _, text := range expressions {
		f.Add(text)
	}
	ctx := newContext(f)
	environment := newEnvironment(f, ctx)
	requests, err := caddycel.NewRequests(ctx)
	if err != nil {
		f.Fatal(err)
	}
	var mu sync.Mutex
	f.Fuzz(func(t *testing.T, text string) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := environment.Check(text); err != nil && err.Error() == "" {
			t.Errorf("%q: expected an error to say something", text)
		}
		if ourWords.MatchString(text) || strings.TrimSpace(text) == "" || strings.Contains(text, "file") {
			return // the plugin's variables, a text that only it refuses, or the disk
		}
		caddys, ours := verdicts(t, environment, requests, ctx, text)
		if strings.Count(text, "(") > 3 && ours[2] && !caddys[2] {
			return // the limit on its work
		}
		if caddys != ours {
			t.Errorf("%q: expected what Caddy makes of it (refused, holds, fails: %v), seen %v", text, caddys, ours)
		}
	})
}

// The plugin copies Caddy's environment, except for the functions of matchers. This
// test fails if Caddy changes it.
func TestEnvironmentIsThatOfCaddy(t *testing.T) {
	t.Parallel()
	folder, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/caddyserver/caddy/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(folder)), "modules", "caddyhttp", "celmatcher.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(source), "env, err := cel.NewEnv(")
	text, _, _ = strings.Cut(text, "if err != nil")
	calls := regexp.MustCompile(`\b(?:cel|ext)\.[A-Z]\w+\(`).FindAllString(text, -1)
	want := []string{"cel.Function(", "cel.SingletonBinaryBinding(", "cel.Overload(", "cel.Variable(", "cel.CustomTypeAdapter(", "ext.Strings(", "ext.Bindings(", "ext.Lists(", "ext.Math("}
	if !slices.Equal(calls, want) {
		t.Errorf("expected Caddy's environment to be made of %q, seen %q: change Options as well", want, calls)
	}
	for _, expression := range []string{"`([^\\\\]|^){([a-zA-Z][\\w.-]+)}`", "`\\\\{([a-zA-Z][\\w.-]+)}`"} {
		if !strings.Contains(string(source), expression) {
			t.Errorf("expected Caddy to expand placeholders by %s, seen that it does not: change package expression as well", expression)
		}
	}
}

func BenchmarkExpression(b *testing.B) {
	ctx := newContext(b)
	environment := newEnvironment(b, ctx)
	requests, err := caddycel.NewRequests(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"variables":    `request.path.startsWith("/a/") && request.method == "GET"`,
		"placeholders": `{http.request.uri.path}.startsWith("/a/") && {http.request.method} == "GET"`,
		"matchers":     `path('/a/*') && method('GET')`,
		"a loop":       `request.header["x-team"].exists(h, h == "red")`,
	} {
		b.Run(name, func(b *testing.B) {
			program, err := environment.Compile(text)
			if err != nil {
				b.Fatal(err)
			}
			r := newRequest(b)
			b.ReportAllocs()
			for b.Loop() {
				if holds, err := program.Eval(&world{r: r, requests: requests, matchers: program.Matchers}); err != nil || !holds {
					b.Fatal(holds, err)
				}
			}
		})
	}
}

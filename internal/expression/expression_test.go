package expression

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const evalClaims = `{"level": 3, "ratio": 1.5, "big": 9007199254740993, "staff": true, "name": "Alice ", "none": null, "org": {"unit": "ops", "ranks": [1, "x"]},
	"https://example.com/roles": ["r"], "groups": ["admins", "staff"]}`

func TestEval(t *testing.T) {
	t.Parallel()
	e := environment(t)
	for text, want := range map[string]string{
		`claims.level > 2`:       "true",
		`claims.level == 3`:      "true",
		`claims["level"] == 3.0`: "true",
		`claims.ratio > 1.4`:     "true",
		`claims.big == 9007199254740993 && claims.big != 9007199254740992`: "true",
		`claims.staff == true`:                        "true",
		`claims.name == "Alice "`:                     "true",
		`claims.none == null`:                         "true",
		`claims.none != null`:                         "false",
		`claims.sub == "u-1"`:                         "true",
		`claims.org.unit == "ops"`:                    "true",
		`claims.org["unit"] == "ops"`:                 "true",
		`"x" in claims.org.ranks`:                     "true",
		`1 in claims.org.ranks`:                       "true",
		`"r" in claims["https://example.com/roles"]`:  "true",
		`has(claims.level) && !has(claims.other)`:     "true",
		`has(claims.org.unit)`:                        "true",
		`"level" in claims`:                           "true",
		`!("other" in claims)`:                        "true",
		`claims.other == 1`:                           "no such key: other",
		`claims.other != 1`:                           "no such key: other",
		`claims.org.other == 1`:                       "no such key: other",
		`claims["\x01withheld"] == 1`:                 "no such key",
		`claims.name > 3`:                             "no such overload",
		`claims.other == 1 || user == "alice"`:        "true",
		`claims.exists(k, k == "level")`:              "true",
		`claims.all(k, k != "\x01withheld")`:          "true",
		`size(claims) == 10`:                          "true",
		`claims == claims`:                            "true",
		`"admins" in groups`:                          "true",
		`groups == ["admins", "staff"]`:               "true",
		`groups.exists(g, g.startsWith("st"))`:        "true",
		`user == "alice" && provider == "corp"`:       "true",
		`request.path == "/admin/x"`:                  "true",
		`request.host == "app.example"`:               "true",
		`request.method == "GET"`:                     "true",
		`request.client_ip == "192.0.2.7"`:            "true",
		`request.header["x-team"] == ["red", "blue"]`: "true",
		`"blue" in request.header["x-team"]`:          "true",
		`"x-none" in request.header`:                  "false",
		`request.header["x-none"] == []`:              "no such key: x-none",
		`request.header.exists(h, h == "accept")`:     "true",
		`size(request.header) == 2`:                   "true",
		`request.header["X-" + "Team"] == []`:         "no such key",
		`is_path(req, "/admin/x")`:                    "true",
		`{http.auth.user.id} == "http.auth.user.id"`:  "true",
		`1 / (claims.level - 3) == 1`:                 "division by zero",
		`["a"].exists(claims, claims == "a")`:         "true",
		`["a"].exists(user, user == "a")`:             "true",
		`["a"].exists(user, .user == "alice")`:        "true",
		`"alice@corp".split("@")[0] == user`:          "true",
		`cel.bind(u, user, u == "alice")`:             "true",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			p, err := e.Compile(text)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			holds, err := p.Eval(worldWith(t, evalClaims))
			switch {
			case err != nil:
				got = p.Describe(err)
			case holds:
				got = "true"
			default:
				got = "false"
			}
			if got != want {
				t.Errorf("expected %s, seen %s (%v)", want, got, err)
			}
		})
	}
}

// An expression fails if it reads a claim that could not be fetched.
func TestWithheldClaimsAreErrors(t *testing.T) {
	t.Parallel()
	e := environment(t)
	for _, text := range []string{
		`claims.suspended == true`, `has(claims.suspended)`, `!has(claims.suspended)`, `"suspended" in claims`, `has(claims.suspended.since)`,
		`"externals" in groups`, `groups == []`, `{http.auth.user.claims.suspended} == ""`, `{http.auth.user.groups} == ""`, `claims.exists(k, k == "suspended")`, `size(claims) == 0`,
		`!has(claims.org.unit)`,
	} {
		p, err := e.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		holds, err := p.Eval(worldWith(t, `{"org": {}}`, "suspended", "groups", "org.unit"))
		if !errors.Is(err, errWithheld) {
			t.Errorf("%s: expected that it cannot be evaluated, seen %v, %v", text, holds, err)
		}
		if got := p.Describe(err); got != errWithheld.Error() {
			t.Errorf("%s: expected the log to say %q, seen %q", text, errWithheld, got)
		}
	}
}

func TestErrorsOfSourcesAreKept(t *testing.T) {
	t.Parallel()
	p, err := environment(t).Compile(`request.client_ip == "192.0.2.7"`)
	if err != nil {
		t.Fatal(err)
	}
	w := worldWith(t, `{}`)
	w.early = true
	if _, err := p.Eval(w); !errors.Is(err, errEarly) {
		t.Errorf("expected %v, seen %v", errEarly, err)
	}
}

func TestLogsHaveNoValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`claims[request.header["x-secret"][0]] == 1`: "no such key",
		`claims[claims.secret] == 1`:                 "no such key",
		`int(claims.secret) == 1`:                    "evaluation failed",
		`timestamp(claims.secret) == timestamp(0)`:   "evaluation failed",
		`claims.secret.matches(claims.secret + "(")`: "evaluation failed",
	} {
		p, err := environment(t).Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		w := worldWith(t, `{"secret": "hunter2"}`)
		w.r.Header.Set("X-Secret", "hunter2")
		_, err = p.Eval(w)
		if err == nil {
			t.Fatalf("%s: expected an error", text)
		}
		if got := p.Describe(err); got != want {
			t.Errorf("%s: expected %q in the log, seen %q", text, want, got)
		}
	}
}

func TestCheckNamesThePlace(t *testing.T) {
	t.Parallel()
	e := environment(t)
	for text, want := range map[string]string{
		``:                             "expression is empty",
		"  \n":                         "expression is empty",
		`claims.level >`:               "expression: 1:15: Syntax error",
		`foo == 1`:                     "expression: 1:1: undeclared reference to 'foo'",
		`{http.request.host} == foo`:   "expression: 1:24: undeclared reference to 'foo'",
		`{a.b} == "é" || {c.d} == foo`: "expression: 1:26: undeclared reference to 'foo'",
		`{a.b} == 'x' ||
  \{c.d} || foo`: "expression: 2:",
		`user == 'x' ||
  {a.b} == foo`: "expression: 2:12: undeclared reference to 'foo'",
		`user == 5`:                          "expression: 1:6: found no matching overload for '_==_' applied to '(string, int)'",
		`request.pth == "/x"`:                "expression: 1:1: undeclared reference to 'request'",
		`request["path"] == "/x"`:            "expression: 1:1: undeclared reference to 'request'",
		`has(request.path)`:                  "undeclared reference to 'request'",
		`claims.level`:                       "expression: the result has to be true or false (bool), and is known only when it is evaluated; compare it, as in claims.staff == true",
		`1 + 1`:                              "expression: the result has to be true or false (bool), and is int",
		`"true"`:                             "expression: the result has to be true or false (bool), and is string",
		`request.header["X-Team"][0] == "a"`: `the names of request.header are in lower case: write request.header["x-team"]`,
		`has(user)`:                          "expression: 1:",
	} {
		if _, err := e.Check(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: expected an error with %q, seen %v", text, want, err)
		}
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	e := environment(t)
	for text, want := range map[string]struct {
		claims string
		marks  string // of all, request, path, matchers
	}{
		`true`:                                      {"", ""},
		`user == "alice" && provider == "corp"`:     {"", ""},
		`claims.a == 1`:                             {"a", ""},
		`claims["a"] == 1`:                          {"a", ""},
		`claims.a.b == 1 && has(claims.c)`:          {"a.b c", ""},
		`has(claims.a.b)`:                           {"a.b", ""},
		`claims["a.b"].c == 1`:                      {`a\.b.c`, ""},
		`claims["https://x.example/y"] == 1`:        {`https://x\.example/y`, ""},
		`claims.groups == []`:                       {"claims.groups", ""},
		`claims.email == ""`:                        {"email", ""},
		`"a" in claims`:                             {"a", ""},
		`"admins" in groups`:                        {"groups", ""},
		`claims.a[0] == 1`:                          {"a", ""},
		`claims.a[user].b == 1`:                     {"a", ""},
		`claims.a[claims.b] == 1`:                   {"a b", ""},
		`claims.a.exists(x, x == claims.b)`:         {"a b", ""},
		`claims[user] == 1`:                         {"", "all"},
		`claims.all(k, k != "x")`:                   {"", "all"},
		`size(claims) > 3`:                          {"", "all"},
		`claims[claims.a] == 1`:                     {"a", "all"},
		`[1].exists(claims, claims == 1)`:           {"", ""},
		`[{"a": 1}].exists(claims, claims.a == 1)`:  {"", ""},
		`[{"a": 1}].exists(claims, .claims.b == 1)`: {"b", ""},
		`[1].exists(groups, groups == 1)`:           {"", ""},
		`[1].exists(x, x == 1) && "g" in groups`:    {"groups", ""},
		`cel.bind(claims, {"a": 1}, claims.a == 1)`: {"", ""},
		`cel.bind(c, claims, c.a == 1)`:             {"", "all"},
		`(user == "x" ? claims : claims).a == 1`:    {"", "all"},
		`{"k": claims.a} == {"k": 1}`:               {"a", ""},
		`[claims.a] == [1]`:                         {"a", ""},
		`request.path == "/x"`:                      {"", "request path"},
		`request.host == "x" || request.method == "GET" || request.client_ip == "" || "x" in request.header`: {"", "request"},
		`{http.request.host} == "x"`:                  {"", "request"},
		`{http.request.uri} == "x"`:                   {"", "request path"},
		`{http.request.uri.path.file} == "x"`:         {"", "request path"},
		`{http.request.orig_uri.path} == "x"`:         {"", "request path"},
		`{http.auth.user.claims.a.b} == "x"`:          {"a.b", "request"},
		`{http.auth.user.claims.groups} == "x"`:       {"claims.groups", "request"},
		`{http.auth.user.groups} == "x"`:              {"groups", "request"},
		`{http.auth.user.email} == "x"`:               {"email", "request"},
		`{http.auth.user.id} == "x"`:                  {"", "request"},
		`{http.auth.user.claims} == "x"`:              {"", "all request"},
		`ph(req, user) == "x"`:                        {"", "all request path"},
		`is_path(req, "/x")`:                          {"", "request path matchers"},
		`is_path(req, "/\{http.auth.user.claims.a}")`: {"a", "request path matchers"},
		`[1].exists(req, req == 1)`:                   {"", ""},
	} {
		checked, err := e.Check(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var marks []string
		for name, is := range map[string]bool{"all": checked.AllClaims, "request": checked.Request, "path": checked.Path, "matchers": checked.Matchers} {
			if is {
				marks = append(marks, name)
			}
		}
		slices.SortFunc(marks, func(a, b string) int {
			order := []string{"all", "request", "path", "matchers"}
			return slices.Index(order, a) - slices.Index(order, b)
		})
		if got := strings.Join(checked.Claims, " "); got != want.claims {
			t.Errorf("%s: expected the claims %q, seen %q", text, want.claims, got)
		}
		if got := strings.Join(marks, " "); got != want.marks {
			t.Errorf("%s: expected that it reads %q, seen %q", text, want.marks, got)
		}
	}
}

// The cost of an expression is limited, whatever a request contains. Regular expressions need
// no limit: their work grows with the text, and headers are limited.
func TestHostileInputIsBounded(t *testing.T) {
	t.Parallel()
	e := environment(t)
	w := worldWith(t, `{"big": "`+strings.Repeat("a", 60_000)+`"}`)
	for range 200 {
		w.r.Header.Add("X-Many", strings.Repeat("a", 300))
	}
	for range 60_000 {
		w.r.Header.Add("X-More", "")
	}
	w.r.Header.Set("X-Long", strings.Repeat("a,", 30_000))
	w.r.Header.Set("X-Longer", strings.Repeat("a,", 40_000))
	for text, want := range map[string]string{
		`request.header["x-many"].all(a, request.header["x-many"].all(b, request.header["x-many"].all(c, a + b + c != "")))`: "cost limit exceeded",
		`request.header["x-more"].all(a, a == "")`:                    "a header is too large",
		`size(request.header["x-more"].distinct()) == 1`:              "evaluation failed",
		`size(request.header["x-many"].distinct()) == 1`:              "cost limit exceeded",
		`request.header["x-long"][0].split(",").all(a, a == "a")`:     "cost limit exceeded",
		`request.header["x-long"][0].split(",").all(a, a.size() < 2)`: "cost limit exceeded",
		`request.header["x-long"][0].matches("^(a,)*$")`:              "true",
		`request.header["x-longer"][0].matches("^(a,)*$")`:            "a header is too large",
		`claims.big.matches("^(a*)*b$")`:                              "false",
	} {
		p, err := e.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		holds, err := p.Eval(w)
		got := "false"
		if holds {
			got = "true"
		}
		if err != nil {
			got = p.Describe(err)
		}
		if got != want {
			t.Errorf("%s: expected %s, seen %s (%v)", text, want, got, err)
		}
	}
}

// The cost is limited where work may grow faster than the request, and elsewhere it is not
// even counted.
func TestWhatHasALimitOfItsCost(t *testing.T) {
	t.Parallel()
	e, w := environment(t), worldWith(t, `{}`)
	for text, want := range map[string]bool{
		`request.header["x-a"].exists(a, a == "a")`:                                 true,
		`request.header["x-a"].distinct() == []`:                                    true,
		`[request.header["x-a"]].flatten() == []`:                                   true,
		`request.header["x-a"].join() == ""`:                                        true,
		`request.header["x-a"].reverse() == []`:                                     true,
		`request.header["x-a"].slice(0, 1) == []`:                                   true,
		`request.header["x-a"].sort() == []`:                                        true,
		`request.header["x-a"].sortBy(a, size(a)) == []`:                            true,
		`lists.range(size(request.header["x-a"])) == []`:                            true,
		`request.header["x-a"][0].split(",") == []`:                                 true,
		`request.header["x-a"][0].replace("a", request.header["x-a"][0]) == ""`:     true,
		`"%s%s".format([request.header["x-a"][0], request.header["x-a"][0]]) == ""`: true,
		`request.header["x-a"][0].matches("^(a,)*$")`:                               false,
		`request.header["x-a"][0].contains("a")`:                                    false,
		`request.path == "/x" && "a" in request.header["x-a"]`:                      false,
	} {
		p, err := e.Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		_, details, _ := p.program.Eval(&activation{source: w, user: w.user})
		if got := details != nil && details.ActualCost() != nil; got != want {
			t.Errorf("%s: expected its cost to be limited %t, seen %t", text, want, got)
		}
	}
}

func TestHostsAndMethods(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"app.example": "app.example", "APP.Example:443": "app.example", "app.example.": "app.example", "app.example.:80": "app.example",
		"[::1]:80": "::1", "[::1]": "::1", "127.0.0.1:80": "127.0.0.1", "": "",
	} {
		if got := hostOf(host); got != want {
			t.Errorf("%q: expected %q, seen %q", host, want, got)
		}
	}
	if got := methodOf(http.MethodHead); got != http.MethodGet {
		t.Errorf("expected HEAD to be judged as GET, seen %s", got)
	}
}

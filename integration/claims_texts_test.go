package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A claim has the same text wherever it is used, and a type in expressions.
func TestAClaimIsTheSameTextByEachWay(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	for _, tc := range []struct{ name, raw, want, expression string }{
		{"an object", `{"street_address": "Łódzka 1", "country": "PL"}`, `{"street_address":"Łódzka 1","country":"PL"}`, `{c}.country == 'PL' && 'country' in {c}`},
		{"a list of objects", `[{"id":1,"name":"a"},{"id":2,"name":"b"}]`, `[{"id":1,"name":"a"},{"id":2,"name":"b"}]`, `{c}[1].name == 'b' && dyn({c}).exists(x, x.id == 1)`},
		{"a list of lists", `[["a","b"],["c"]]`, `[["a","b"],["c"]]`, `{c}[0][1] == 'b' && size({c}) == 2`},
		{"an object of objects", `{"admin":{"1":"d"},"user":{"1":"d"}}`, `{"admin":{"1":"d"},"user":{"1":"d"}}`, `'admin' in {c} && {c}.user['1'] == 'd'`},
		{"an object with numbers", `{"n":12345678901234567890,"f":1.50,"e":1e3,"x":null,"b":true}`, `{"n":12345678901234567890,"f":1.50,"e":1e3,"x":null,"b":true}`, `{c}.f == 1.5 && {c}.e > 999 && {c}.b`},
		{"an empty object", `{}`, `{}`, `size({c}) == 0`},
		{"a list", `["a","b,c","d%"]`, `a,b%2Cc,d%25`, `'b,c' in {c}`},
		{"a list of numbers", `[1,2.50,12345678901234567890,true]`, `1,2.50,12345678901234567890,true`, `'2.50' in {c}`},
		{"an integer", `42`, `42`, `{c} == 42`},
		{"an integer beyond 53 bits", `9007199254740993`, `9007199254740993`, `{c} == 9007199254740993`},
		{"an integer beyond 64 bits", `12345678901234567890`, `12345678901234567890`, `{c} > 9223372036854775807.0`},
		{"a longer one", `123456789012345678901234567890`, `123456789012345678901234567890`, `{c} > 1e29`},
		{"a fraction", `1.50`, `1.50`, `{c} == 1.5 && 1.0 < {c} && {c} * 2.0 == 3.0`},
		{"a usual fraction", `38.5`, `38.5`, `{c} == 38.5`},
		{"an exponent", `1e3`, `1e3`, `{c} == 1000.0 && 999 < {c}`},
		{"a small one", `-2.5E-7`, `-2.5E-7`, `{c} < 0.0`},
		{"minus zero", `-0`, `-0`, `{c} == 0.0`},
		{"true", `true`, `true`, `{c} == true`},
		{"false", `false`, `false`, `!{c}`},
		{"null", `null`, ``, `{c} == ''`},
		{"a text", `"a, b%41"`, `a, b%41`, `{c} == 'a, b%41'`},
		{"a text of other scripts", `"José Özdemir 山田 😀"`, `José Özdemir 山田 😀`, `{c}.startsWith('José')`},
	} {
		user := op.User("alice")
		user.Claims["c"] = json.RawMessage(tc.raw)
		op.SetUser("alice", user)
		t.Run(tc.name, func(t *testing.T) {
			r := newHarness(t, `
route {
	oidc_rp {
		`+options(op)+`
		upstream {
			header X-Claim c
			header X-Placeholder {http.auth.user.claims.c}
			header X-Request {http.auth.user.claims.c}{http.request.uri.query.none}
		}
	}
	@it expression "`+strings.ReplaceAll(tc.expression, "{c}", "{http.auth.user.claims.c}")+`"
	header @it X-Matched yes
	reverse_proxy {upstream} {
		header_up X-Up {http.auth.user.claims.c}
	}
}
`)
			b := signedIn(t, r)
			p := b.get("/x")
			header, _ := r.upstream.got()
			for _, name := range []string{"X-Claim", "X-Placeholder", "X-Request", "X-Up"} {
				equal(t, name, header.Get(name), tc.want)
			}
			check(t, p).status(http.StatusOK).header("X-Matched", "yes")
		})
	}
}

// Servers trim spaces from header values. That must not turn one user's name into another's.
func TestSpacesAtTheEndsArriveEncoded(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	seen := map[string]string{}
	for name, want := range map[string]string{
		"admin": "admin", "admin ": "admin%20", " admin": "%20admin", "\tadmin": "%09admin", "admin\u00a0": "admin%C2%A0", "admin\u3000": "admin%E3%80%80",
		"admin\u0085": "admin%C2%85", "\ufeffadmin": "%EF%BB%BFadmin", "%20admin": "%2520admin", "ad min": "ad min",
	} {
		user := op.User("alice")
		user.Claims["preferred_username"], user.Claims["name"], user.Claims["groups"] = name, name, []string{name}
		op.SetUser("alice", user)
		r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	upstream {
		header X-Id {http.auth.user.id}
		header X-User preferred_username
		header X-Name {http.auth.user.name}
		header X-Groups groups
	}
}
reverse_proxy {upstream} {
	header_up X-Up {http.auth.user.claims.preferred_username}
}`)
		signedIn(t, r).get("/x")
		header, _ := r.upstream.got()
		for _, field := range []string{"X-Id", "X-User", "X-Name", "X-Groups", "X-Up"} {
			got := header.Get(field)
			equal(t, fmt.Sprintf("%q in %s", name, field), got, want)
			if other, ok := seen[field+got]; ok && other != name {
				t.Errorf("%q and %q arrive as the same %s", name, other, field)
			}
			seen[field+got] = name
		}
	}
}

// The text of a claim is not evaluated as a placeholder, and it is encoded only once.
func TestAClaimIsEncodedOnce(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	user := op.User("alice")
	user.Claims["name"] = " {env.HOME} "
	op.SetUser("alice", user)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	upstream {
		header X-Name {http.auth.user.name}
		header X-Both <{http.auth.user.name}>{http.request.method}
	}
}
`)
	signedIn(t, r).get("/x")
	header, _ := r.upstream.got()
	if got := fmt.Sprint(header.Get("X-Name"), header.Get("X-Both")); got != "%20{env.HOME}%20<%20{env.HOME}%20>GET" {
		t.Errorf("the application sees %q", got)
	}
}

// A placeholder that one request overwrites does not change the header of the next request.
func TestAHeaderIsNotWhatAnotherRequestMadeOfIt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `vars /odd http.auth.user.id somebody
oidc_rp {
	`+options(op)+`
	upstream {
		header X-Id {http.auth.user.id}
		header X-Path {http.request.uri.path}
		header X-Groups groups
	}
}`)
	b := r.browser()
	for _, path := range []string{"/odd", "/usual", "/usual2", "/odd", "/usual"} {
		check(required{t}, b.open(path), path).status(http.StatusOK)
		header, _ := r.upstream.got()
		equal(t, path+": X-Id", header.Get("X-Id"), "alice")
		equal(t, path+": X-Path", header.Get("X-Path"), path)
	}
}

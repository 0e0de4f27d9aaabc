package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// oddPaths are claim paths, each with its value in oddClaims.
var oddPaths = []struct{ name, path, want string }{
	{"a claim", "team", "t1"},
	{"a member", "place.country", "PL"},
	{"an escaped dot", `resource_access.my\.client.roles`, "r1"},
	{"a name with a dot, escaped", `a\.b`, "flat"},
	{"a name with a dot", "a.b", "flat"},
	{"a URL", "https://example.com/roles", "url"},
	{"a URL, escaped", `https://example\.com/roles`, "url"},
	{"a colon", "cognito:groups", "cg"},
	{"a URN", "urn:zitadel:iam:org:project:roles", "zr"},
	{"a backslash in a name", `EX\AMPLE`, "bs"},
	{"an escaped backslash", `EX\\AMPLE`, "bs"},
	{"a backslash that names nothing", `x\y`, ""},
	{"a dot that is no step", `place\.country`, ""},
	{"a step too far", "team.name", ""},
	{"a name that is not there", "nothing", ""},
}

func oddClaims(user *oidctest.User) {
	for name, value := range map[string]any{
		"team": "t1", "place": map[string]any{"country": "PL"}, "a.b": "flat", "https://example.com/roles": "url", "cognito:groups": "cg",
		"resource_access": map[string]any{"my.client": map[string]any{"roles": []string{"r1"}}}, `EX\AMPLE`: "bs", "urn:zitadel:iam:org:project:roles": "zr",
		"name_of_user": map[string]any{"full.name": "ada"},
	} {
		user.Claims[name] = value
	}
}

// A claim path means the same in every option. A path to nothing sends nothing.
func TestAClaimPathMeansTheSameEverywhere(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	user := op.User("alice")
	oddClaims(&user)
	op.SetUser("alice", user)
	for _, tc := range oddPaths {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newHarness(t, `
route {
	oidc_rp {
		`+options(op)+`
		groups_claim `+tc.path+`
		claims {
			mapped `+tc.path+`
		}
		session {
			claims mapped groups
		}
		upstream {
			header X-Claim `+tc.path+`
			header X-Groups groups
			header X-Mapped mapped
			header X-Placeholder {http.auth.user.claims.`+tc.path+`}
			header X-Text <{http.auth.user.claims.`+tc.path+`}>
		}
	}
	@it vars {http.auth.user.claims.`+tc.path+`} t1 PL r1 flat url cg zr bs
	header @it X-Matched yes
	reverse_proxy {upstream} {
		header_up X-Up {http.auth.user.claims.`+tc.path+`}
	}
}
`)
			b := r.browser()
			p := b.open("/x")
			check(required{t}, p).status(http.StatusOK)
			header, _ := r.upstream.got()
			for _, name := range []string{"X-Claim", "X-Groups", "X-Mapped", "X-Placeholder", "X-Up"} {
				equal(t, name, header.Get(name), tc.want)
			}
			equal(t, "X-Text", header.Get("X-Text"), "<"+tc.want+">")
			if _, sent := header["X-Claim"]; sent && tc.want == "" {
				t.Error("a header is sent for what is not there")
			}
			if matched := p.Header.Get("X-Matched") == "yes"; matched != (tc.want != "") {
				t.Errorf("the matcher says %v", matched)
			}
		})
	}
}

// The claims that a session keeps accept the same paths.
func TestAClaimPathCanBeKept(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	user := op.User("alice")
	oddClaims(&user)
	op.SetUser("alice", user)
	for _, tc := range oddPaths {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	session {
		claims `+tc.path+`
	}
}
reverse_proxy {upstream} {
	header_up X-Up {http.auth.user.claims.`+tc.path+`}
	header_up X-Other {http.auth.user.claims.name}
}
`)
			signedIn(t, r).get("/x")
			header, _ := r.upstream.got()
			equal(t, "X-Up", header.Get("X-Up"), tc.want)
			equal(t, "X-Other, which is not kept", header.Get("X-Other"), "")
		})
	}
}

// username_claim accepts the same paths.
func TestAClaimPathNamesTheUser(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	user := op.User("alice")
	oddClaims(&user)
	op.SetUser("alice", user)
	for path, want := range map[string]string{
		"team": "t1", `a\.b`: "flat", "a.b": "flat", "https://example.com/roles": "url", `https://example\.com/roles`: "url", "cognito:groups": "cg",
		`EX\AMPLE`: "bs", `EX\\AMPLE`: "bs", `name_of_user.full\.name`: "ada", `x\y preferred_username`: "alice",
	} {
		r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	username_claim `+path+`
	upstream {
		header X-User {http.auth.user.id}
	}
}
`)
		signedIn(t, r).get("/x")
		header, _ := r.upstream.got()
		equal(t, path+": the user", strings.ReplaceAll(header.Get("X-User"), "%2F", "/"), want)
	}
}

package integration_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const wellKnownResource = "/.well-known/oauth-protected-resource"

// resourceSite is a public site with private parts that says where programs get
// tokens.
func resourceSite(t *testing.T, op *oidctest.Provider) *harness {
	t.Helper()
	return newHarness(t, `
oidc_rp public {
	`+options(op)+`
	private /mcp /mcp/*
	private /write {
		require scope write
	}
	application {
		bearer jwt
		resource_metadata {
			name "The tools of this site"
			scopes read write
			documentation https://docs.example.com/mcp
		}
	}
}
`)
}

func TestProgramsReadWhereTheyGetTokens(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := resourceSite(t, op)
	seen := check(t, r.rawGet("/mcp")).status(http.StatusUnauthorized)
	seen.header("Www-Authenticate", `Bearer realm="rp.test", resource_metadata="https://rp.test/.well-known/oauth-protected-resource/mcp"`)
	p := r.rawGet(wellKnownResource+"/mcp", "Origin: https://anywhere.example")
	check(t, p).status(http.StatusOK).header("Content-Type", "application/json").header("Access-Control-Allow-Origin", "*").
		header("Access-Control-Allow-Credentials", "").header("Cache-Control", "max-age=300").setsCookies(0)
	var document map[string]any
	succeeds(t, "read the document", json.Unmarshal([]byte(p.body), &document))
	equal(t, "resource", document["resource"].(string), "https://rp.test/mcp")
	equal(t, "authorization servers", len(document["authorization_servers"].([]any)), 1)
	equal(t, "the authorization server", document["authorization_servers"].([]any)[0].(string), op.Issuer())
	equal(t, "scopes", len(document["scopes_supported"].([]any)), 2)
	equal(t, "the name", document["resource_name"].(string), "The tools of this site")
	equal(t, "the documentation", document["resource_documentation"].(string), "https://docs.example.com/mcp")

	check(t, r.rawGet("/write")).status(http.StatusUnauthorized).headerHas("Www-Authenticate", `scope="write"`, wellKnownResource+"/write")
	check(t, r.rawGet("/mcp/a/b", bearerOf(accessToken(op, map[string]any{"aud": "other"})))).status(http.StatusUnauthorized).
		headerHas("Www-Authenticate", `error="invalid_token"`, wellKnownResource+`/mcp/a/b"`)
}

// Only private paths have resource metadata, and no spelling of a path evades that.
func TestOnlyPrivatePathsAreResources(t *testing.T) {
	t.Parallel()
	r := resourceSite(t, newOP(t))
	for _, target := range []string{"", "/", "/other", "/mcpx", "/mcp/..", "/mcp/../open", "//mcp", "/%6dcp", "/mcp%2fa", "/mcp;x", "x/mcp"} {
		check(t, r.rawGet(wellKnownResource+target), target).hides("authorization_servers")
	}
	check(t, r.rawGet(wellKnownResource)).status(http.StatusNotFound)
	check(t, r.rawGet(wellKnownResource+"/mcp/")).status(http.StatusOK)
	check(t, r.rawGet(wellKnownResource+"/mcp?resource=https://evil.example")).status(http.StatusOK).hides("evil")
	check(t, r.raw("POST "+wellKnownResource+"/mcp HTTP/1.1", "Host: rp.test", "Connection: close", "Content-Length: 0")).status(http.StatusMethodNotAllowed)
	check(t, r.raw("HEAD "+wellKnownResource+"/mcp HTTP/1.1", "Host: rp.test", "Connection: close")).status(http.StatusOK)
	// Web clients of MCP send a preflight first, because their requests have a header of their
	// own.
	check(t, r.raw("OPTIONS "+wellKnownResource+"/mcp HTTP/1.1", "Host: rp.test", "Connection: close", "Origin: https://client.example",
		"Access-Control-Request-Method: GET", "Access-Control-Request-Headers: mcp-protocol-version")).
		status(http.StatusNoContent).header("Access-Control-Allow-Origin", "*").header("Access-Control-Allow-Headers", "*")
}

// The resource is the audience of its tokens: a token for one part of the site is valid
// only there.
func TestATokenCountsWhereItsResourceIs(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := resourceSite(t, op)
	for _, tc := range []struct {
		audience any
		path     string
		want     int
	}{
		{"https://rp.test/mcp", "/mcp", 200},
		{"https://rp.test/mcp", "/mcp/a", 200},
		{"https://rp.test/mcp/", "/mcp/a", 200},
		{"https://rp.test/mcp", "/mcpx", 401},
		{"https://rp.test/mcp", "/write", 401},
		{"https://rp.test/mcp", "/mcp/../write", 401},
		{"https://rp.test/mcp", "/mcp/%2e%2e/write", 401},
		{"https://rp.test/write", "/mcp", 401},
		{"https://rp.test", "/mcp", 200},
		{"https://rp.test/", "/mcp", 200},
		{[]string{"other", "https://rp.test/mcp"}, "/mcp", 200},
		{"https://rp.test.evil.example/mcp", "/mcp", 401},
		{"https://rp.test:8443/mcp", "/mcp", 401},
		{"http://rp.test/mcp", "/mcp", 401},
		{"https://RP.test/mcp", "/mcp", 401},
		{"https://rp.test/mcp?x", "/mcp", 401},
		{"https://u@rp.test/mcp", "/mcp", 401},
		{"rp.test/mcp", "/mcp", 401},
		{"other", "/mcp", 401},
	} {
		for range 2 { // the second time, the token is remembered
			p := r.rawGet(tc.path, bearerOf(accessToken(op, map[string]any{"aud": tc.audience, "scope": "write"})))
			check(t, p, tc.path, shown(tc.audience)).status(tc.want)
		}
	}
}

func TestHostsThatTheConfigurationDoesNotNameAreNoResources(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	site := func(name, more string) string {
		return name + ` {
	` + protectedBy(op, more, `
application {
	bearer jwt
	resource_metadata
}
`) + `
}
`
	}
	for _, tc := range []struct{ name, more, problem string }{
		{":80", "", "resource_metadata"},
		{"http://*.example.com", "", "resource_metadata"},
		{"http://{env.HOST}", "", "resource_metadata"},
		{":80", "base_url https://rp.test", ""},
		{"http://rp.test, http://*.example.com", "", ""},
	} {
		config, err := adapt(site(tc.name, tc.more))
		succeeds(required{t}, "adapt", err)
		err = tryProvision(config)
		if tc.problem == "" {
			succeeds(t, tc.name, err)
		} else {
			failsWith(t, tc.name, err, tc.problem, "base_url")
		}
	}
	r := newHarnessAt(t, storageDir(t), site("http://rp.test, http://*.example.com", ""))
	check(t, r.rawGet(wellKnownResource)).status(http.StatusOK).shows(`"resource":"https://rp.test"`)
	check(t, r.raw("GET "+wellKnownResource+" HTTP/1.1", "Host: a.example.com", "Connection: close")).status(http.StatusNotFound)
	check(t, r.raw("GET / HTTP/1.1", "Host: a.example.com", "Connection: close")).status(http.StatusUnauthorized).headerLacks("Www-Authenticate", "resource_metadata")
	pinned := newHarnessAt(t, storageDir(t), site(":80", "base_url https://rp.test"))
	check(t, pinned.raw("GET "+wellKnownResource+" HTTP/1.1", "Host: evil.example", "Connection: close")).hides("evil")
}

func TestASiblingSaysWhereProgramsGetTokens(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	route /people/* {
		oidc_rp {
			provider one
		}
	}
	route {
		oidc_rp {
			provider one
			application {
				bearer jwt
				resource_metadata
			}
		}
		respond "served"
	}
}
`, `
oidc_rp {
	provider one {
		`+options(op)+`
	}
}
`)
	check(t, r.rawGet(wellKnownResource+"/mcp")).status(http.StatusOK).shows(`"resource":"https://rp.test/mcp"`)
	check(t, r.rawGet("/people/x")).status(http.StatusUnauthorized).header("Www-Authenticate", "")
}

package oidctest

import "strings"

// discoveryRows returns the rows about the metadata.
func discoveryRows() []Row {
	set := func(name string, value any) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) {
			l.Discovery = func(m map[string]any) { m[name] = value }
		}
	}
	drop := func(name string) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) {
			l.Discovery = func(m map[string]any) { delete(m, name) }
		}
	}
	issuer := func(change func(string) string) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) {
			l.Discovery = func(m map[string]any) { m["issuer"] = change(m["issuer"].(string)) }
		}
	}
	rows := []Row{
		{ID: "C22", Name: "another issuer", Want: Refuse, tell: issuer(func(s string) string { return s + "INVALID" })},
		{ID: "C22", Name: "the issuer with a slash more", Want: Refuse, tell: issuer(func(s string) string { return s + "/" })},
		{ID: "C22", Name: "the issuer without its slash", Want: Refuse, Options: []Option{Path("/a/")},
			tell: issuer(func(s string) string { return strings.TrimSuffix(s, "/") })},
		{ID: "C22", Name: "the issuer in capitals", Want: Refuse, tell: issuer(strings.ToUpper)},
		{ID: "C22", Name: "no issuer", Want: Refuse, tell: drop("issuer")},
		{ID: "C22", Name: "an empty issuer", Want: Refuse, tell: set("issuer", "")},
		{ID: "C22", Name: "a list of issuers", Want: Refuse, tell: func(p *Provider, l *Faults) {
			l.Discovery = func(m map[string]any) { m["issuer"] = []any{m["issuer"]} }
		}},
		{ID: "S18", Name: "no authorization endpoint", Want: Refuse, tell: drop("authorization_endpoint")},
		{ID: "S18", Name: "no token endpoint", Want: Refuse, tell: drop("token_endpoint")},
		{ID: "S18", Name: "no jwks_uri", Want: Refuse, tell: drop("jwks_uri")},
		{ID: "S18", Name: "no userinfo endpoint", Want: Either, tell: drop("userinfo_endpoint"),
			Note: "the user name is then sub, or no user gets in"},
		{ID: "S18", Name: "no end_session endpoint", Want: Accept, tell: drop("end_session_endpoint")},
		{ID: "S18", Name: "endpoints that are lists", Want: Refuse, tell: set("token_endpoint", []any{"https://op.example/token"})},
		{ID: "S18", Name: "a number for an endpoint", Want: Refuse, tell: set("jwks_uri", 7)},
		{ID: "S18", Name: "a relative endpoint", Want: Refuse, tell: set("token_endpoint", "/token")},
		{ID: "S18", Name: "a script for an endpoint", Want: Refuse, tell: set("authorization_endpoint", "javascript:alert(1)")},
		{ID: "S18", Name: "an endpoint with a fragment", Want: Refuse, tell: set("authorization_endpoint", "https://op.example/a#b"),
			Note: "RFC 6749 section 3.1"},
		{ID: "S18", Name: "the code flow is not supported", Want: Refuse, tell: set("response_types_supported", []string{"id_token"})},
		{ID: "S02", Name: "only plain PKCE", Want: Either, tell: set("code_challenge_methods_supported", []string{"plain"}),
			Note: "S256 is sent or nothing is"},
		{ID: "S18", Name: "no list of PKCE methods", Want: Accept, tell: drop("code_challenge_methods_supported")},
		{ID: "S18", Name: "no list of client authentication methods", Want: Accept,
			tell: drop("token_endpoint_auth_methods_supported"), Note: "basic is the default, Discovery section 3"},
		{ID: "S18", Name: "only client authentication that the client has not", Want: Refuse,
			tell: set("token_endpoint_auth_methods_supported", []string{"tls_client_auth"})},
		{ID: "S18", Name: "no list of ID token algorithms", Want: Accept, tell: drop("id_token_signing_alg_values_supported")},
		{ID: "C09", Name: "only alg none in the metadata", Want: Either,
			tell: set("id_token_signing_alg_values_supported", []string{"none"}), Note: "none is never accepted; RS256 may be"},
		{ID: "S04", Name: "the promise of iss is a string", Want: Either,
			tell: set("authorization_response_iss_parameter_supported", "true")},
		{ID: "S18", Name: "unknown members", Want: Accept, tell: set("mystery", map[string]any{"a": []any{nil, 1}})},
		{ID: "S18", Name: "the issuer twice, false at last", Want: Refuse, tell: fault(Discovery, Fault{Body: member(`"issuer":"https://evil.test"`, false)})},
		{ID: "S18", Name: "the issuer in other letters as well", Want: Either,
			tell: fault(Discovery, Fault{Body: member(`"ISSUER":"https://evil.test"`, false)}), Note: "it is no issuer"},
		{ID: "X21", Name: "no JSON", Want: Refuse, tell: body(Discovery, "text/html", "<!doctype html><p>Sign in</p>")},
		{ID: "X21", Name: "an empty document", Want: Refuse, tell: body(Discovery, "application/json", "")},
		{ID: "X21", Name: "null", Want: Refuse, tell: body(Discovery, "application/json", "null")},
		{ID: "X21", Name: "a list", Want: Refuse, tell: body(Discovery, "application/json", "[]")},
		{ID: "X20", Name: "a redirect to itself", Want: Refuse, tell: func(p *Provider, l *Faults) {
			l.At(Discovery).Redirects(302, p.URL(Discovery))
		}},
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
		rows = append(rows, Row{ID: "S18", Name: name + " on plain HTTP, not on loopback", Want: Refuse,
			tell: set(name, "http://op.example/x")})
	}
	return staged(AtDiscovery, rows)
}

func staged(stage Stage, rows []Row) []Row {
	for i := range rows {
		if rows[i].Stage == "" {
			rows[i].Stage = stage
		}
	}
	return rows
}

// member adds a member to a JSON object, before or after all others. The object
// may already have it, which a map could not represent.
func member(text string, first bool) func([]byte) []byte {
	return func(object []byte) []byte {
		s := string(object)
		if first {
			return []byte("{" + text + "," + strings.TrimPrefix(s, "{"))
		}
		return []byte(strings.TrimSuffix(s, "}") + "," + text + "}")
	}
}

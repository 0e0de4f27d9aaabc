package provider

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

func TestOtherMethodsAreNotAllowed(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for path, e := range endpoints {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"} {
			r := httptest.NewRequest(http.MethodGet, issuer+path, nil)
			r.Method = method
			w := n.serve(r)
			allowed := false
			for _, m := range e.methods {
				allowed = allowed || m == method
			}
			if (w.Code == http.StatusMethodNotAllowed) == allowed {
				t.Errorf("%s %s: expected to be allowed: %v, seen %d", method, path, allowed, w.Code)
			}
			if allow := w.Header().Get("Allow"); !allowed && allow != strings.Join(e.methods, ", ") {
				t.Errorf("%s %s: expected the header Allow, seen %q", method, path, allow)
			}
		}
	}
}

// The endpoints of the library that we do not use are not served, for example its callback
// and its registration.
func TestTheLibrarysOwnAddressesAreNotServed(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, path := range []string{"/", "/register", "/authorize/x", "/authorize/x/y", "/par", "/introspect", "/device_authorization", "/token/", "/AUTHORIZE", "/.well-known/openid-federation"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if w := n.serve(httptest.NewRequest(method, issuer+path, nil)); w.Code != http.StatusNotFound {
				t.Errorf("%s %s: expected 404, seen %d", method, path, w.Code)
			}
		}
	}
}

func TestPagesOfOtherOriginsReadWhatIsForThem(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	const spa, evil = "https://spa.example.net", "https://evil.example"
	for _, row := range []struct{ path, origin, allowed string }{
		{"/.well-known/openid-configuration", evil, "*"},
		{"/jwks", evil, "*"},
		{"/token", spa, spa},
		{"/token", evil, ""},
		{"/token", "https://wiki.example.net", ""}, // a confidential client has no pages that call the token endpoint
		{"/token", "null", ""},
		{"/token", spa + ".evil.example", ""},
		{"/token", "http://spa.example.net", ""},
		{"/userinfo", spa, spa},
		{"/userinfo", evil, ""},
		{"/revoke", spa, spa},
		{"/authorize", spa, ""},
		{"/end_session", spa, ""},
	} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			r := httptest.NewRequest(method, issuer+row.path, nil)
			r.Header.Set("Origin", row.origin)
			r.Header.Set("Access-Control-Request-Method", "POST")
			w := n.serve(r)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != row.allowed {
				t.Errorf("%s %s of %s: expected %q, seen %q", method, row.path, row.origin, row.allowed, got)
			}
			if got := w.Header().Get("Access-Control-Allow-Credentials"); got != "" {
				t.Errorf("%s %s: expected no credentials, seen %q", method, row.path, got)
			}
		}
	}
}

func TestTheMetadataIsTrue(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	w := n.serve(httptest.NewRequest(http.MethodGet, issuer+"/.well-known/openid-configuration", nil))
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatalf("expected JSON, seen %q", w.Body)
	}
	for name, want := range map[string]any{
		"issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
		"userinfo_endpoint": issuer + "/userinfo", "jwks_uri": issuer + "/jwks", "end_session_endpoint": issuer + "/end_session",
		"revocation_endpoint":                            issuer + "/revoke",
		"response_types_supported":                       []any{"code"},
		"response_modes_supported":                       []any{"query", "form_post"},
		"grant_types_supported":                          []any{"authorization_code", "refresh_token", "client_credentials"},
		"code_challenge_methods_supported":               []any{"S256"},
		"token_endpoint_auth_methods_supported":          []any{"client_secret_basic", "client_secret_post", "none"},
		"id_token_signing_alg_values_supported":          []any{"RS256", "ES256"},
		"scopes_supported":                               []any{"openid", "profile", "email", "groups", "offline_access"},
		"subject_types_supported":                        []any{"public"},
		"acr_values_supported":                           []any{"urn:oidc-idp:pwd", "urn:oidc-idp:mfa", "urn:oidc-idp:external"},
		"prompt_values_supported":                        []any{"none", "login", "consent", "select_account"},
		"ui_locales_supported":                           []any{"en", "de"},
		"claims_parameter_supported":                     true,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
	} {
		if !reflect.DeepEqual(m[name], want) {
			t.Errorf("%s: expected %v, seen %v", name, want, m[name])
		}
	}
	_, id := claims(t, n.redeemWiki(n.code(browser{}, wikiRequest())).ID)
	listed := m["claims_supported"].([]any)
	for claim := range id {
		found := false
		for _, name := range listed {
			found = found || name == claim
		}
		if !found {
			t.Errorf("expected the claim %s to be listed, seen %v", claim, listed)
		}
	}
}

func TestUserinfoRefusesTokensThatAreNotWhereTheyBelong(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	got := n.redeemWiki(n.code(browser{}, wikiRequest()))
	bearer := "Bearer " + got.Access
	for name, row := range map[string]struct {
		method, query, body string
		headers             []string
		status              int
	}{
		"no token":                   {"GET", "", "", nil, 401},
		"in the address":             {"GET", "?access_token=" + got.Access, "", nil, 400},
		"in the address as well":     {"GET", "?access_token=x", "", []string{bearer}, 400},
		"in header and body":         {"POST", "", "access_token=" + got.Access, []string{bearer}, 400},
		"twice in the body":          {"POST", "", "access_token=" + got.Access + "&access_token=x", nil, 400},
		"two headers":                {"GET", "", "", []string{bearer, bearer}, 400},
		"another scheme":             {"GET", "", "", []string{"Basic " + got.Access}, 401},
		"an empty token":             {"GET", "", "", []string{"Bearer "}, 401},
		"an ID token":                {"GET", "", "", []string{"Bearer " + got.ID}, 401},
		"a refresh token":            {"GET", "", "", []string{"Bearer " + got.Refresh}, 401},
		"a token with a line break":  {"GET", "", "", []string{bearer + "\t" + got.Access}, 401},
		"the scheme in another case": {"GET", "", "", []string{"bearer " + got.Access}, 200},
	} {
		r := browser{}.request(row.method, issuer+"/userinfo"+row.query, row.body)
		for _, header := range row.headers {
			r.Header.Add("Authorization", header)
		}
		w := n.serve(r)
		if w.Code != row.status {
			t.Errorf("%s: expected %d, seen %d %s", name, row.status, w.Code, w.Body)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); (w.Code != 200) != strings.HasPrefix(challenge, "Bearer ") {
			t.Errorf("%s: expected a challenge with an error alone, seen %q", name, challenge)
		}
	}
}

func TestProgramsGetTokensForThemselves(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {"https://api.example.net/v1"}}
	got := n.tokens(form, basic("wiki", wikiKey))
	if got.status != http.StatusOK || got.ID != "" || got.Refresh != "" {
		t.Fatalf("expected an access token alone, seen %+v", got)
	}
	header, body := claims(t, got.Access)
	if header["typ"] != "at+jwt" || header["alg"] != "RS256" || header["kid"] == nil {
		t.Errorf("expected an at+jwt that RS256 signs, seen %v", header)
	}
	if body["sub"] != "client/wiki" || body["client_id"] != "wiki" || body["aud"] != "https://api.example.net/v1" || body["iss"] != issuer || body["jti"] == nil {
		t.Errorf("expected the claims of RFC 9068, seen %v", body)
	}
	if status := n.userinfoStatus(got.Access); status != http.StatusUnauthorized {
		t.Errorf("expected it to be no token for userinfo, seen %d", status)
	}
	delete(form, "resource")
	if _, body := claims(t, n.tokens(form, basic("wiki", wikiKey)).Access); body["aud"] != issuer {
		t.Errorf("expected the issuer as the audience, seen %v", body)
	}
	_, body = claims(t, n.tokens(form, basic("robot", "access-key")).Access)
	if body["sub"] != "client/robot" || !reflect.DeepEqual(body["groups"], []any{"ci"}) {
		t.Errorf("expected an application user with its groups, seen %v", body)
	}
	for name, row := range map[string]struct {
		id, secret string
		form       url.Values
		code       string
	}{
		"a client that may not":         {"other", "other-secret", form, "unauthorized_client"},
		"a wrong secret":                {"wiki", "x", form, "invalid_client"},
		"a wrong key":                   {"robot", "x", form, "invalid_client"},
		"a program named like a client": {"Wiki", "access-key", form, "invalid_client"},
		"an unknown program":            {"unknown", "x", form, "invalid_client"},
		"a scope of users":              {"wiki", wikiKey, with(cloneValues(form), "scope", "openid"), "invalid_scope"},
		"a client id as a resource":     {"wiki", wikiKey, with(cloneValues(form), "resource", "other"), "invalid_target"},
		"a resource of plain http":      {"wiki", wikiKey, with(cloneValues(form), "resource", "http://api.example.net"), "invalid_target"},
		"a resource with a fragment":    {"wiki", wikiKey, with(cloneValues(form), "resource", "https://api.example.net#x"), "invalid_target"},
	} {
		if got := n.tokens(row.form, basic(row.id, row.secret)); got.Error != row.code {
			t.Errorf("%s: expected %s, seen %+v", name, row.code, got)
		}
	}
	if got := n.tokens(with(cloneValues(form), "client_id", "spa")); got.Error != "unauthorized_client" {
		t.Errorf("a public client: expected unauthorized_client, seen %+v", got)
	}
}

// Error descriptions do not repeat parts of the request, and the log has them only
// shortened.
func TestWhatStrangersWriteIsNotRepeated(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, name := range []string{"", "x\"y", "<script>", "x\r\nSet-Cookie: a", strings.Repeat("x", 50)} {
		twice := url.QueryEscape(name) + "=1&" + url.QueryEscape(name) + "=2"
		r := browser{}.request(http.MethodPost, issuer+"/userinfo", twice)
		if got := n.serve(r).Header().Get("WWW-Authenticate"); name != "" && strings.Contains(got, name) || !strings.Contains(got, "a parameter appears twice") {
			t.Errorf("expected the name %q not to be repeated, seen %q", name, got)
		}
		w := browser{}.visit(n, http.MethodGet, issuer+"/authorize?"+wikiRequest().Encode()+"&"+twice, "")
		if got := location(t, w, callback).Get("error_description"); got != "a parameter appears twice" {
			t.Errorf("expected the name %q not to be repeated, seen %q", name, got)
		}
	}
	browser{}.visit(n, http.MethodGet, issuer+"/authorize?client_id="+strings.Repeat("evil", 5000), "")
	if strings.Contains(n.log.String(), strings.Repeat("evil", 100)) {
		t.Errorf("expected the client id to be cut in the log, seen it whole")
	}
}

package provider

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// A client gets tokens only for its own resources. Otherwise it could call any API that
// trusts this provider (RFC 8707 section 2).
func TestAClientHasTokensForItsResourcesAlone(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	form := url.Values{"grant_type": {"client_credentials"}}
	auth := basic("reports", "reports-secret")
	if _, body := claims(t, n.tokens(form, auth).Access); body["aud"] != "https://api.example.net/v1" {
		t.Errorf("expected the only resource without a request for it, seen %v", body["aud"])
	}
	if got := n.tokens(with(cloneValues(form), "resource", "https://api.example.net/v1"), auth); got.status != http.StatusOK {
		t.Errorf("expected a token for its resource, seen %+v", got)
	}
	for _, resource := range []string{"https://api.example.net/v1/", "https://api.example.net", "https://other.example.net", issuer} {
		if got := n.tokens(with(cloneValues(form), "resource", resource), auth); got.Error != "invalid_target" {
			t.Errorf("%s: expected invalid_target, seen %+v", resource, got)
		}
	}
}

func TestResourceFor(t *testing.T) {
	t.Parallel()
	const one, two = "https://one.example", "https://two.example"
	for name, row := range map[string]struct {
		have            []string
		requested, want string
		refused         bool
	}{
		"any, where there is no list":       {nil, two, two, false},
		"none, where there is no list":      {nil, "", "", false},
		"the only one":                      {[]string{one}, "", one, false},
		"one of several":                    {[]string{one, two}, two, two, false},
		"none of several, which is unclear": {[]string{one, two}, "", "", true},
		"another one":                       {[]string{one}, two, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, wrong := (&Client{Resources: row.have}).resourceFor(row.requested)
			if got != row.want || (wrong != nil) != row.refused {
				t.Errorf("expected %q and refused %v, seen %q %v", row.want, row.refused, got, wrong)
			}
		})
	}
}

// Tokens of the client credentials grant cannot be revoked. A client that tries gets an
// error (RFC 7009 section 2.2.1).
func TestTokensOfProgramsCannotBeRevoked(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	token := n.tokens(url.Values{"grant_type": {"client_credentials"}}, basic("wiki", wikiKey)).Access
	revoke := func(token string, auth func(*http.Request)) (int, string) {
		t.Helper()
		w := n.post("/revoke", url.Values{"token": {token}, "token_type_hint": {"access_token"}}, auth)
		var answer struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		return w.Code, answer.Error
	}
	if status, code := revoke(token, basic("wiki", wikiKey)); status != http.StatusBadRequest || code != "unsupported_token_type" {
		t.Errorf("expected unsupported_token_type, seen %d %s", status, code)
	}
	for name, row := range map[string]struct{ id, secret, token string }{
		"of another client":   {"reports", "reports-secret", token},
		"that is none":        {"wiki", wikiKey, token[:len(token)-4] + "AAAA"},
		"without a signature": {"wiki", wikiKey, "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30."},
	} {
		if status, code := revoke(row.token, basic(row.id, row.secret)); status != http.StatusOK {
			t.Errorf("a token %s: expected 200, seen %d %s", name, status, code)
		}
	}
	n.clock.add(programLifetime + time.Second)
	if status, _ := revoke(token, basic("wiki", wikiKey)); status != http.StatusOK {
		t.Errorf("expected nothing of a token that has expired, seen %d", status)
	}
}

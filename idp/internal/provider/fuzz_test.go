package provider

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
)

// FuzzAuthorize checks that no query redirects a browser to an address that is not
// configured, and that a sign-in begins only if no parameter is repeated and the request
// has the scope openid and, where the client must use PKCE, the method S256.
func FuzzAuthorize(f *testing.F) {
	for _, q := range []string{
		wikiRequest().Encode(), spaRequest().Encode(), oldRequest().Encode(), "",
		with(spaRequest(), "redirect_uri", "http://127.0.0.1:1234/native").Encode(),
		with(wikiRequest(), "response_mode", "form_post", "prompt", "none").Encode(),
		with(wikiRequest(), "claims", `{"id_token":{"acr":{"values":["x"],"essential":true}}}`, "max_age", "0").Encode(),
		wikiRequest().Encode() + "&redirect_uri=https://evil.example/",
		wikiRequest().Encode() + ";client_id=spa", "client_id=wiki&redirect_uri=%ff", "%zz",
		wikiRequest().Encode() + "&=1&=2",
	} {
		f.Add(q)
	}
	n := newNode(f)
	var begun *request.Request
	n.Begin = func(w http.ResponseWriter, _ *http.Request, wanted *request.Request) {
		begun = wanted
		w.WriteHeader(http.StatusTeapot)
	}
	f.Fuzz(func(t *testing.T, query string) {
		begun = nil
		r := httptest.NewRequest(http.MethodGet, issuer+"/authorize", nil)
		r.URL.RawQuery = query
		w := n.serve(r)
		values, _ := url.ParseQuery(query)
		client := n.Clients.find(values.Get("client_id"))
		switch to := w.Header().Get("Location"); {
		case w.Code == http.StatusTeapot:
			if begun == nil || begun.ClientID != client.ID || !client.allows(values.Get("redirect_uri")) {
				t.Fatalf("expected a sign-in for a client and its address, seen %+v", begun)
			}
			for name, all := range values {
				if len(all) != 1 {
					t.Fatalf("expected a sign-in with one value of each parameter, seen %q", name)
				}
			}
			if !slices.Contains(words(values.Get("scope")), scopeOpenID) {
				t.Fatalf("expected openid, seen %q", values.Get("scope"))
			}
			if values.Get("code_challenge_method") != "S256" && !(client.PKCEOptional && values.Get("code_challenge") == "" && values.Get("code_challenge_method") == "") {
				t.Fatalf("expected S256, seen %q", query)
			}
		case to != "":
			target := values.Get("redirect_uri")
			if client == nil || !client.allows(target) || !strings.HasPrefix(to, target) || strings.ContainsAny(to, "\r\n") {
				t.Fatalf("expected an address of the client, seen %q", to)
			}
			if len(values["redirect_uri"]) != 1 || len(values["client_id"]) != 1 {
				t.Fatalf("expected one client and one address, seen %q", query)
			}
		case w.Header().Get("X-Page") == "form_post":
			if client == nil || !client.allows(w.Header().Get("X-Action")) {
				t.Fatalf("expected an address of the client, seen %q", w.Header().Get("X-Action"))
			}
		case w.Code != http.StatusBadRequest || w.Header().Get("X-Page") != "error":
			t.Fatalf("expected a page, seen %d", w.Code)
		}
	})
}

// FuzzCredentials checks that credentials authenticate only configured clients,
// confidential ones only with their secret, and that no header causes a panic.
func FuzzCredentials(f *testing.F) {
	f.Add("Basic d2lraTp4", "", "")
	f.Add("", "wiki", wikiKey)
	f.Add("Bearer x", "spa", "")
	f.Add("basic  Og==", "", "")
	n := newNode(f)
	f.Fuzz(func(t *testing.T, header, id, secret string) {
		r := httptest.NewRequest(http.MethodPost, issuer+"/token", nil)
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		params := parameters{}
		if id != "" {
			params["client_id"] = id
		}
		if secret != "" {
			params["client_secret"] = secret
		}
		shown, wrong := readCredentials(r, params)
		if wrong != nil {
			return
		}
		client, wrong := n.Provider.authenticate(r, shown)
		if wrong != nil {
			return
		}
		if !client.Public && !slices.Contains(shown.secrets, client.Secret) {
			t.Fatalf("expected a client by its secret, seen %q by %+v", client.ID, shown)
		}
		if client.builtin != nil || client.ID != shown.id {
			t.Fatalf("expected a client of the configuration, seen %q", client.ID)
		}
	})
}

// FuzzSameButPort checks that addresses that match differ only in the port.
func FuzzSameButPort(f *testing.F) {
	f.Add("http://127.0.0.1/native", "http://127.0.0.1:8000/native")
	f.Add("http://[::1]/", "http://[::1]:1/")
	f.Add("http://127.0.0.1", "http://127.0.0.1:65535")
	f.Add("http://127.0.0.1.evil.example/", "http://127.0.0.1:1.evil.example/")
	f.Fuzz(func(t *testing.T, registered, requested string) {
		if !sameButPort(registered, requested) {
			return
		}
		one, err := url.Parse(registered)
		if err != nil {
			return // not in any configuration
		}
		two, err := url.Parse(requested)
		if err != nil {
			t.Fatalf("expected a URL, seen %q", requested)
		}
		if two.Hostname() != one.Hostname() || one.Port() != "" || two.Port() == "" || two.Path != one.Path || two.RawQuery != one.RawQuery || two.User != nil {
			t.Fatalf("expected addresses that differ in the port, seen %q and %q", registered, requested)
		}
	})
}

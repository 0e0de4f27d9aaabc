package provider

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
)

const siteReturn = "https://site.example.com/oidc/code"

func site() builtin.Client {
	return builtin.Client{
		ID: "site", Name: "Site",
		Allows:            func(uri string) bool { return uri == siteReturn },
		AllowsAfterLogout: func(uri string) bool { return uri == "https://site.example.com/" },
	}
}

func TestUsersSeeTheSiteThatTheyComeFrom(t *testing.T) {
	t.Parallel()
	ours := []*builtin.Client{{ID: "builtin"}}
	for _, test := range []struct {
		name   string
		client party
		want   string
	}{
		{"a site of this Caddy", party{Client: Client{ID: "builtin"}, builtin: ours}, "site.example.com"},
		{"one that has a name", party{Client: Client{ID: "builtin", Name: "Site"}, builtin: ours}, "Site"},
		{"an application elsewhere", party{Client: Client{ID: "wiki"}}, "wiki"},
	} {
		if seen := test.client.nameAt(siteReturn); seen != test.want {
			t.Errorf("%s: expected %q, seen %q", test.name, test.want, seen)
		}
	}
}

func (n *node) register(c builtin.Client) builtin.Registration {
	n.t.Helper()
	r, err := n.Clients.Register(c, n.Issuer, n)
	if err != nil {
		n.t.Fatalf("register: %v", err)
	}
	n.t.Cleanup(func() { _ = r.Close() })
	return r
}

func siteRequest() url.Values {
	return with(wikiRequest(), "client_id", "site", "redirect_uri", siteReturn, "scope", "openid profile")
}

// call sends a request within the process.
func call(t testing.TB, rt http.RoundTripper, method, target string, form url.Values) (status int, body []byte) {
	t.Helper()
	r, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

func siteForm(code string) url.Values {
	return with(redeemForm(code), "redirect_uri", siteReturn, "client_id", "site")
}

func (n *node) signInTo(rt http.RoundTripper, b browser) (got tokenResponse) {
	n.t.Helper()
	status, body := call(n.t, rt, http.MethodPost, issuer+"/token", siteForm(n.code(b, siteRequest())))
	if err := json.Unmarshal(body, &got); err != nil || status != http.StatusOK {
		n.t.Fatalf("expected tokens in the process, seen %d %s", status, body)
	}
	return got
}

func TestAClientInThisCaddyNeedsNoSecret(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	rt := n.register(site())
	got := n.signInTo(rt, browser{})
	if got.Refresh == "" {
		t.Errorf("expected a refresh token without offline_access, seen none")
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
		if status, _ := call(t, rt, http.MethodGet, issuer+path, nil); status != http.StatusOK {
			t.Errorf("%s: expected 200, seen %d", path, status)
		}
	}
	status, body := call(t, rt, http.MethodPost, issuer+"/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})
	if status != http.StatusOK {
		t.Errorf("expected a refresh, seen %d %s", status, body)
	}
	if status, _ = call(t, rt, http.MethodPost, issuer+"/revoke", url.Values{"token": {got.Refresh}}); status != http.StatusOK || n.userinfoStatus(got.Access) != http.StatusUnauthorized {
		t.Errorf("expected a revocation, seen %d", status)
	}
}

// foreignKey is a context key of another package.
type foreignKey string

// The clients of sites in this Caddy do not exist for requests from the network, whatever
// these contain.
func TestTheNetworkKnowsNoClientOfThisCaddy(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	rt := n.register(site())
	code := n.code(browser{}, siteRequest())
	other := nodeOn(t, n.db, n.clock)
	for name, change := range map[string]func(*http.Request){
		"the id":             func(*http.Request) {},
		"an empty secret":    basic("site", ""),
		"any secret":         basic("site", "x"),
		"loopback":           func(r *http.Request) { r.RemoteAddr = "127.0.0.1:1" },
		"no address":         func(r *http.Request) { r.RemoteAddr = "" },
		"headers of a proxy": func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1") },
		"another context key": func(r *http.Request) {
			*r = *r.WithContext(context.WithValue(r.Context(), foreignKey("builtin"), "site"))
		},
	} {
		for _, at := range []*node{n, other} {
			for _, form := range []url.Values{siteForm(code), {"grant_type": {"client_credentials"}, "client_id": {"site"}}} {
				if got := at.tokens(form, change); got.Error != "invalid_client" || got.status != http.StatusUnauthorized {
					t.Errorf("%s: expected invalid_client, seen %+v", name, got)
				}
			}
		}
	}
	if w := n.post("/revoke", url.Values{"client_id": {"site"}, "token": {"x"}}); w.Code != http.StatusUnauthorized {
		t.Errorf("expected a revocation to be refused, seen %d", w.Code)
	}
	if got := n.redeemWiki(code); got.Error != "invalid_grant" {
		t.Errorf("expected another client to get nothing, seen %+v", got)
	}
	if status, body := call(t, rt, http.MethodPost, issuer+"/token", siteForm(code)); status != http.StatusOK {
		t.Errorf("expected the code to be good still, seen %d %s", status, body)
	}
}

func TestAClientInThisCaddySpeaksForItselfAlone(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	rt := n.register(site())
	code := n.code(browser{}, wikiRequest())
	for name, form := range map[string]url.Values{
		"another client's code":       redeemForm(code),
		"another client's id":         with(redeemForm(code), "client_id", "wiki"),
		"another client's secret":     with(redeemForm(code), "client_id", "wiki", "client_secret", wikiKey),
		"client_credentials":          {"grant_type": {"client_credentials"}},
		"an application's access key": {"grant_type": {"client_credentials"}, "client_id": {"robot"}, "client_secret": {"access-key"}},
	} {
		if status, body := call(t, rt, http.MethodPost, issuer+"/token", form); status == http.StatusOK {
			t.Errorf("%s: expected a refusal, seen %s", name, body)
		}
	}
	for _, target := range []string{"https://other.example.com/token", "http://login.example.com/token", issuer + "/authorize", issuer + "/end_session", issuer + "/signin"} {
		r, err := http.NewRequest(http.MethodPost, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := rt.RoundTrip(r); err == nil {
			response.Body.Close()
			t.Errorf("%s: expected an error, seen %d", target, response.StatusCode)
		}
	}
}

// A code that one node issued can be redeemed at another node.
func TestAnyNodeRedeems(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	other := nodeOn(t, n.db, n.clock)
	n.register(site())
	rt := other.register(site())
	code := n.code(browser{}, siteRequest())
	if status, body := call(t, rt, http.MethodPost, issuer+"/token", siteForm(code)); status != http.StatusOK {
		t.Errorf("expected tokens, seen %d %s", status, body)
	}
}

// Two sites can register one client. During a reload, the second registration is added
// before the first one is closed.
func TestRegistrationsOfOneClientAddUp(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.register(site())
	second := site()
	second.Allows = func(uri string) bool { return uri == "https://two.example.com/oidc/code" }
	n.register(second)
	q := with(siteRequest(), "redirect_uri", "https://two.example.com/oidc/code")
	n.code(browser{}, siteRequest())
	n.code(browser{}, q)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	_ = first.Close() // closing twice has no effect
	n.code(browser{}, q)
	w := browser{}.visit(n, http.MethodGet, issuer+"/authorize?"+siteRequest().Encode(), "")
	if w.Header().Get("X-Page") != "error" {
		t.Errorf("expected the address of a closed registration to be refused, seen %d %v", w.Code, w.Header())
	}
	taken := site()
	taken.ID = "wiki"
	if _, err := n.Clients.Register(taken, n.Issuer, n); err == nil {
		t.Errorf("expected an id of the configuration to be refused, seen no error")
	}
}

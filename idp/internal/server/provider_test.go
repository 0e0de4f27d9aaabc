package server

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestAnApplicationUserGetsATokenForItsAccessKey(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	robot, err := n.Accounts.Create(t.Context(), accounts.NewUser{Name: "robot", Kind: store.Application})
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := n.Accounts.AddKey(t.Context(), robot.ID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	post := func(id, secret string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader("grant_type=client_credentials&resource=https://api.example.net/"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(id, secret)
		w := httptest.NewRecorder()
		n.ServeHTTP(w, r)
		return w
	}
	w := post("robot", key)
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &tokens); err != nil || tokens.Access == "" {
		t.Fatalf("expected an access token, seen %d %s", w.Code, w.Body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens.Access, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims["sub"] != "client/robot" || claims["aud"] != "https://api.example.net/" {
		t.Errorf("expected a token of the application, seen %v", claims)
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"another name": post("ada", key), "a password": post("robot", password), "no key": post("robot", ""),
	} {
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%s: expected 401, seen %d %s", name, w.Code, w.Body)
		}
	}
}

func TestAUserSignsOutByThePage(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("ada")
	b := n.browser()
	b.signIn("ada").answer()
	b.get("/end_session").expect("ada")
	if got := b.authorize("prompt", "none").answer().Get("code"); got == "" {
		t.Fatalf("expected to be signed in before the button is pressed")
	}
	b.get("/end_session").submit("choice", "signout")
	if got := b.authorize("prompt", "none").answer().Get("error"); got != "login_required" {
		t.Errorf("expected to be signed out, seen %q", got)
	}
}

// The form_post page is submitted by a script in a file. Its policy allows forms only to
// this site and to the application's origin.
func TestTheFormPostPageLeavesForTheApplicationAlone(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("ada")
	b := n.browser()
	b.signIn("ada").answer()
	b.authorize("response_mode", "form_post").expect(`action="` + callback + `"`).expect(`name="iss"`).expect(`name="code"`)
	policy := b.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "form-action 'self' https://wiki.example.net;") || strings.Contains(policy, "unsafe") {
		t.Errorf("expected a policy with the application's origin, seen %q", policy)
	}
	if strings.Contains(b.body, "onload=") || strings.Contains(b.body, "<script>") {
		t.Errorf("expected no script in the page, seen %s", b.body)
	}
	if b.header.Get("Cache-Control") != "no-store" || b.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("expected the page to be kept nowhere, seen %v", b.header)
	}
}

// A form leads to another site through a page, because the content security policy would
// block a redirect.
func TestABrowserLeavesAFormByAPage(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("ada")
	b := n.browser()
	b.signIn("ada").answer()
	r := httptest.NewRequest(http.MethodPost, issuer+"/authorize", strings.NewReader(url.Values{
		"response_type": {"code"}, "client_id": {"wiki"}, "redirect_uri": {callback}, "scope": {"openid"}, "request": {"x"},
	}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "request_not_supported") {
		t.Errorf("expected a page that goes on, seen %d %v", w.Code, w.Header())
	}
}

func TestTheMetadataNamesTheLanguagesOfThePages(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	w := httptest.NewRecorder()
	n.ServeHTTP(w, httptest.NewRequest(http.MethodGet, issuer+"/.well-known/openid-configuration", nil))
	var metadata struct {
		Languages []string `json:"ui_locales_supported"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &metadata); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(metadata.Languages, "en") || !slices.Equal(metadata.Languages, n.texts.Tags()) {
		t.Errorf("expected the languages of the pages, seen %v", metadata.Languages)
	}
}

// The server passes all addresses of the protocol to the router of package provider.
func TestThisSiteServesTheAddressesOfTheProtocol(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, path := range provider.Paths() {
		r := httptest.NewRequest(http.MethodDelete, issuer+path, nil)
		w := httptest.NewRecorder()
		n.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
			t.Errorf("%s: expected 405 with Allow, seen %d %v", path, w.Code, w.Header())
		}
	}
}

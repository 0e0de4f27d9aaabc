package server

import (
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/selfservice"
)

// postAsIs sends a form unchanged, with additional headers, and keeps no cookies.
func (b *browser) postAsIs(path string, form url.Values, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, issuer+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	maps.Copy(r.Header, header)
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

// formToken returns the form token of the page.
func (b *browser) formToken() string {
	b.t.Helper()
	for _, field := range hidden.FindAllStringSubmatch(b.body, -1) {
		if field[1] == "csrf" {
			return html.UnescapeString(field[2])
		}
	}
	b.t.Fatalf("expected a form token, seen %d at %s: %.2000s", b.status, b.path, b.body)
	return ""
}

// All addresses of the router that take a form of a page refuse forms without a token, with
// the token of another browser, and from another site. A similar test in package signin
// covers the addresses below /signin/.
func TestNoFormOfTheSiteIsTakenFromElsewhere(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(o *Options) { o.MailSender, o.Invites = newMailbox(), true })
	user, err := n.Accounts.Create(t.Context(), accounts.NewUser{Name: "ada", Email: "ada@example.com", EmailVerified: true, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	n.addUser("mallory")
	victim, other := n.browser(), n.browser()
	victim.signIn("ada")
	other.signIn("mallory")
	fields := url.Values{
		"username": {"eve"}, "name": {"Eve"}, "newpassword": {"an evil password 1"}, "repeat": {"an evil password 1"}, "email": {"eve@evil.example"},
		"kind": {"totp"}, "code": {"000000"}, "id": {"x"}, "token": {"x"}, "choice": {"signout"}, "label": {"evil"},
	}
	with := func(token string) url.Values {
		form := maps.Clone(fields)
		form.Set("csrf", token)
		return form
	}
	none := http.Header{}
	forms := 0
	for _, route := range n.routes() {
		if !route.allows(http.MethodPost) || route.methods == nil || strings.HasSuffix(route.path, "/") {
			continue // endpoints of the protocol, and of providers that post from other sites
		}
		forms++
		page := route.path
		if !route.allows(http.MethodGet) {
			page = "/account"
		}
		own, foreign := victim.get(page).formTokenOr("/account"), other.get(page).formTokenOr("/account")
		for name, w := range map[string]*httptest.ResponseRecorder{
			"without a token":                victim.postAsIs(route.path, fields, none),
			"with an empty token":            victim.postAsIs(route.path, with(""), none),
			"with the token of another":      victim.postAsIs(route.path, with(foreign), none),
			"with the token in the query":    victim.postAsIs(route.path+"?csrf="+url.QueryEscape(own), fields, none),
			"from another site":              victim.postAsIs(route.path, with(own), http.Header{"Sec-Fetch-Site": {"cross-site"}}),
			"from a sibling":                 victim.postAsIs(route.path, with(own), http.Header{"Sec-Fetch-Site": {"same-site"}}),
			"from another origin":            victim.postAsIs(route.path, with(own), http.Header{"Origin": {"https://evil.example"}}),
			"from the issuer's name by http": victim.postAsIs(route.path, with(own), http.Header{"Origin": {"http://login.example.com"}}),
		} {
			if w.Code != http.StatusForbidden {
				t.Errorf("%s %s: expected status 403, seen %d", route.path, name, w.Code)
			}
		}
		if w := victim.postAsIs(route.path, with(own), http.Header{"Content-Type": {"text/plain"}}); w.Code != http.StatusBadRequest {
			t.Errorf("%s as text: expected status 400, seen %d", route.path, w.Code)
		}
	}
	if forms != len(postsOf(selfservice.Paths())) {
		t.Errorf("expected %d forms, seen %d", len(postsOf(selfservice.Paths())), forms)
	}
	after, err := n.Accounts.Get(t.Context(), user.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.Password.Hash != user.Password.Hash || after.DisplayName != "" || after.Email != user.Email {
		t.Errorf("expected the account to stay as it was, seen %+v", after)
	}
	victim.get("/account").expect("Your account")
}

func postsOf(paths []string) (posts []string) {
	for _, path := range paths {
		for _, method := range selfservice.Methods(path) {
			if method == http.MethodPost {
				posts = append(posts, path)
			}
		}
	}
	return posts
}

// formTokenOr returns the form token of the page, or of another page if this one has no
// form.
func (b *browser) formTokenOr(page string) string {
	b.t.Helper()
	if !strings.Contains(b.body, `name="csrf"`) || strings.HasPrefix(b.path, "/signin/") {
		b.get(page)
	}
	return b.formToken()
}

// Images, forms of other sites, and ID tokens of other users or sessions cannot sign a user
// out.
func TestNothingElseSignsAUserOut(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("ada")
	n.addUser("mallory")
	victim, other, second := n.browser(), n.browser(), n.browser()
	victim.signIn("ada").answer()
	hint := func(b *browser, name string) string {
		b.t.Helper()
		return b.signIn(name).idToken()
	}
	theirs, elsewhere := hint(other, "mallory"), hint(second, "ada")
	token := other.get("/end_session").formToken()
	for name, try := range map[string]func(){
		"an image":                        func() { victim.get("/end_session") },
		"an image with a client":          func() { victim.get("/end_session?client_id=wiki") },
		"another user's ID token":         func() { victim.get("/end_session?id_token_hint=" + theirs) },
		"one of another session":          func() { victim.get("/end_session?id_token_hint=" + elsewhere) },
		"a form without a token":          func() { victim.do(http.MethodPost, "/end_session", url.Values{"choice": {"signout"}}) },
		"a form with the token of others": func() { victim.do(http.MethodPost, "/end_session", url.Values{"choice": {"signout"}, "csrf": {token}}) },
		"the token in the query":          func() { victim.get("/end_session?csrf=" + victim.get("/end_session").formToken()) },
	} {
		try()
		if got := victim.authorize("prompt", "none").answer().Get("code"); got == "" {
			t.Fatalf("%s: expected to be signed in still, seen %v", name, victim.answer())
		}
	}
}

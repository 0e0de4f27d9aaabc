package idp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// world is a provider, its client, and a browser that follows the provider's
// redirects and stops at those to the client.
type world struct {
	t       *testing.T
	server  *httptest.Server
	config  Config
	browser *http.Client
}

const (
	redirectURI = "http://site.example/code"
	afterLogout = "http://site.example/signedout"
	verifier    = "a-code-verifier-of-at-least-forty-three-characters"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	var handler http.Handler
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(w.server.Close)
	w.config = Config{
		Issuer: w.server.URL, ClientID: "site", ClientSecret: "secret",
		RedirectURI: redirectURI, PostLogoutRedirectURI: afterLogout, Home: "http://site.example/",
		Users: []User{
			{Subject: "1", Username: "alice", Password: "a", GivenName: "Alice", FamilyName: "Adams", Email: "alice@example.com", Groups: []string{"admins", "staff"}},
			{Subject: "2", Username: "bob", Password: "b", GivenName: "Bob", FamilyName: "Brown", Email: "bob@example.com", Groups: []string{"staff"}},
		},
	}
	var err error
	if handler, err = New(w.config); err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.browser = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "site.example" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return w
}

// authorize opens the authorization endpoint; more holds pairs of parameters.
func (w *world) authorize(more ...string) (*http.Response, string) {
	w.t.Helper()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {"site"}, "redirect_uri": {redirectURI}, "response_type": {"code"},
		"scope": {"openid profile email groups"}, "state": {"s"}, "nonce": {"n"},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}
	for pair := range slices.Chunk(more, 2) {
		query.Set(pair[0], pair[1])
	}
	return w.get("/authorize?" + query.Encode())
}

func (w *world) get(path string) (*http.Response, string) {
	w.t.Helper()
	return w.read(w.browser.Get(w.server.URL + path))
}

// submit sends the login form of a page; more holds pairs of fields.
func (w *world) submit(page string, more ...string) (*http.Response, string) {
	w.t.Helper()
	form := url.Values{}
	for _, field := range regexp.MustCompile(`name="request" value="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		form.Set("request", field[1])
	}
	for pair := range slices.Chunk(more, 2) {
		form.Set(pair[0], pair[1])
	}
	return w.read(w.browser.PostForm(w.server.URL+loginPath, form))
}

func (w *world) read(resp *http.Response, err error) (*http.Response, string) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(body)
}

// back returns the parameters with which a response leads back to the client.
func (w *world) back(resp *http.Response) url.Values {
	w.t.Helper()
	to, err := resp.Location()
	if err != nil || !strings.HasPrefix(to.String(), redirectURI) {
		w.t.Fatalf("%s answered %d to %v, not a way back to the client (%v)", resp.Request.URL.Path, resp.StatusCode, to, err)
	}
	return to.Query()
}

// trade trades a code for tokens and returns the answer.
func (w *world) trade(code string) map[string]any {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, w.server.URL+"/oauth/token", strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
	}.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("site", "secret")
	_, body := w.read(http.DefaultClient.Do(req))
	return w.object(body)
}

func (w *world) object(text string) map[string]any {
	w.t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		w.t.Fatalf("%q is no JSON object: %v", text, err)
	}
	return object
}

// signIn signs in and returns the tokens.
func (w *world) signIn(username, password string) map[string]any {
	w.t.Helper()
	_, page := w.authorize()
	resp, _ := w.submit(page, "username", username, "password", password)
	return w.trade(w.back(resp).Get("code"))
}

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	_, page := w.authorize("login_hint", "bob")
	for _, part := range []string{"site.example", `value="bob"`, "<code>alice</code> / <code>a</code>", "admins, staff"} {
		if !strings.Contains(page, part) {
			t.Errorf("the login page lacks %q", part)
		}
	}
	resp, page := w.submit(page, "username", "alice", "password", "wrong")
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong password: expected status 401, seen %d", resp.StatusCode)
	}
	if !strings.Contains(page, `role="alert"`) {
		t.Errorf("a wrong password: expected an alert, seen %s", page)
	}
	resp, _ = w.submit(page, "username", "alice", "password", "a")
	code := w.back(resp).Get("code")
	if state := w.back(resp).Get("state"); state != "s" {
		t.Errorf("state = %q", state)
	}
	tokens := w.trade(code)
	if again := w.trade(code); again["error"] != "invalid_grant" {
		t.Errorf("the code a second time: %v", again)
	}

	_, payload, _ := strings.Cut(tokens["id_token"].(string), ".")
	payload, _, _ = strings.Cut(payload, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	claims := w.object(string(decoded))
	for claim, want := range map[string]any{"iss": w.server.URL, "sub": "1", "nonce": "n"} {
		if claims[claim] != want {
			t.Errorf("ID token: expected %s %v, seen %v", claim, want, claims[claim])
		}
	}
	if claims["groups"] == nil {
		t.Errorf("ID token: expected groups, seen %v", claims)
	}

	req, err := http.NewRequest(http.MethodGet, w.server.URL+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokens["access_token"].(string))
	_, body := w.read(http.DefaultClient.Do(req))
	info := w.object(body)
	for claim, want := range map[string]any{
		"sub": "1", "preferred_username": "alice", "name": "Alice Adams", "email": "alice@example.com", "email_verified": true,
	} {
		if info[claim] != want {
			t.Errorf("userinfo: %s: expected %v, seen %v", claim, want, info[claim])
		}
	}
	if want := []any{"admins", "staff"}; !reflect.DeepEqual(info["groups"], want) {
		t.Errorf("userinfo: expected the groups %v, seen %v", want, info["groups"])
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	_, page := w.authorize()
	resp, _ := w.submit(page, "cancel", "yes", "username", "alice", "password", "a")
	if got := w.back(resp).Get("error"); got != "access_denied" {
		t.Errorf("error = %q", got)
	}
	resp, page = w.submit(page, "username", "alice", "password", "a")
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("signing in after cancelling: expected status 400, seen %d", resp.StatusCode)
	}
	if !strings.Contains(page, w.config.Home) {
		t.Errorf("signing in after cancelling: expected a link to %s, seen %s", w.config.Home, page)
	}
}

func TestFillIn(t *testing.T) {
	w := newWorld(t)
	_, page := w.authorize()
	link := regexp.MustCompile(`href="(/login\?[^"]+fill=bob)"`).FindStringSubmatch(page)
	if link == nil {
		t.Fatal("no link that fills in bob")
	}
	_, page = w.get(strings.ReplaceAll(link[1], "&amp;", "&"))
	for _, field := range []string{`name="username" value="bob"`, `type="password" value="b"`} {
		if !strings.Contains(page, field) {
			t.Errorf("expected the field %s, seen %s", field, page)
		}
	}
}

func TestSession(t *testing.T) {
	w := newWorld(t)
	if resp, _ := w.authorize("prompt", "none"); w.back(resp).Get("error") != "login_required" {
		t.Errorf("prompt=none before signing in: %v", w.back(resp))
	}
	hint := w.signIn("alice", "a")["id_token"].(string)

	for _, test := range []struct {
		name  string
		more  []string
		again bool // the password is asked for again
	}{
		{"as usual", nil, false},
		{"prompt none", []string{"prompt", "none"}, false},
		{"prompt login", []string{"prompt", "login"}, true},
		{"prompt select_account", []string{"prompt", "select_account"}, true},
		{"old enough", []string{"max_age", "3600"}, false},
		{"too old", []string{"max_age", "0"}, true},
		{"the same user", []string{"id_token_hint", hint}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp, page := w.authorize(test.more...)
			if asked := strings.Contains(page, `type="password"`); asked != test.again {
				t.Fatalf("asked for a password: %v", asked)
			}
			if !test.again && w.trade(w.back(resp).Get("code"))["id_token"] == nil {
				t.Error("no ID token")
			}
		})
	}

	w.browser.Jar, _ = cookiejar.New(nil)
	w.signIn("bob", "b")
	if _, page := w.authorize("id_token_hint", hint); !strings.Contains(page, `type="password"`) {
		t.Error("bob's session answered for alice")
	}
}

func TestLogout(t *testing.T) {
	w := newWorld(t)
	bobs := w.signIn("bob", "b")["id_token"].(string)
	w.browser.Jar, _ = cookiejar.New(nil)
	alices := w.signIn("alice", "a")["id_token"].(string)
	home := func() string { _, page := w.get("/"); return page }
	logout := func(token string) {
		t.Helper()
		resp, _ := w.get("/end_session?" + url.Values{"id_token_hint": {token}, "state": {"x"}, "post_logout_redirect_uri": {afterLogout}}.Encode())
		if to := resp.Header.Get("Location"); to != afterLogout+"?state=x" {
			t.Errorf("logout led to %q", to)
		}
	}

	if !strings.Contains(home(), "Alice is signed in") {
		t.Error("the provider does not know that alice is signed in")
	}
	logout(bobs)
	if !strings.Contains(home(), "Alice is signed in") {
		t.Error("bob's logout ended alice's session")
	}
	logout(alices)
	if !strings.Contains(home(), "Nobody is signed in") {
		t.Error("alice is still signed in")
	}
	if _, page := w.authorize(); !strings.Contains(page, `type="password"`) {
		t.Error("no password is asked for after the logout")
	}
}

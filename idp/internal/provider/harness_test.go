package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

const (
	issuer    = "https://login.example.com"
	callback  = "https://wiki.example.net/oidc/callback"
	wikiKey   = "wiki-secret-wiki-secret"
	spaReturn = "https://spa.example.net/callback"
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// configured are the clients of most tests.
var configured = []Client{
	{
		ID: "wiki", Name: "Wiki", Secret: wikiKey, RedirectURIs: []string{callback, callback + "?tenant=a%2Fb"},
		PostLogoutRedirectURIs: []string{"https://wiki.example.net/bye"}, ClientCredentials: true,
	},
	{ID: "reports", Secret: "reports-secret", ClientCredentials: true, Resources: []string{"https://api.example.net/v1"}},
	{ID: "other", Secret: "other-secret", RedirectURIs: []string{"https://other.example.net/cb"}, IDTokenAlg: es256, PostLogoutRedirectURIs: []string{"https://other.example.net/bye"}},
	{ID: "spa", Public: true, RedirectURIs: []string{spaReturn, "http://127.0.0.1/native"}},
	{ID: "old", Secret: "old-secret", PKCEOptional: true, Rotate: true, RedirectURIs: []string{"https://old.example.net/cb"}, Scopes: []string{"email", "offline_access"}},
}

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// plainVault does not encrypt, but binds values to their row and column.
type plainVault struct{}

func (plainVault) Seal(_ context.Context, row, column string, value []byte) ([]byte, error) {
	return append([]byte(row+"|"+column+"|"), value...), nil
}

func (plainVault) Open(_ context.Context, row, column string, sealed []byte) ([]byte, error) {
	value, ok := bytes.CutPrefix(sealed, []byte(row+"|"+column+"|"))
	if !ok {
		return nil, errors.New("sealed for another place")
	}
	return value, nil
}

func (plainVault) Pepper(context.Context, string, []byte) ([]byte, string, error) {
	return nil, "", errors.New("not here")
}

func (plainVault) Keyed(context.Context, string, string) ([]byte, error) {
	return nil, errors.New("not here")
}

// textPages renders pages as plain text.
type textPages struct{}

func (textPages) Error(w http.ResponseWriter, _ *http.Request, status int, code, description string) {
	w.Header().Set("X-Page", "error")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, code+" "+description)
}

func (textPages) Redirect(w http.ResponseWriter, _ *http.Request, address string) {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}

func (textPages) FormPost(w http.ResponseWriter, _ *http.Request, action string, fields map[string]string) {
	w.Header().Set("X-Page", "form_post")
	w.Header().Set("X-Action", action)
	_ = json.NewEncoder(w).Encode(fields)
}

func (textPages) SignOut(w http.ResponseWriter, _ *http.Request, user *store.User, action string, hidden map[string]string) {
	w.Header().Set("X-Page", "sign_out")
	w.Header().Set("X-Action", action)
	w.Header().Set("X-User", user.Name)
	_ = json.NewEncoder(w).Encode(hidden)
}

func (textPages) SignedOut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Page", "signed_out")
	w.WriteHeader(http.StatusOK)
}

// node is a process with a provider. Nodes can share a database and a clock.
type node struct {
	*Provider
	t     testing.TB
	db    *database.DB
	clock *clock
	sso   *sso.Manager
	back  *Backchannel
	log   *bytes.Buffer

	mu sync.Mutex
	// wanted are the requests that reached the sign-in.
	wanted []*request.Request
	// authenticate returns who signs in. If it is nil, ada does.
	authenticate func(*request.Request) sso.Authentication
}

func newNode(t testing.TB) *node {
	t.Helper()
	n := nodeOn(t, databasetest.New(t), &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
	n.putUser(ada())
	n.putUser(&store.User{ID: "u-bob", Kind: store.Person, Name: "bob", Created: n.clock.Now()})
	return n
}

func ada() *store.User {
	return &store.User{
		ID: "u-ada", Kind: store.Person, Name: "ada", Email: "ada@example.com", EmailVerified: true,
		DisplayName: "Ada Lovelace", GivenName: "Ada", FamilyName: "Lovelace", Language: "en", Groups: []string{"staff"},
	}
}

func nodeOn(t testing.TB, db *database.DB, c *clock) *node {
	t.Helper()
	origin, err := address.ParseOrigin(issuer)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := NewClients(configured)
	if err != nil {
		t.Fatalf("the clients: %v", err)
	}
	n := &node{t: t, db: db, clock: c, log: new(bytes.Buffer)}
	logger := slog.New(slog.NewJSONHandler(&lockedWriter{w: n.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	keys := NewKeys(db, plainVault{}, c.Now)
	n.back = &Backchannel{Clients: clients, Issuer: origin, Store: db, Keys: keys, Now: c.Now, Logger: logger}
	t.Cleanup(n.back.Wait)
	n.sso = sso.New(sso.Options{
		Store: db, Applications: n.back, Now: c.Now, Logger: logger,
		Limits: func(*store.User) sso.Limits { return sso.Limits{Lifetime: 12 * time.Hour} },
	})
	n.Provider, err = New(Options{
		Issuer: origin, Store: db, Keys: keys, Clients: clients, Sessions: n.sso, Pages: textPages{},
		Begin: n.begin, Application: n.application, Languages: []string{"en", "de"}, Now: c.Now, Logger: logger,
	})
	if err != nil {
		t.Fatalf("the provider: %v", err)
	}
	return n
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// begin replaces the sign-in. It signs in browsers without a session.
func (n *node) begin(w http.ResponseWriter, r *http.Request, wanted *request.Request) {
	n.mu.Lock()
	n.wanted = append(n.wanted, wanted)
	n.mu.Unlock()
	session, user, err := n.sso.Current(r)
	if err != nil {
		n.t.Errorf("the session: %v", err)
		return
	}
	if wanted.Asks("none") && session == nil {
		n.Refuse(w, r, wanted, "login_required", "no user is signed in")
		return
	}
	if session == nil || n.authenticate != nil {
		a := sso.Authentication{User: ada(), Time: n.clock.Now(), AMR: []string{"pwd"}, ACR: sso.ACRPassword}
		if n.authenticate != nil {
			a = n.authenticate(wanted)
		}
		if session, err = n.sso.Start(w, r, a); err != nil {
			n.t.Errorf("start a session: %v", err)
			return
		}
		user = a.User
	}
	n.Finish(w, r, wanted, session, user)
}

func (n *node) application(_ context.Context, name, key string) (*store.User, error) {
	if name == "Wiki" && key == "access-key" {
		return &store.User{ID: "u-wiki", Kind: store.Application, Name: "wiki"}, nil
	}
	if name != "robot" || key != "access-key" {
		return nil, store.ErrNotFound
	}
	return &store.User{ID: "u-robot", Kind: store.Application, Name: "robot", Groups: []string{"ci"}}, nil
}

func (n *node) putUser(u *store.User) {
	n.t.Helper()
	if err := n.db.Update(n.t.Context(), func(tx store.Tx) error { return tx.PutUser(u) }); err != nil {
		n.t.Fatalf("put a user: %v", err)
	}
}

// serve sends a request.
func (n *node) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	return w
}

// browser keeps cookies.
type browser map[string]string

func (b browser) request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range b {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

func (b browser) visit(n *node, method, target, body string) *httptest.ResponseRecorder {
	w := n.serve(b.request(method, target, body))
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b, c.Name)
		} else {
			b[c.Name] = c.Value
		}
	}
	return w
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// wikiRequest returns a valid authorization request.
func wikiRequest() url.Values {
	return url.Values{
		"client_id": {"wiki"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile email groups offline_access"},
		"state": {"s1"}, "nonce": {"n1"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
}

func spaRequest() url.Values {
	q := wikiRequest()
	q.Set("client_id", "spa")
	q.Set("redirect_uri", spaReturn)
	return q
}

// location returns the query parameters of a redirect to target.
func location(t testing.TB, w *httptest.ResponseRecorder, target string) url.Values {
	t.Helper()
	got := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther || !strings.HasPrefix(got, target) {
		t.Fatalf("expected a redirect to %s, seen status %d, location %q, body %q", target, w.Code, got, w.Body)
	}
	parsed, err := url.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Query()
}

// code signs a user in and returns the authorization code.
func (n *node) code(b browser, q url.Values) string {
	n.t.Helper()
	w := b.visit(n, http.MethodGet, issuer+"/authorize?"+q.Encode(), "")
	code := location(n.t, w, q.Get("redirect_uri")).Get("code")
	if code == "" {
		n.t.Fatalf("expected a code, seen %q", w.Header().Get("Location"))
	}
	return code
}

// tokenResponse is a token response.
type tokenResponse struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
	Scope   string `json:"scope"`
	Expires int    `json:"expires_in"`
	Error   string `json:"error"`
	status  int
	header  http.Header
	Session string `json:"session_state"`
}

func (n *node) post(path string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := browser{}.request(http.MethodPost, issuer+path, form.Encode())
	for _, f := range change {
		f(r)
	}
	return n.serve(r)
}

func (n *node) tokens(form url.Values, change ...func(*http.Request)) (got tokenResponse) {
	n.t.Helper()
	w := n.post("/token", form, change...)
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		n.t.Fatalf("expected JSON from the token endpoint, seen status %d, %q", w.Code, w.Body)
	}
	got.status, got.header = w.Code, w.Header()
	return got
}

func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(id, secret) }
}

func redeemForm(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

func (n *node) redeemWiki(code string) tokenResponse {
	return n.tokens(redeemForm(code), basic("wiki", wikiKey))
}

func (n *node) redeemSPA(code string) tokenResponse {
	form := redeemForm(code)
	form.Set("redirect_uri", spaReturn)
	form.Set("client_id", "spa")
	return n.tokens(form)
}

func (n *node) refreshSPA(token string) tokenResponse {
	return n.tokens(url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {token}})
}

// userinfoStatus returns the status of a userinfo request.
func (n *node) userinfoStatus(access string) int {
	n.t.Helper()
	r := httptest.NewRequest(http.MethodGet, issuer+"/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+access)
	return n.serve(r).Code
}

// userinfo returns the body of a userinfo response.
func (n *node) userinfo(access string) string {
	r := httptest.NewRequest(http.MethodGet, issuer+"/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+access)
	return n.serve(r).Body.String()
}

func newRecorded() *httptest.ResponseRecorder { return httptest.NewRecorder() }

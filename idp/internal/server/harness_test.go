package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

const (
	issuer   = "https://login.example.com"
	callback = "https://wiki.example.net/oidc/callback"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	password = "correct horse battery staple"
)

// clock is a clock that tests move. Sleeping moves it, too.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) sleep(_ context.Context, d time.Duration) { c.pass(d) }

// log is a log that tests read.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// node is a Server in a test.
type node struct {
	*Server
	t       testing.TB
	clock   *clock
	log     *log
	storage clusterstore.Storage
	options Options
}

// newNode returns a server with an empty database and the client wiki.
func newNode(t testing.TB, change ...func(*Options)) *node {
	t.Helper()
	n := &node{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, log: new(log), storage: clustertest.NewLocked()}
	origin, err := address.ParseOrigin(issuer)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := provider.NewClients([]provider.Client{{ID: "wiki", Name: "Wiki", Secret: "wiki-secret-wiki-secret", RedirectURIs: []string{callback}}})
	if err != nil {
		t.Fatal(err)
	}
	n.options = Options{
		Issuer: origin, Name: "Example", Clients: clients, Storage: n.storage,
		Database: database.Options{SQLite: filepath.Join(t.TempDir(), "accounts.db"), NoSync: true},
		Logger:   slog.New(slog.NewJSONHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: n.clock.Now, Sleep: n.clock.sleep,
		Address: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
	}
	n.options.Authenticators, err = authenticator.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&n.options)
	}
	n.open()
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}

func (n *node) open() {
	n.t.Helper()
	var err error
	if n.Server, err = Open(n.t.Context(), n.options); err != nil {
		n.t.Fatalf("open: %v", err)
	}
	n.Passwords.SetLowCosts()
}

// restart closes the server and opens it again with the same database.
func (n *node) restart() {
	n.t.Helper()
	if err := n.Close(); err != nil {
		n.t.Fatalf("close: %v", err)
	}
	n.open()
}

func (n *node) addUser(name string) *store.User {
	n.t.Helper()
	user, err := n.Accounts.Create(n.t.Context(), accounts.NewUser{Name: name, Password: password})
	if err != nil {
		n.t.Fatalf("create %s: %v", name, err)
	}
	return user
}

// browser keeps cookies and follows redirects within the site.
type browser struct {
	*node
	cookies map[string]*http.Cookie
	path    string // of the page
	status  int
	header  http.Header
	body    string
}

func (n *node) browser() *browser { return &browser{node: n, cookies: make(map[string]*http.Cookie)} }

func (b *browser) do(method, path string, form url.Values) *browser {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, issuer+path, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	b.path, b.status, b.header, b.body = path, w.Code, w.Header(), w.Body.String()
	if location := w.Header().Get("Location"); w.Code == http.StatusSeeOther && strings.HasPrefix(location, "/") {
		return b.do(http.MethodGet, location, nil)
	}
	return b
}

func (b *browser) get(path string) *browser { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

// authorize opens the authorization endpoint with additional parameters.
func (b *browser) authorize(pairs ...string) *browser {
	b.t.Helper()
	challenge := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {"wiki"}, "redirect_uri": {callback}, "scope": {"openid profile"}, "state": {"s1"}, "nonce": {"n1"},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return b.get("/authorize?" + q.Encode())
}

var (
	formAction = regexp.MustCompile(`<form [^>]*action="([^"]+)"`)
	hidden     = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
)

// submit sends the first form of the page.
func (b *browser) submit(pairs ...string) *browser {
	b.t.Helper()
	action := formAction.FindStringSubmatch(b.body)
	if action == nil {
		b.t.Fatalf("expected a form, seen %d %.2000s", b.status, b.body)
	}
	form := make(url.Values)
	for _, field := range hidden.FindAllStringSubmatch(b.body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, html.UnescapeString(action[1]), form)
}

// signIn signs in, from the authorization endpoint to the answer.
func (b *browser) signIn(name string, pairs ...string) *browser {
	b.t.Helper()
	return b.authorize(pairs...).submit("username", name).submit("password", password)
}

func (b *browser) expect(text string) *browser {
	b.t.Helper()
	if !strings.Contains(html.UnescapeString(b.body), text) {
		b.t.Fatalf("expected a page with %q, seen %d at %s: %.3000s", text, b.status, b.path, b.body)
	}
	return b
}

// answer returns the parameters of the redirect to the application.
func (b *browser) answer() url.Values {
	b.t.Helper()
	location, err := url.Parse(b.header.Get("Location"))
	if err != nil || !strings.HasPrefix(location.String(), callback+"?") {
		b.t.Fatalf("expected a redirect to the application, seen %d %s: %.2000s", b.status, location, b.body)
	}
	return location.Query()
}

// tokens redeems the code of the answer.
func (b *browser) tokens() (tokens struct {
	ID      string `json:"id_token"`
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}) {
	b.t.Helper()
	code := b.answer().Get("code")
	if code == "" {
		b.t.Fatalf("expected a code, seen %v", b.answer())
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	r := httptest.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("wiki", "wiki-secret-wiki-secret")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &tokens); err != nil || tokens.ID == "" {
		b.t.Fatalf("expected an ID token, seen %d %s", w.Code, w.Body)
	}
	return tokens
}

func (b *browser) idToken() string { b.t.Helper(); return b.tokens().ID }

// claims redeems the code of the answer and returns the claims of the ID token.
func (b *browser) claims() map[string]any {
	b.t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(b.idToken(), ".")[1])
	if err != nil {
		b.t.Fatal(err)
	}
	claims := make(map[string]any)
	if err := json.Unmarshal(payload, &claims); err != nil {
		b.t.Fatal(err)
	}
	return claims
}

package broker

import (
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// fakeSignIn records the results that a browser returns with.
type fakeSignIn struct {
	mu       sync.Mutex
	answers  []*Answer
	requests []string
	failures []*Failure
	offers   []*Offer
	begun    []*request.Request
	posted   map[string]string
	current  *store.User
}

func (s *fakeSignIn) Continue(w http.ResponseWriter, _ *http.Request, requestID string, answer *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers, s.requests = append(s.answers, answer), append(s.requests, requestID)
	w.WriteHeader(http.StatusOK)
}

func (s *fakeSignIn) Current(*http.Request) (*store.User, error) { return s.current, nil }

func (s *fakeSignIn) Ask(w http.ResponseWriter, _ *http.Request, offer *Offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offers = append(s.offers, offer)
	w.WriteHeader(http.StatusOK)
}

func (s *fakeSignIn) Begin(w http.ResponseWriter, _ *http.Request, req *request.Request, answer *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.answers = append(s.begun, req), append(s.answers, answer)
	w.WriteHeader(http.StatusOK)
}

func (s *fakeSignIn) Fail(w http.ResponseWriter, _ *http.Request, _ string, failure *Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, failure)
	w.WriteHeader(failure.Status())
}

func (s *fakeSignIn) Redirect(w http.ResponseWriter, _ *http.Request, address string) {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}

func (s *fakeSignIn) Post(w http.ResponseWriter, _ *http.Request, action string, fields map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posted = fields
	s.posted["action"] = action
	w.WriteHeader(http.StatusOK)
}

// lastAnswer returns the last answer, or nil.
func (s *fakeSignIn) lastAnswer() *Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) == 0 {
		return nil
	}
	return s.answers[len(s.answers)-1]
}

// reset discards the recorded results.
func (s *fakeSignIn) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers, s.failures = nil, nil
}

// lastFailure returns the kind of the last failure, or "".
func (s *fakeSignIn) lastFailure() FailureKind {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failures) == 0 {
		return ""
	}
	return s.failures[len(s.failures)-1].Kind
}

// lastCause returns what the log says about the last failure.
func (s *fakeSignIn) lastCause() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failures) == 0 {
		return ""
	}
	return s.failures[len(s.failures)-1].Err.Error()
}

// site is the issuer's site with a broker and a browser.
type site struct {
	t        testing.TB
	broker   *Broker
	store    *testStore
	accounts *testAccounts
	signIn   *fakeSignIn
	server   *httptest.Server
	browser  *http.Client
	now      func() time.Time
	request  *request.Request // the request for Begin
	hint     string
}

// newSite serves the external providers that make returns for an issuer. The path
// /begin/{id} begins a login.
func newSite(t testing.TB, make func(issuer string) []Config) *site {
	t.Helper()
	s := &site{t: t, store: newTestStore(t), accounts: newTestAccounts(), signIn: new(fakeSignIn), now: time.Now, request: &request.Request{ID: "request-1"}}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.server.Close)
	s.broker = s.node(make(s.server.URL))
	s.browser = newBrowser(t)
	return s
}

// node returns another node of the site, with the same database.
func (s *site) node(configs []Config) *Broker {
	s.t.Helper()
	b, err := New(configs, Options{
		Issuer: s.server.URL, Store: s.store, Cookies: request.Cookies{Insecure: true},
		Expand:   func(text string) (string, error) { return text, nil },
		Accounts: s.accounts, SignIn: s.signIn, Vault: fakeVault{},
		InitiateURL: func(client string) string {
			if client == "wiki" {
				return "https://wiki.test/initiate"
			}
			return ""
		},
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.now() },
	})
	if err != nil {
		s.t.Fatalf("expected a broker, seen %v", err)
	}
	s.t.Cleanup(b.Close)
	return b
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	if id, ok := strings.CutPrefix(r.URL.Path, "/begin/"); ok {
		s.broker.Begin(w, r, id, s.request, s.hint)
		return
	}
	if !s.broker.ServeHTTP(w, r) {
		http.NotFound(w, r)
	}
}

func newBrowser(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// plant adds cookies of another browser to a browser, with another value.
func (s *site) plant(browser *http.Client, at *url.URL, cookies []*http.Cookie, value string) {
	s.t.Helper()
	if len(cookies) == 0 {
		s.t.Fatal("expected cookies of the other browser, seen none")
	}
	for _, cookie := range cookies {
		planted := *cookie
		planted.Value = value
		browser.Jar.SetCookies(at, []*http.Cookie{&planted})
	}
}

// get opens an address and follows redirects.
func (s *site) get(client *http.Client, address string) *http.Response {
	s.t.Helper()
	response, err := client.Get(address)
	if err != nil {
		s.t.Fatalf("expected a response of %s, seen %v", address, err)
	}
	response.Body.Close()
	return response
}

// login begins a login and follows all redirects.
func (s *site) login(id string) *http.Response { return s.get(s.browser, s.server.URL+"/begin/"+id) }

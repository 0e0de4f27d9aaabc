package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// fakeStore keeps rows in maps. What is not implemented panics.
type fakeStore struct {
	mu sync.Mutex
	fakeRows
	down bool
}

type fakeRows struct {
	store.Tx
	users      map[string]store.User
	names      map[string]string // keys to user ids
	groups     map[string]store.Group
	tickets    map[string]store.Ticket
	identities map[string]store.Identity
	settings   map[string]string
}

func newFakeStore() *fakeStore {
	return &fakeStore{fakeRows: fakeRows{
		users: map[string]store.User{}, names: map[string]string{}, groups: map[string]store.Group{},
		tickets: map[string]store.Ticket{}, identities: map[string]store.Identity{}, settings: map[string]string{},
	}}
}

func (s *fakeStore) View(ctx context.Context, f func(store.Tx) error) error { return s.Update(ctx, f) }

func (s *fakeStore) Update(_ context.Context, f func(store.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return store.ErrUnavailable
	}
	work := fakeRows{
		users: maps.Clone(s.users), names: maps.Clone(s.names), groups: maps.Clone(s.groups),
		tickets: maps.Clone(s.tickets), identities: maps.Clone(s.identities), settings: maps.Clone(s.settings),
	}
	if err := f(&work); err != nil {
		return err
	}
	s.fakeRows = work
	return nil
}

func (r *fakeRows) User(id string) (*store.User, error) {
	user, ok := r.users[id]
	if !ok {
		return nil, store.ErrNotFound
	}
	return &user, nil
}

func (r *fakeRows) UserByName(key string) (*store.User, error) { return r.User(r.names[key]) }

func (r *fakeRows) PutUser(user *store.User) error {
	r.users[user.ID] = *user
	return nil
}

func (r *fakeRows) Reserve(name store.Name) error {
	if owner, taken := r.names[name.Key]; taken && owner != name.UserID {
		return store.ErrExists
	}
	r.names[name.Key] = name.UserID
	return nil
}

func (r *fakeRows) Groups() (all []store.Group, _ error) {
	for _, group := range r.groups {
		all = append(all, group)
	}
	return all, nil
}

func (r *fakeRows) PutGroup(group store.Group) error {
	r.groups[group.Name] = group
	return nil
}

func ticketKey(kind string, hash store.Hash) string { return kind + string(hash[:]) }

func (r *fakeRows) Ticket(kind string, hash store.Hash, now time.Time) (*store.Ticket, error) {
	ticket, ok := r.tickets[ticketKey(kind, hash)]
	if !ok || !now.Before(ticket.Expires) {
		return nil, store.ErrNotFound
	}
	return &ticket, nil
}

func (r *fakeRows) AddTicket(ticket store.Ticket) error {
	key := ticketKey(ticket.Kind, ticket.Hash)
	if _, taken := r.tickets[key]; taken {
		return store.ErrExists
	}
	r.tickets[key] = ticket
	return nil
}

func (r *fakeRows) TakeTicket(kind string, hash store.Hash, now time.Time) (*store.Ticket, error) {
	ticket, err := r.Ticket(kind, hash, now)
	if err == nil {
		delete(r.tickets, ticketKey(kind, hash))
	}
	return ticket, err
}

func (r *fakeRows) Identity(external, issuer, subject string) (*store.Identity, error) {
	identity, ok := r.identities[subjectOf(external, issuer, subject)]
	if !ok {
		return nil, store.ErrNotFound
	}
	return &identity, nil
}

func (r *fakeRows) PutIdentity(i store.Identity) error {
	r.identities[subjectOf(i.External, i.Issuer, i.Subject)] = i
	return nil
}

func (r *fakeRows) DeleteIdentity(external, issuer, subject string) error {
	delete(r.identities, subjectOf(external, issuer, subject))
	return nil
}

func (r *fakeRows) Setting(key string) (string, error) { return r.settings[key], nil }

func (r *fakeRows) SetSetting(key, value string) error {
	r.settings[key] = value
	return nil
}

// fakeAccounts has the rules of accounts in short, and notes who was told of links.
type fakeAccounts struct{ linked []string }

func (*fakeAccounts) Key(text string) (string, error) {
	if text == "" || strings.ContainsAny(text, " \x00") {
		return "", errors.New("is no name")
	}
	return strings.ToLower(text), nil
}

func (a *fakeAccounts) NewUser(tx store.Tx, user *store.User) error {
	user.ID = rand.Text()
	for _, name := range []string{user.Name, user.Email} {
		if name == "" {
			continue
		}
		key, err := a.Key(name)
		if err != nil {
			return err
		}
		if err := tx.Reserve(store.Name{Key: key, UserID: user.ID}); err != nil {
			return err
		}
	}
	return tx.PutUser(user)
}

func (a *fakeAccounts) Linked(_ context.Context, user *store.User, external string) {
	a.linked = append(a.linked, user.ID+" "+external)
}

// fakeSignIn notes what a browser comes back with.
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

func (s *fakeSignIn) Post(w http.ResponseWriter, _ *http.Request, action string, fields map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posted = fields
	s.posted["action"] = action
	w.WriteHeader(http.StatusOK)
}

// lastAnswer is the answer that came last, or nil.
func (s *fakeSignIn) lastAnswer() *Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) == 0 {
		return nil
	}
	return s.answers[len(s.answers)-1]
}

// lastFailure is the kind of the failure that came last, or nothing.
func (s *fakeSignIn) lastFailure() FailureKind {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failures) == 0 {
		return ""
	}
	return s.failures[len(s.failures)-1].Kind
}

// lastCause is what the log says of the failure that came last.
func (s *fakeSignIn) lastCause() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failures) == 0 {
		return ""
	}
	return s.failures[len(s.failures)-1].Err.Error()
}

// site is the issuer's site with a broker, and a browser.
type site struct {
	t        *testing.T
	broker   *Broker
	store    *fakeStore
	accounts *fakeAccounts
	signIn   *fakeSignIn
	server   *httptest.Server
	browser  *http.Client
	now      func() time.Time
	request  *request.Request // what Begin is called with
	hint     string
}

// newSite serves the external providers that make makes for an issuer. The path
// /begin/{id} begins a login.
func newSite(t *testing.T, make func(issuer string) []Config) *site {
	t.Helper()
	s := &site{t: t, store: newFakeStore(), accounts: new(fakeAccounts), signIn: new(fakeSignIn), now: time.Now, request: &request.Request{ID: "request-1"}}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.server.Close)
	s.broker = s.node(make(s.server.URL))
	s.browser = newBrowser(t)
	return s
}

// node is another node of the same site: it has the database in common.
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

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
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

// fakeVault seals nothing, but binds a value to its place.
type fakeVault struct{}

func (fakeVault) Seal(_ context.Context, row, column string, value []byte) ([]byte, error) {
	return []byte(row + "|" + column + "|" + string(value)), nil
}

func (fakeVault) Open(_ context.Context, row, column string, sealed []byte) ([]byte, error) {
	value, ok := strings.CutPrefix(string(sealed), row+"|"+column+"|")
	if !ok {
		return nil, errors.New("sealed for another place")
	}
	return []byte(value), nil
}

package selfservice

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

const (
	issuer   = "https://login.example.com"
	right    = "correct horse battery"
	another  = "staple gun wallpaper"
	aliceURL = "alice@example.net"
)

// harness has the pages with real accounts, factors, sessions and a database. The test
// replaces the sign-in.
type harness struct {
	*SelfService
	t        *testing.T
	at       time.Time
	slept    time.Duration
	manager  *sso.Manager
	hashes   *passwords.Passwords
	begun    []*request.Request // requests of SignIn.Begin
	enrolled []string           // users of SignIn.BeginEnrolment
	mails    []mail.Letter
	failed   []error
	log      strings.Builder
	address  string
}

func newHarness(t *testing.T, authenticators ...*authenticator.Authenticator) *harness {
	t.Helper()
	set, err := authenticator.NewSet(authenticators...)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, at: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), address: "192.0.2.1"}
	db := databasetest.New(t)
	keys := vault.New(clustertest.NewLocked(), h.now)
	h.hashes = passwords.New(keys)
	h.hashes.SetLowCosts()
	shown, err := pages.New(pages.Options{Issuer: issuer, Name: "Tennis Club"})
	if err != nil {
		t.Fatal(err)
	}
	site, _ := url.Parse(issuer)
	made, err := factors.New(factors.Options{Vault: keys, Now: h.now, Issuer: site})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(&h.log, nil))
	h.manager = sso.New(sso.Options{
		Store: db, Applications: noApplications{}, Now: h.now, Logger: logger,
		Limits: func(*store.User) sso.Limits { return sso.Limits{Lifetime: 12 * time.Hour} },
	})
	h.SelfService = New(Options{
		Issuer: issuer, Store: db, Sessions: h.manager, Pages: shown, Factors: made, SignIn: h, Mail: h, Invites: true,
		Accounts:         accounts.New(accounts.Options{Store: db, Vault: keys, Passwords: h.hashes, Authenticators: set, Sites: []string{"login.example.com"}, Now: h.now}),
		ExternalName:     strings.ToUpper,
		PasswordProblems: problemsOf,
		PasswordRules:    func(*store.User) []pages.Text { return nil },
		Address:          func(*http.Request) netip.Addr { return netip.MustParseAddr(h.address) },
		Fail: func(w http.ResponseWriter, _ *http.Request, err error) {
			h.failed = append(h.failed, err)
			w.WriteHeader(http.StatusInternalServerError)
		},
		Logger: logger, Now: h.now, Sleep: h.sleep,
	})
	return h
}

func problemsOf(e *accounts.PasswordError) (all []pages.Problem) {
	for range e.Failures {
		all = append(all, pages.Violation("names", nil))
	}
	return all
}

type noApplications struct{}

func (noApplications) Receives(string) bool                     { return false }
func (noApplications) Builtin() []string                        { return nil }
func (noApplications) Notify(context.Context, []store.Delivery) {}

func (h *harness) now() time.Time { return h.at }

func (h *harness) sleep(_ context.Context, d time.Duration) { h.slept += d }

// Begin implements SignIn.
func (h *harness) Begin(w http.ResponseWriter, r *http.Request, q *request.Request) {
	h.begun = append(h.begun, q)
	h.Pages.Redirect(w, r, "/signin/1")
}

// BeginEnrolment implements SignIn.
func (h *harness) BeginEnrolment(w http.ResponseWriter, r *http.Request, q *request.Request, userID string) {
	h.enrolled = append(h.enrolled, userID)
	h.Begin(w, r, q)
}

// Post implements Mailer.
func (h *harness) Post(l mail.Letter) { h.mails = append(h.mails, l) }

// lastMail returns the last mail after checking its kind and recipient.
func (h *harness) lastMail(kind mail.Kind, to string) mail.Letter {
	h.t.Helper()
	if len(h.mails) == 0 {
		h.t.Fatalf("expected a mail %s to %s, seen none", kind, to)
	}
	last := h.mails[len(h.mails)-1]
	if last.Kind != kind || last.To != to {
		h.t.Fatalf("expected a mail %s to %s, seen %s to %s", kind, to, last.Kind, last.To)
	}
	return last
}

// create creates a user with the password right.
func (h *harness) create(n accounts.NewUser) *store.User {
	h.t.Helper()
	if n.Name == "" {
		n.Name, n.Email, n.EmailVerified = "alice", aliceURL, true
	}
	n.Password = right
	user, err := h.Accounts.Create(h.t.Context(), n)
	if err != nil {
		h.t.Fatal(err)
	}
	return user
}

func (h *harness) update(f func(store.Tx) error) {
	h.t.Helper()
	if err := h.Store.Update(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
}

// addTOTP adds a factor to a user.
func (h *harness) addTOTP(user *store.User) store.Factor {
	h.t.Helper()
	f := store.Factor{ID: "f-" + user.Name, UserID: user.ID, Kind: store.TOTP, Label: "Phone", Confirmed: true, Secret: []byte("sealed"), Created: h.at}
	h.update(func(tx store.Tx) error { return tx.PutFactor(f) })
	return f
}

func (h *harness) hasPassword(user *store.User, password string) bool {
	h.t.Helper()
	user, err := h.Accounts.Get(h.t.Context(), user.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	ok, _, err := h.hashes.Verify(h.t.Context(), passwords.Caller{}, user.ID, user.Password.Hash, password)
	if err != nil {
		h.t.Fatal(err)
	}
	return ok
}

// sessionsOf counts the sessions of a user.
func (h *harness) sessionsOf(user *store.User) int {
	h.t.Helper()
	all, err := h.manager.List(h.t.Context(), user.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return len(all)
}

package accounts

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

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

const right = "correct horse battery"

var caller = passwords.Caller{Address: netip.MustParseAddr("192.0.2.1")}

// harness is an Accounts with a database and a clock.
type harness struct {
	*Accounts
	t     testing.TB
	clock *clock
	keys  *vault.Keys
}

func newHarness(t testing.TB, authenticators ...*authenticator.Authenticator) *harness {
	t.Helper()
	set, err := authenticator.NewSet(authenticators...)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	keys := vault.New(clustertest.NewLocked(), c.Now)
	hashes := passwords.New(keys)
	hashes.SetLowCosts()
	a := New(Options{Store: databasetest.New(t), Vault: keys, Passwords: hashes, Authenticators: set, Sites: []string{"login.example.com", "Tennis Club"}, Now: c.Now})
	return &harness{Accounts: a, t: t, clock: c, keys: keys}
}

func (h *harness) create(n NewUser) *store.User {
	h.t.Helper()
	n.Caller = caller
	user, err := h.Create(h.t.Context(), n)
	if err != nil {
		h.t.Fatalf("creating %s: expected no error, seen %v", n.Name, err)
	}
	return user
}

// wantPassword verifies a password and keeps the new hash if the old one is outdated.
func (h *harness) wantPassword(what string, user *store.User, password string, want bool) {
	h.t.Helper()
	user = h.get(user.ID)
	ok, upgraded, err := h.passwords.Verify(h.t.Context(), caller, user.ID, user.Password.Hash, password)
	if err != nil {
		h.t.Errorf("%s: expected no error, seen %v", what, err)
	}
	if ok != want {
		h.t.Errorf("%s: expected %t, seen %t", what, want, ok)
	}
	if upgraded == "" {
		return
	}
	_, err = h.Change(h.t.Context(), user.ID, func(_ store.Tx, user *store.User) error {
		user.Password.Hash = upgraded
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) link(kind LinkKind, userID, email string) *Link {
	h.t.Helper()
	link, err := h.NewLink(h.t.Context(), kind, userID, email)
	if err != nil {
		h.t.Fatal(err)
	}
	return link
}

func (h *harness) update(f func(store.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
}

// ticket adds a ticket of a kind for a user.
func (h *harness) ticket(userID, kind string) {
	h.t.Helper()
	h.update(func(tx store.Tx) error {
		return tx.AddTicket(store.Ticket{Hash: store.HashOf(userID + kind), Kind: kind, UserID: userID, Data: []byte("{}"), Created: h.clock.Now(), Expires: h.clock.Now().Add(24 * time.Hour)})
	})
}

func (h *harness) tickets(userID, kind string) (count int) {
	h.t.Helper()
	h.update(func(tx store.Tx) error {
		all, err := tx.TicketsOf(userID, kind)
		count = len(all)
		return err
	})
	return count
}

func (h *harness) get(id string) *store.User {
	h.t.Helper()
	user, err := h.Get(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return user
}

// wantError checks that err matches want.
func (h *harness) wantError(what string, err, want error) {
	h.t.Helper()
	if !errors.Is(err, want) {
		h.t.Errorf("%s: expected %v, seen %v", what, want, err)
	}
}

package factors

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"maps"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// fakeTx is the part of a transaction that factors need, over maps.
type fakeTx struct {
	factors  map[string]store.Factor
	recovery map[string][]store.Hash
	tickets  map[store.Hash]store.Ticket
	settings map[string]string
}

func (t *fakeTx) FactorsOf(userID string) ([]store.Factor, error) {
	var of []store.Factor
	for _, f := range t.factors {
		if f.UserID == userID {
			of = append(of, f)
		}
	}
	slices.SortFunc(of, func(a, b store.Factor) int { return a.Created.Compare(b.Created) })
	return of, nil
}

func (t *fakeTx) FactorByCredential(id []byte) (*store.Factor, error) {
	for _, f := range t.factors {
		if f.CredentialID != nil && bytes.Equal(f.CredentialID, id) {
			return &f, nil
		}
	}
	return nil, store.ErrNotFound
}

func (t *fakeTx) PutFactor(f store.Factor) error { t.factors[f.ID] = f; return nil }

func (t *fakeTx) DeleteFactor(userID, id string) error {
	if t.factors[id].UserID != userID {
		return store.ErrNotFound
	}
	delete(t.factors, id)
	return nil
}

func (t *fakeTx) CountUsersWithFactor(...store.FactorKind) (int, error) { return 0, nil }

func (t *fakeTx) CountPasskeys() (int, error) {
	n := 0
	for _, f := range t.factors {
		if f.Kind == store.Passkey {
			n++
		}
	}
	return n, nil
}

func (t *fakeTx) SetRecoveryCodes(userID string, codes []store.Hash) error {
	t.recovery[userID] = slices.Clone(codes)
	return nil
}

func (t *fakeTx) TakeRecoveryCode(userID string, code store.Hash) error {
	i := slices.Index(t.recovery[userID], code)
	if i < 0 {
		return store.ErrNotFound
	}
	t.recovery[userID] = slices.Delete(slices.Clone(t.recovery[userID]), i, i+1)
	return nil
}

func (t *fakeTx) CountRecoveryCodes(userID string) (int, error) { return len(t.recovery[userID]), nil }

func (t *fakeTx) Ticket(kind string, hash store.Hash, now time.Time) (*store.Ticket, error) {
	ticket, ok := t.tickets[hash]
	if !ok || ticket.Kind != kind || !ticket.Expires.After(now) {
		return nil, store.ErrNotFound
	}
	return &ticket, nil
}

func (t *fakeTx) AddTicket(ticket store.Ticket) error {
	if _, ok := t.tickets[ticket.Hash]; ok {
		return store.ErrExists
	}
	t.tickets[ticket.Hash] = ticket
	return nil
}

func (t *fakeTx) TakeTicket(kind string, hash store.Hash, now time.Time) (*store.Ticket, error) {
	ticket, err := t.Ticket(kind, hash, now)
	delete(t.tickets, hash)
	return ticket, err
}

func (t *fakeTx) DeleteTickets(userID string, kinds ...string) error {
	maps.DeleteFunc(t.tickets, func(_ store.Hash, ticket store.Ticket) bool {
		return ticket.UserID == userID && (len(kinds) == 0 || slices.Contains(kinds, ticket.Kind))
	})
	return nil
}

func (t *fakeTx) TicketsOf(userID, kind string) ([]store.Ticket, error) {
	var of []store.Ticket
	for _, ticket := range t.tickets {
		if ticket.UserID == userID && ticket.Kind == kind {
			of = append(of, ticket)
		}
	}
	return of, nil
}

func (t *fakeTx) Setting(key string) (string, error) { return t.settings[key], nil }
func (t *fakeTx) SetSetting(key, value string) error { t.settings[key] = value; return nil }
func (t *fakeTx) Sweep(time.Time, int) error         { return nil }

// fakeVault seals with one key, bound to row and column.
type fakeVault struct{ key [32]byte }

func (v fakeVault) Seal(_ context.Context, row, column string, value []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(v.key[:])
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, value, []byte(row+"\x00"+column)), nil
}

func (v fakeVault) Open(_ context.Context, row, column string, sealed []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(v.key[:])
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("too short")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(row+"\x00"+column))
}

func (v fakeVault) Pepper(context.Context, string, []byte) ([]byte, string, error) {
	return nil, "", errors.New("not for factors")
}

func (v fakeVault) Keyed(_ context.Context, purpose, text string) ([]byte, error) {
	mac := hmac.New(sha256.New, v.key[:])
	mac.Write([]byte(purpose + "\x00" + text))
	return mac.Sum(nil), nil
}

// bench is a provider's factors, their database, and a clock.
type bench struct {
	*Set
	t    *testing.T
	lock sync.Mutex
	tx   *fakeTx
	now  time.Time
}

func newBench(t *testing.T, issuer string) *bench {
	t.Helper()
	b := &bench{
		t:   t,
		now: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC),
		tx: &fakeTx{
			factors:  map[string]store.Factor{},
			recovery: map[string][]store.Hash{},
			tickets:  map[store.Hash]store.Ticket{},
			settings: map[string]string{},
		},
	}
	at, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	b.Set, err = New(Options{
		Vault:  fakeVault{key: [32]byte{1}},
		Now:    func() time.Time { return b.now },
		Issuer: at,
		Name:   "Example",
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// update is one transaction: nothing is kept if f fails.
func (b *bench) update(f func(tx Tx) error) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	next := &fakeTx{
		factors:  maps.Clone(b.tx.factors),
		recovery: maps.Clone(b.tx.recovery),
		tickets:  maps.Clone(b.tx.tickets),
		settings: maps.Clone(b.tx.settings),
	}
	if err := f(next); err != nil && !errors.Is(err, ErrWrong) {
		return err
	} else {
		b.tx = next
		return err
	}
}

// at returns a ceremony of a user in a browser.
func at(userID, browser string) Ceremony {
	return Ceremony{User: &store.User{ID: userID, Name: userID}, Browser: store.HashOf(browser), Request: "r1"}
}

// verify gives an answer at a method.
func (b *bench) verify(m Method, userID, answer string) error {
	return b.update(func(tx Tx) error {
		_, err := m.Verify(b.t.Context(), tx, at(userID, "a"), answer)
		return err
	})
}

// begin begins an enrolment.
func (b *bench) begin(m Method, c Ceremony, s Setup) (e *Enrolment, err error) {
	err = b.update(func(tx Tx) error {
		e, err = m.BeginEnrol(b.t.Context(), tx, c, s)
		return err
	})
	return e, err
}

// finish finishes an enrolment.
func (b *bench) finish(m Method, c Ceremony, token, answer string) (f *store.Factor, err error) {
	err = b.update(func(tx Tx) error {
		f, err = m.FinishEnrol(b.t.Context(), tx, c, token, answer, "my token")
		return err
	})
	return f, err
}

package factors

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// fakeVault encrypts with one key and binds values to their row and column.
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

// bench has the factors of a provider, their database, and a clock.
type bench struct {
	*Set
	t   testing.TB
	db  store.Store
	now time.Time
}

func newBench(t testing.TB, issuer string) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), db: databasetest.New(t)}
	var err error
	b.Set, err = New(Options{
		Vault:  fakeVault{key: [32]byte{1}},
		Now:    func() time.Time { return b.now },
		Issuer: address(t, issuer),
		Name:   "Example",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"alice", "bob", "mallory"} {
		if err := b.update(func(tx Tx) error {
			return tx.(store.Tx).PutUser(&store.User{ID: id, Kind: store.Person, Name: id, Created: b.now})
		}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func address(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// update runs a transaction. Like the callers of this package, it commits after ErrWrong.
func (b *bench) update(f func(tx Tx) error) error {
	wrong := false
	err := b.db.Update(b.t.Context(), func(tx store.Tx) error {
		err := f(tx)
		if wrong = errors.Is(err, ErrWrong); wrong {
			return nil
		}
		return err
	})
	if wrong {
		return ErrWrong
	}
	return err
}

// factors returns a user's factors in the database.
func (b *bench) factors(userID string) (all []store.Factor) {
	b.t.Helper()
	if err := b.update(func(tx Tx) (err error) {
		all, err = tx.FactorsOf(userID)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return all
}

// at returns a ceremony of a user in a browser.
func at(userID, browser string) Ceremony {
	return Ceremony{User: &store.User{ID: userID, Name: userID}, Browser: store.HashOf(browser), Request: "r1"}
}

// verify verifies an answer with a method.
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

// oneWins checks that only one of many concurrent uses succeeds, and that the others fail
// with ErrWrong.
func oneWins(t *testing.T, use func() error) {
	t.Helper()
	var right, wrong atomic.Int64
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			switch err := use(); {
			case err == nil:
				right.Add(1)
			case errors.Is(err, ErrWrong):
				wrong.Add(1)
			default:
				t.Errorf("expected it to be right or wrong, seen %v", err)
			}
		})
	}
	all.Wait()
	if seen := right.Load(); seen != 1 {
		t.Errorf("expected one of 200 uses to be right, seen %d", seen)
	}
	if seen := wrong.Load(); seen != 199 {
		t.Errorf("expected 199 of 200 uses to be wrong, seen %d", seen)
	}
}

package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// testStore is a SQLite database that can be made unavailable.
type testStore struct {
	*database.DB
	t      testing.TB
	folder string
	down   bool
}

func newTestStore(t testing.TB) *testStore {
	t.Helper()
	folder := t.TempDir()
	db, err := database.Open(t.Context(), database.Options{SQLite: filepath.Join(folder, "accounts.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &testStore{DB: db, t: t, folder: folder}
}

// View implements store.Store.
func (s *testStore) View(ctx context.Context, f func(store.Tx) error) error {
	if s.down {
		return store.ErrUnavailable
	}
	return s.DB.View(ctx, f)
}

// Update implements store.Store.
func (s *testStore) Update(ctx context.Context, f func(store.Tx) error) error {
	if s.down {
		return store.ErrUnavailable
	}
	return s.DB.Update(ctx, f)
}

// change performs a transaction.
func (s *testStore) change(f func(store.Tx) error) {
	s.t.Helper()
	if err := s.DB.Update(context.Background(), f); err != nil {
		s.t.Fatal(err)
	}
}

// user returns a user by id.
func (s *testStore) user(id string) (user *store.User) {
	s.t.Helper()
	s.change(func(tx store.Tx) (err error) {
		user, err = tx.User(id)
		return err
	})
	return user
}

func (s *testStore) owner(name string) (id string) {
	s.t.Helper()
	s.change(func(tx store.Tx) error {
		user, err := tx.UserByName(name)
		if err == nil {
			id = user.ID
		}
		return err
	})
	return id
}

func (s *testStore) countUsers() (count int) {
	s.t.Helper()
	s.change(func(tx store.Tx) (err error) {
		count, err = tx.CountUsers(store.UserFilter{Removed: true})
		return err
	})
	return count
}

// contains reports whether the files of the database contain a text.
func (s *testStore) contains(text string) bool {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.folder, "*"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("expected the files of the database, seen %v, %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		if strings.Contains(string(content), text) {
			return true
		}
	}
	return false
}

// testAccounts are accounts that record notices about links.
type testAccounts struct {
	*accounts.Accounts
	linked []string
}

func newTestAccounts() *testAccounts {
	return &testAccounts{Accounts: accounts.New(accounts.Options{Now: time.Now})}
}

// NewUser implements Accounts.
func (a *testAccounts) NewUser(tx store.Tx, user *store.User) error {
	user.ID = strings.ToLower(rand.Text())
	return a.Add(tx, user)
}

// Linked implements Accounts.
func (a *testAccounts) Linked(_ context.Context, user *store.User, external string) {
	a.linked = append(a.linked, user.ID+" "+external)
}

// fakeVault does not encrypt, but binds a value to its row and column.
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

// Package databasetest has what tests of other packages need of a database, and
// the tests that every engine has to pass.
package databasetest

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
)

// New returns an empty SQLite database that ends with the test. It does not
// wait for the disk.
func New(t testing.TB) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{
		SQLite: filepath.Join(t.TempDir(), "accounts.db"),
		NoSync: true,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("opening the test database: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the test database: %v", err)
		}
	})
	return db
}

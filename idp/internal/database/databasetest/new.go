// Package databasetest has what tests of other packages need of a database, and
// the tests that every engine has to pass.
package databasetest

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
)

// Dump returns every cell of a database as text, bytes as they are. A test that
// has put secrets into it looks for them there.
func Dump(t testing.TB, db *database.DB) string {
	t.Helper()
	var text strings.Builder
	err := db.Rows(t.Context(), func(table string, columns []string, row []any) error {
		for i, v := range row {
			switch v := v.(type) {
			case []byte:
				fmt.Fprintf(&text, "%s.%s: %s\n", table, columns[i], v)
			default:
				fmt.Fprintf(&text, "%s.%s: %v\n", table, columns[i], v)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("reading the whole database: %v", err)
	}
	return text.String()
}

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

// Package databasetest provides databases for the tests of other packages, and the tests
// that every engine must pass.
package databasetest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
)

// Dump returns every cell of a database as text. Tests search it for secrets.
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

// empty returns the file of an empty database. It is created once, because the migrations
// take longer than most tests.
var empty = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "databasetest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a folder for temporary files
	options := optionsOf(folder)
	db, err := database.Open(context.Background(), options)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(options.SQLite)
})

func optionsOf(folder string) database.Options {
	return database.Options{
		SQLite: filepath.Join(folder, "accounts.db"),
		NoSync: true,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// New returns an empty SQLite database that is closed at the end of the test. It does not
// wait for the disk.
func New(t testing.TB) *database.DB {
	t.Helper()
	file, err := empty()
	if err != nil {
		t.Fatalf("making an empty database: %v", err)
	}
	options := optionsOf(t.TempDir())
	if err := os.WriteFile(options.SQLite, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := database.Open(t.Context(), options)
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

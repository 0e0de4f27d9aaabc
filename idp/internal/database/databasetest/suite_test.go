package databasetest_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	databasetest.Run(t, func(t testing.TB) store.Store { return databasetest.New(t) })
}

func TestSQLiteAsADatabase(t *testing.T) {
	t.Parallel()
	databasetest.RunEngine(t, func(t testing.TB) database.Options {
		return database.Options{SQLite: filepath.Join(t.TempDir(), "new", "accounts.db"), NoSync: true, Logger: slog.New(slog.DiscardHandler)}
	})
}

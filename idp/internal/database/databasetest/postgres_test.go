//go:build postgres

// These tests need a server: e2e/idp/postgres-suite starts one and runs them.

package databasetest_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// server returns the URL of a PostgreSQL database in which the tests create schemas.
func server(t testing.TB) string {
	t.Helper()
	server := os.Getenv("OIDC_IDP_POSTGRES")
	if server == "" {
		t.Fatal("OIDC_IDP_POSTGRES is not set: run e2e/idp/postgres-suite")
	}
	return server
}

var schemas atomic.Int64

// newPostgres returns the options of an empty database, which is a new schema.
func newPostgres(t testing.TB) database.Options {
	t.Helper()
	admin, err := sql.Open("pgx", server(t))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	schema := fmt.Sprintf("test_%d_%d", os.Getpid(), schemas.Add(1))
	if _, err := admin.ExecContext(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		admin, err := sql.Open("pgx", server(t))
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		if _, err := admin.ExecContext(context.Background(), "DROP SCHEMA "+schema+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	join := "?"
	if strings.Contains(server(t), "?") {
		join = "&"
	}
	return database.Options{Postgres: server(t) + join + url.Values{"search_path": {schema}}.Encode(), Logger: slog.New(slog.DiscardHandler)}
}

func TestPostgres(t *testing.T) {
	databasetest.Run(t, func(t testing.TB) store.Store {
		return openPostgres(t, newPostgres(t))
	})
}

// openPostgres opens a database until the end of the test.
func openPostgres(t testing.TB, options database.Options) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestPostgresAsADatabase(t *testing.T) { databasetest.RunEngine(t, newPostgres) }

package databasetest_test

import (
	"bytes"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
)

// update rewrites testdata/v1.*, which is allowed only until version 1 is released.
var update = flag.Bool("update", false, "write what version 1 leaves behind again")

const (
	v1File   = "testdata/v1.sqlite.sql"
	v1Backup = "testdata/v1.backup.gz"
)

func openFile(t testing.TB, path string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{SQLite: path, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestFileOfVersion1StillOpens(t *testing.T) {
	t.Parallel()
	want := databasetest.New(t)
	if err := want.Update(t.Context(), databasetest.Fill); err != nil {
		t.Fatal(err)
	}
	if *update {
		writeVersion1(t)
	}
	text, err := os.ReadFile(v1File)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "accounts.db")
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = raw.ExecContext(t.Context(), string(text))
	if err := errors.Join(err, raw.Close(), os.Chmod(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, want := databasetest.Dump(t, openFile(t, path)), databasetest.Dump(t, want); got != want {
		t.Errorf("expected %s, seen %s", want, got)
	}
}

// writeVersion1 writes a filled database as SQL and as a backup.
func writeVersion1(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.db")
	db := openFile(t, path)
	if err := db.Update(t.Context(), databasetest.Fill); err != nil {
		t.Fatal(err)
	}
	if _, err := db.BackupFile(t.Context(), v1Backup, databasetest.Start); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(v1File, []byte(statements(t, path)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// statements returns the SQL that recreates a database file.
func statements(t *testing.T, path string) string {
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	var out bytes.Buffer
	for _, s := range column(t, raw, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, rowid") {
		fmt.Fprintf(&out, "%s;\n", s)
	}
	for _, table := range column(t, raw, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid") {
		names := column(t, raw, "SELECT name FROM pragma_table_info('"+table+"')")
		row := "'INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") VALUES (' || quote(" + strings.Join(names, ") || ', ' || quote(") + ") || ');'"
		for _, s := range column(t, raw, "SELECT "+row+" FROM "+table+" ORDER BY 1") {
			fmt.Fprintf(&out, "%s\n", s)
		}
	}
	return out.String()
}

func column(t *testing.T, raw *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := raw.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

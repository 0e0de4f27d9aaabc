package database

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// released are the migrations of released versions. Their files never change; new
// migrations get new files.
var released = map[string]string{
	"migrations/sqlite/00001_accounts.sql":   "bd0b16378f5f782a",
	"migrations/postgres/00001_accounts.sql": "dffda1efbabe9bd7",
}

func TestReleasedMigrationsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, want := range released {
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		if got := hex.EncodeToString(sum[:8]); got != want {
			t.Errorf("%s: expected the hash %s, seen %s", name, want, got)
		}
	}
}

func TestBothEnginesHaveTheSameMigrations(t *testing.T) {
	t.Parallel()
	lists := map[string][]string{}
	for _, engine := range []string{"sqlite", "postgres"} {
		names, err := fs.Glob(migrations, "migrations/"+engine+"/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			lists[engine] = append(lists[engine], filepath.Base(name))
		}
	}
	if got, want := strings.Join(lists["postgres"], " "), strings.Join(lists["sqlite"], " "); got != want {
		t.Errorf("expected the files %s, seen %s", want, got)
	}
}

// later returns the migrations of a program of version 2.
func later(t *testing.T) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	err := fs.WalkDir(migrations, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations, name)
		all[name] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const step = "-- +goose Up\nALTER TABLE users ADD COLUMN nickname TEXT NOT NULL DEFAULT 'none';\nUPDATE users SET nickname = lower(name);\n"
	all["migrations/sqlite/99999_nickname.sql"] = &fstest.MapFile{Data: []byte(step)}
	return all
}

func openVersion(t *testing.T, path string, migrations fs.FS) (*DB, *bytes.Buffer, error) {
	t.Helper()
	var log bytes.Buffer
	db, err := open(t.Context(), Options{SQLite: path, Logger: slog.New(slog.NewTextHandler(&log, nil))}, migrations)
	if err == nil {
		t.Cleanup(func() { _ = db.Close() })
	}
	return db, &log, err
}

func putAda(x store.Tx) error { return x.PutUser(&store.User{ID: "u1", Name: "Ada"}) }

func nicknames(t *testing.T, db *DB) (all []string) {
	t.Helper()
	err := db.raw(t.Context(), db.read, db.engine.view, func(x *tx) (err error) {
		all, err = values[string](x, "SELECT nickname FROM users")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOlderDatabaseIsMigratedAndNewerOneIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "accounts.db")
	db, log, err := openVersion(t, path, migrations)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "event=database_created version=1") {
		t.Errorf("expected a line about the new database, seen %q", log)
	}
	if err := db.Update(t.Context(), putAda); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	newer, log, err := openVersion(t, path, later(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := nicknames(t, newer); len(got) != 1 || got[0] != "ada" {
		t.Errorf("expected the nickname ada, seen %q", got)
	}
	if !strings.Contains(log.String(), "event=database_migrated version=99999") {
		t.Errorf("expected a line about the migration, seen %q", log)
	}
	if err := newer.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openVersion(t, path, migrations); err == nil || !strings.Contains(err.Error(), "newer than version 1 of this program") {
		t.Errorf("expected a newer database to be refused, seen %v", err)
	}
	if _, log, err := openVersion(t, path, later(t)); err != nil || log.Len() > 0 {
		t.Errorf("expected it to open again without a migration, seen %q, %v", log, err)
	}
}

func TestOlderBackupIsMigratedAndNewerOneIsRefused(t *testing.T) {
	t.Parallel()
	older, _, err := openVersion(t, filepath.Join(t.TempDir(), "accounts.db"), migrations)
	if err != nil {
		t.Fatal(err)
	}
	newer, _, err := openVersion(t, filepath.Join(t.TempDir(), "accounts.db"), later(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := older.Update(t.Context(), putAda); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if _, err := older.Backup(t.Context(), &saved, testTime); err != nil {
		t.Fatal(err)
	}
	info, err := newer.Restore(t.Context(), &saved, RestoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (BackupInfo{testTime, 1, 1, 1}); info != want {
		t.Errorf("expected %+v, seen %+v", want, info)
	}
	if got := nicknames(t, newer); len(got) != 1 || got[0] != "ada" {
		t.Errorf("expected the nickname ada, seen %q", got)
	}
	saved.Reset()
	if _, err := newer.Backup(t.Context(), &saved, testTime); err != nil {
		t.Fatal(err)
	}
	if _, err := older.Restore(t.Context(), &saved, RestoreOptions{}); err == nil || !strings.Contains(err.Error(), "newer than version 1 of this program") {
		t.Errorf("expected a newer backup to be refused, seen %v", err)
	}
}

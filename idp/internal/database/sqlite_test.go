package database

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func openFile(t *testing.T, path string) (*DB, error) {
	t.Helper()
	db, err := Open(t.Context(), Options{SQLite: path, Timeout: time.Minute, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Cleanup(func() { _ = db.Close() })
	}
	return db, err
}

func setting(key string) func(store.Tx) error {
	return func(x store.Tx) error { return x.SetSetting(key, "1") }
}

func TestOtherUsersCannotReadTheFile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // files have no mode on this system
	}
	path := filepath.Join(t.TempDir(), "a", "b", "accounts.db")
	db, err := openFile(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), setting("a")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: expected mode %04o, seen %04o", filepath.Base(name), want, got)
		}
	}
}

func TestFileThatOthersCanAccessIsRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // files have no mode on this system
	}
	for _, c := range []struct {
		name, file string
		mode       os.FileMode
		want       string
	}{
		{"a file that others can read", "accounts.db", 0o644, "chmod 600"},
		{"a file that the group can write", "accounts.db", 0o620, "chmod 600"},
		{"a log that others can read", "accounts.db-wal", 0o604, "chmod 600"},
		{"a folder that others can write", ".", 0o777, "chmod 700"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "idp")
			path := filepath.Join(folder, "accounts.db")
			db, err := openFile(t, path)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			target := filepath.Join(folder, c.file)
			if c.file == "accounts.db-wal" {
				if err := os.WriteFile(target, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(target, c.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := openFile(t, path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("expected an error with %q, seen %v", c.want, err)
			}
			if info, err := os.Stat(target); err != nil || info.Mode().Perm() != c.mode {
				t.Errorf("expected the mode to stay %04o, seen %v, %v", c.mode, info.Mode(), err)
			}
		})
	}
}

func TestConnectionsAreSetUp(t *testing.T) {
	t.Parallel()
	db, err := openFile(t, filepath.Join(t.TempDir(), "a folder with ?#% ü", "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pragma      string
		write, read string
	}{
		{"journal_mode", "wal", "wal"}, {"foreign_keys", "1", "1"}, {"synchronous", "2", "2"},
		{"busy_timeout", "5000", "5000"}, {"query_only", "0", "1"},
	} {
		for name, pool := range map[string]struct {
			db   *sql.DB
			want string
		}{"write": {db.write, c.write}, "read": {db.read, c.read}} {
			var got string
			if err := pool.db.QueryRowContext(t.Context(), "PRAGMA "+c.pragma).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != pool.want {
				t.Errorf("%s, to %s: expected %s, seen %s", c.pragma, name, pool.want, got)
			}
		}
	}
}

func TestFileThatCannotBeUsedIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(folder string) error
	}{
		{"a file in the place of the folder", func(folder string) error {
			return errors.Join(os.Remove(folder), os.WriteFile(folder, nil, 0o600))
		}},
		{"something else than a database", func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "accounts.db"), []byte(strings.Repeat("no database ", 1000)), 0o600)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "idp")
			if err := errors.Join(os.Mkdir(folder, 0o700), c.prepare(folder)); err != nil {
				t.Fatal(err)
			}
			if _, err := openFile(t, filepath.Join(folder, "accounts.db")); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("expected %q, seen %v", store.ErrUnavailable, err)
			}
		})
	}
}

func TestFileThatAnotherProcessHoldsIsUnavailable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "accounts.db")
	db, err := openFile(t, path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), setting("a")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("expected %q, seen %v", store.ErrUnavailable, err)
	}
	if err := db.View(t.Context(), func(x store.Tx) error { _, err := x.Setting("a"); return err }); err != nil {
		t.Errorf("expected reading to go on, seen %v", err)
	}
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), setting("a")); err != nil {
		t.Errorf("expected writing to go on, seen %v", err)
	}
}

func TestCallerWhoseDeadlineIsOverGetsUnavailable(t *testing.T) {
	t.Parallel()
	db, err := openFile(t, filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	if err := db.Update(ctx, setting("a")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("expected %q, seen %v", store.ErrUnavailable, err)
	}
}

func TestDiskThatIsFullIsUnavailable(t *testing.T) {
	t.Parallel()
	db, err := openFile(t, filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.write.ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil { // SQLite keeps the present size
		t.Fatal(err)
	}
	large := func(x store.Tx) error { return x.SetSetting("a", strings.Repeat("a", 1<<20)) }
	if err := db.Update(t.Context(), large); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("expected %q, seen %v", store.ErrUnavailable, err)
	}
	if _, err := db.write.ExecContext(t.Context(), "PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), large); err != nil {
		t.Errorf("expected writing to go on, seen %v", err)
	}
}

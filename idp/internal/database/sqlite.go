package database

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// sqliteReaders is the maximum number of connections for reading.
const sqliteReaders = 4

var sqliteEngine = &engine{
	name:    "sqlite",
	dialect: goose.DialectSQLite3,
	view:    sql.TxOptions{ReadOnly: true},
	groups: `(SELECT json_group_array(group_name) FROM (SELECT group_name FROM memberships
		WHERE user_id = users.id ORDER BY group_name))`,
	// Update uses BEGIN IMMEDIATE, so it waits instead of running into conflicts.
	isConflict: func(error) bool { return false },
	isStale:    func(error) bool { return false },
	isUnavailable: func(err error) bool {
		var e *sqlite.Error
		if !errors.As(err, &e) {
			return errors.Is(err, sql.ErrConnDone)
		}
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT,
			sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB:
			return true
		}
		return false
	},
}

// openSQLite opens a file, with one connection for writing and several for reading. With
// the write-ahead log, readers and the writer do not wait for each other.
//
// A commit waits for the disk (synchronous FULL): something that can be used only once,
// such as a code or a counter, must not become usable again after a power failure.
func openSQLite(d *DB, options Options) error {
	path, err := filepath.Abs(options.SQLite)
	if err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	if err := prepareFile(path); err != nil {
		return err
	}
	sync := "FULL"
	if options.NoSync {
		sync = "OFF"
	}
	q := url.Values{
		"_busy_timeout": {"5000"},
		"_foreign_keys": {"1"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {sync},
		"_txlock":       {"immediate"},
		"_dqs":          {"0"},
		"_defensive":    {"1"},
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	d.engine = sqliteEngine
	if d.write, err = sqlitePool(dsn); err != nil {
		return err
	}
	d.write.SetMaxOpenConns(1)
	q.Set("_query_only", "1")
	dsn.RawQuery = q.Encode()
	if d.read, err = sqlitePool(dsn); err != nil {
		return err
	}
	d.read.SetMaxOpenConns(sqliteReaders)
	d.read.SetMaxIdleConns(sqliteReaders)
	return nil
}

func sqlitePool(dsn url.URL) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("database file %s: %w", dsn.Path, err)
	}
	return sql.OpenDB(preparing{connector}), nil
}

// prepareFile creates the file and its folder with access only for their owner, or checks
// that other users can neither read the file nor replace it. It never opens an existing
// file, because closing it would drop SQLite's locks on it.
func prepareFile(path string) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("%w: folder of the database: %w", store.ErrUnavailable, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case err == nil:
		if err := f.Close(); err != nil {
			return fmt.Errorf("%w: database file: %w", store.ErrUnavailable, err)
		}
	case !errors.Is(err, os.ErrExist):
		return fmt.Errorf("%w: database file: %w", store.ErrUnavailable, err)
	}
	if runtime.GOOS == "windows" { // file modes are meaningless there
		return nil
	}
	return checkModes(path)
}

// checkModes checks the modes of the file, of the files that SQLite keeps beside it, and
// of the folder.
func checkModes(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm", path + "-journal"} {
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) && name != path {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: database file: %w", store.ErrUnavailable, err)
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("the database %s is not a regular file", name)
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			return fmt.Errorf("other users can access the database: %s has mode %04o, expected 0600; run: chmod 600 %s", name, mode, name)
		}
	}
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("%w: folder of the database: %w", store.ErrUnavailable, err)
	}
	if mode := info.Mode(); mode.Perm()&0o022 != 0 && mode&os.ModeSticky == 0 {
		return fmt.Errorf("other users can replace the database: the folder %s has mode %04o, expected 0700; run: chmod 700 %s",
			folder, mode.Perm(), folder)
	}
	return nil
}

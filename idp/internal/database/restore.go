package database

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// RestoreOptions describe how to restore a backup.
type RestoreOptions struct {
	// Latest states that nothing has changed since the backup was made, as when the
	// database moves to another engine or machine. If it is not set, recovery codes are
	// not restored, because they may have been used since.
	Latest bool
	// First runs in the same transaction before rows are deleted. Deliveries that it adds
	// are kept. It may be nil.
	First func(store.Tx) error
	// Then runs in the same transaction after all rows have been written. It can, for
	// example, record that restored counters may be out of date. It may be nil.
	Then func(store.Tx) error
}

// Restore replaces the content of the database by a backup. If it returns an error,
// nothing has changed. All sessions, requests, codes, tokens and links end. Logouts that
// have not been delivered to applications are kept.
func (d *DB) Restore(ctx context.Context, r io.Reader, options RestoreOptions) (BackupInfo, error) {
	b, err := readBackup(r)
	if err != nil {
		return BackupInfo{}, err
	}
	version, err := d.version(ctx)
	if err != nil {
		return BackupInfo{}, err
	}
	switch {
	case b.Schema > version:
		return BackupInfo{}, fmt.Errorf("restore: the backup has version %d, which is newer than version %d of this program", b.Schema, version)
	case b.Schema < version:
		return d.restoreOlder(ctx, b, options)
	}
	return d.restore(ctx, b, options)
}

func (d *DB) restore(ctx context.Context, b *backupReader, options RestoreOptions) (BackupInfo, error) {
	err := d.raw(ctx, d.write, d.engine.update, func(x *tx) error {
		if d.engine.locks[1] != "" {
			if _, err := x.exec(d.engine.locks[1]); err != nil {
				return err
			}
		}
		if options.First != nil {
			if err := options.First(x); err != nil {
				return err
			}
		}
		if err := x.empty(); err != nil {
			return err
		}
		if err := x.fill(b); err != nil {
			return err
		}
		if !options.Latest {
			if _, err := x.exec("DELETE FROM recovery_codes"); err != nil {
				return err
			}
		}
		if options.Then == nil {
			return nil
		}
		return options.Then(x)
	})
	return BackupInfo{b.Created, b.Schema, b.Users, b.rows}, err
}

// restoreOlder restores a backup of an older version: it restores it into a temporary
// SQLite file of that version, migrates that file, and then restores a backup of it.
func (d *DB) restoreOlder(ctx context.Context, b *backupReader, options RestoreOptions) (BackupInfo, error) {
	folder, err := os.MkdirTemp("", "oidc-idp-restore-") // 0700
	if err != nil {
		return BackupInfo{}, fmt.Errorf("restore: %w", err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a folder for temporary files
	old := &DB{timeout: d.timeout, logger: slog.New(slog.DiscardHandler), migrations: d.migrations}
	if err := openSQLite(old, Options{SQLite: filepath.Join(folder, "accounts.db"), NoSync: true}); err != nil {
		return BackupInfo{}, err
	}
	defer old.Close() //nolint:errcheck // as above
	if err := old.migrate(ctx, b.Schema); err != nil {
		return BackupInfo{}, err
	}
	if _, err := old.restore(ctx, b, RestoreOptions{Latest: true}); err != nil {
		return BackupInfo{}, err
	}
	if err := old.migrate(ctx, 0); err != nil {
		return BackupInfo{}, err
	}
	out, in := io.Pipe()
	go func() {
		_, err := old.Backup(ctx, in, b.Created)
		in.CloseWithError(err)
	}()
	defer out.Close() //nolint:errcheck // ends the goroutine
	info, err := d.Restore(ctx, out, options)
	info.Schema = b.Schema
	return info, err
}

// CheckBackup reads a backup to its end, and returns an error if it is damaged or
// incomplete. It does not check whether a database accepts the rows.
func CheckBackup(r io.Reader) error {
	b, err := readBackup(r)
	for err == nil {
		_, err = b.next()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// empty deletes all rows, except logouts that have not been delivered.
func (x *tx) empty() error {
	for _, list := range [][]string{passing, lasting} {
		for _, table := range slices.Backward(list) {
			if table == "deliveries" {
				continue
			}
			if _, err := x.exec("DELETE FROM " + table); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill inserts the rows of a backup.
func (x *tx) fill(b *backupReader) error {
	var table string
	var kinds []string
	var insert *sql.Stmt
	for {
		row, err := b.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if b.table != table {
			table = b.table
			if insert, kinds, err = x.insertInto(table, b.columns); err != nil {
				return err
			}
			defer insert.Close() //nolint:errcheck,gocritic // one for each table
		}
		args := make([]any, len(row))
		for i, v := range row {
			if args[i], err = cell(kinds[i], v); err != nil {
				return fmt.Errorf("restore: %s.%s: %w", table, b.columns[i], err)
			}
		}
		if !validText(args) {
			return errText
		}
		if _, err := insert.ExecContext(x.ctx, args...); err != nil {
			return x.fail(err)
		}
	}
}

// insertInto returns a statement that inserts rows of a backup, and the kinds of the
// columns. It returns an error if the table does not have all of the columns.
func (x *tx) insertInto(table string, columns []string) (*sql.Stmt, []string, error) {
	known, err := x.kinds(table)
	if err != nil {
		return nil, nil, err
	}
	kinds, places := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		if known[c] == "" || slices.Contains(columns[:i], c) {
			return nil, nil, fmt.Errorf("restore: the backup has a column %q in %s, which this program does not know", c, table)
		}
		kinds[i], places[i] = known[c], fmt.Sprintf("$%d", i+1)
	}
	insert, err := x.sql.PrepareContext(x.ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(columns, ", "), strings.Join(places, ", ")))
	if err != nil {
		return nil, nil, x.fail(err)
	}
	return insert, kinds, nil
}

// cell converts a value in a backup to a column of a kind. SQLite stores the booleans of
// PostgreSQL as numbers.
func cell(kind string, v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		switch kind {
		case "bytes":
			return base64.StdEncoding.DecodeString(v)
		case "text":
			return v, nil
		}
	case bool:
		switch kind {
		case "bool":
			return v, nil
		case "number":
			return map[bool]int64{false: 0, true: 1}[v], nil
		}
	case json.Number:
		n, err := v.Int64()
		switch {
		case err == nil && kind == "number":
			return n, nil
		case err == nil && kind == "bool":
			return n != 0, nil
		}
	}
	return nil, fmt.Errorf("expected %s, seen %T", kind, v)
}

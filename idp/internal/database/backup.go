package database

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A backup consists of lines of JSON, compressed with gzip: a header; for each table, a
// line with its name and columns, and a line for each row; and finally a line with the
// number of rows. The format is the same for both engines, so a backup can also be used
// to move from SQLite to PostgreSQL or back.
//
// A backup contains what lasts: accounts, names, groups, factors, links to external
// accounts, access keys, counters, signing keys and settings. Sessions, links in mails,
// codes and tokens are not included, because restoring a backup ends them. Seeds and
// signing keys are sealed, as in the database. The keys to open them are not included.
const backupFormat = "oidc-idp-backup/1"

// BackupInfo describes the content of a backup.
type BackupInfo struct {
	Created time.Time
	Schema  int64 // version of the database that was backed up
	Users   int   // not counting removed users
	Rows    int
}

type header struct {
	Format  string    `json:"format"`
	Created time.Time `json:"created"`
	Schema  int64     `json:"schema"`
	Users   int       `json:"users"`
}

// line is any line after the header. It has only one of a table with columns, a row, and
// an end.
type line struct {
	Table   string   `json:"table,omitempty"`
	Columns []string `json:"columns,omitempty"`

	Row []any `json:"row,omitempty"`

	End *int `json:"end,omitempty"` // number of rows
}

// Backup writes a consistent snapshot of the database. It does not block other
// transactions.
func (d *DB) Backup(ctx context.Context, w io.Writer, now time.Time) (BackupInfo, error) {
	version, err := d.version(ctx)
	if err != nil {
		return BackupInfo{}, err
	}
	info := BackupInfo{Created: now.UTC().Truncate(time.Microsecond), Schema: version}
	buffered := bufio.NewWriter(w)
	packed, err := gzip.NewWriterLevel(buffered, gzip.BestSpeed)
	if err != nil {
		return BackupInfo{}, fmt.Errorf("backup: %w", err)
	}
	lines := json.NewEncoder(packed)
	err = d.raw(ctx, d.read, d.engine.view, func(x *tx) error {
		if info.Users, err = count(x, "SELECT count(*) FROM users WHERE removed = 0"); err != nil {
			return err
		}
		if err := lines.Encode(header{backupFormat, info.Created, version, info.Users}); err != nil {
			return err
		}
		for _, table := range lasting {
			if err := x.backUp(table, lines, &info.Rows); err != nil {
				return err
			}
		}
		return lines.Encode(line{End: &info.Rows})
	})
	if err := errors.Join(err, packed.Close(), buffered.Flush()); err != nil {
		return BackupInfo{}, fmt.Errorf("backup: %w", err)
	}
	return info, nil
}

func (x *tx) backUp(table string, lines *json.Encoder, rows *int) error {
	named := false
	return x.rows(table, func(_ string, columns []string, row []any) error {
		if !named {
			named = true
			if err := lines.Encode(line{Table: table, Columns: columns}); err != nil {
				return err
			}
		}
		*rows++
		return lines.Encode(line{Row: row}) // []byte is encoded as base64
	})
}

// BackupFile writes a backup to a file that only its owner can read. The file appears
// only once it is complete.
func (d *DB) BackupFile(ctx context.Context, path string, now time.Time) (info BackupInfo, err error) {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, ".backup-*") // 0600
	if err != nil {
		return info, fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if info, err = d.Backup(ctx, f, now); err != nil {
		return info, err
	}
	if err = errors.Join(f.Sync(), f.Close()); err != nil {
		return info, fmt.Errorf("backup: %w", err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return info, fmt.Errorf("backup: %w", err)
	}
	syncFolder(folder)
	return info, nil
}

// syncFolder makes a rename durable, where the system supports that.
func syncFolder(folder string) {
	if f, err := os.Open(folder); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}

// backupReader reads a backup line by line.
type backupReader struct {
	header
	lines   *json.Decoder
	columns []string
	table   string
	rows    int
}

func readBackup(r io.Reader) (*backupReader, error) {
	unpacked, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return nil, errNoBackup
	}
	b := &backupReader{lines: json.NewDecoder(unpacked)}
	b.lines.UseNumber()
	if err := b.lines.Decode(&b.header); err != nil || b.Format != backupFormat {
		return nil, errNoBackup
	}
	return b, nil
}

var (
	errNoBackup  = errors.New("restore: this is not a backup of oidc_idp")
	errTruncated = errors.New("restore: the backup is damaged or not whole")
)

// next returns the next row. It returns io.EOF at the end of a complete backup.
func (b *backupReader) next() ([]any, error) {
	for {
		var l line
		if err := b.lines.Decode(&l); err != nil {
			return nil, errTruncated
		}
		switch {
		case l.End != nil:
			// Reading to the end makes gzip verify the checksum.
			if _, err := b.lines.Token(); *l.End != b.rows || err != io.EOF { //nolint:errorlint // Token returns it as it is
				return nil, errTruncated
			}
			return nil, io.EOF
		case l.Table != "":
			if !slices.Contains(lasting, l.Table) {
				return nil, fmt.Errorf("restore: the backup has a table %q, which this program does not know", l.Table)
			}
			b.table, b.columns = l.Table, l.Columns
		case len(l.Row) > 0 && len(l.Row) == len(b.columns):
			b.rows++
			return l.Row, nil
		default:
			return nil, errTruncated
		}
	}
}

package database

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func pack(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const testHeader = `{"format":"oidc-idp-backup/1","created":"2026-03-01T12:00:00Z","schema":1,"users":0}` + "\n"

func TestBackupThatCannotBeRestored(t *testing.T) {
	t.Parallel()
	db, err := openFile(t, filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"another format", `{"format":"other"}`, "not a backup"},
		{"no JSON", "users,names", "not a backup"},
		{"nothing after the header", testHeader, "not whole"},
		{"a wrong number of rows", testHeader + `{"end":1}`, "not whole"},
		{"text after the end", testHeader + `{"end":0}{}`, "not whole"},
		{"a row without a table", testHeader + `{"row":[1]}{"end":1}`, "not whole"},
		{"a row that is too short", testHeader + `{"table":"settings","columns":["key","value"]}{"row":["a"]}{"end":1}`, "not whole"},
		{"a table that backups do not have", testHeader + `{"table":"sessions","columns":["sid"]}{"row":["a"]}{"end":1}`, `a table "sessions"`},
		{"a table that is SQL", testHeader + `{"table":"settings; DROP TABLE users","columns":["key"]}{"row":["a"]}{"end":1}`, `which this program does not know`},
		{"a column that is SQL", testHeader + `{"table":"settings","columns":["key","value) VALUES (1); --"]}{"row":["a","b"]}{"end":1}`, `which this program does not know`},
		{"a column twice", testHeader + `{"table":"settings","columns":["key","key"]}{"row":["a","b"]}{"end":1}`, `a column "key"`},
		{"a number in the place of text", testHeader + `{"table":"settings","columns":["key","value"]}{"row":["a",1]}{"end":1}`, "settings.value: expected text"},
		{"an object in the place of text", testHeader + `{"table":"settings","columns":["key","value"]}{"row":["a",{}]}{"end":1}`, "settings.value: expected text"},
		{"bytes that are no base64", testHeader + `{"table":"recovery_codes","columns":["user_id","hash"]}{"row":["a","?"]}{"end":1}`, "recovery_codes.hash"},
		{"a number that is too large", testHeader + `{"table":"counters","columns":["key","failures"]}{"row":["a",1e99]}{"end":1}`, "counters.failures"},
		{"a name of no user", testHeader + `{"table":"names","columns":["key","kind","user_id"]}{"row":["ada","username","u1"]}{"end":1}`, "FOREIGN KEY"},
		{"a row twice", testHeader + `{"table":"settings","columns":["key","value"]}{"row":["a","1"]}{"row":["a","1"]}{"end":2}`, "UNIQUE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := db.Restore(t.Context(), bytes.NewReader(pack(t, c.text)), RestoreOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("expected an error with %q, seen %v", c.want, err)
			}
		})
	}
	if _, err := db.Restore(t.Context(), strings.NewReader("plain text"), RestoreOptions{}); err == nil {
		t.Error("expected an error for what is not compressed, seen none")
	}
}

func TestBackupFileIsWholeAndPrivate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	db, err := openFile(t, filepath.Join(folder, "db", "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), putAda); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "backup.gz")
	if err := os.WriteFile(path, []byte("an older one"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := db.BackupFile(t.Context(), path, testTime); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("expected mode 0600, seen %04o", mode)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := db.Restore(t.Context(), f, RestoreOptions{}); err != nil {
		t.Errorf("expected the file to be restored, seen %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.BackupFile(t.Context(), path, testTime); err == nil {
		t.Error("expected an error of a closed database, seen none")
	}
	names, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 2 {
		t.Errorf("expected the folder to have the database and the backup, seen %v", names)
	}
}

func FuzzReadBackup(f *testing.F) {
	f.Add(testHeader + `{"table":"settings","columns":["key","value"]}{"row":["a","1"]}{"end":1}`)
	f.Add(testHeader + `{"end":0}`)
	f.Add(`{"format":"oidc-idp-backup/1"}{"row":[]}{"end":-1}`)
	f.Fuzz(func(t *testing.T, text string) {
		b, err := readBackup(bytes.NewReader(pack(t, text)))
		for err == nil {
			var row []any
			if row, err = b.next(); err == nil && (len(row) != len(b.columns) || len(row) == 0 || b.table == "") {
				t.Fatalf("expected a row for each column, seen %v for %v", row, b.columns)
			}
		}
	})
}

package integration_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Restoring a damaged or incomplete backup fails. It ends no session and adds no keys to
// Caddy's storage.
func TestABackupThatIsNotWholeChangesNothing(t *testing.T) {
	t.Parallel()
	other := newHarness(t, "")
	other.addUser("mallory")
	folder := t.TempDir()
	whole := filepath.Join(folder, "whole")
	other.operators().does("backup", whole, "--with-keys")
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}

	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice")
	b := h.browser()
	b.get(appURL + "/").signIn("alice").at(appURL).expect("application sees alice")
	o := h.operators()
	keys := o.keyFiles(h)
	for name, text := range map[string][]byte{
		"broken off":                   data[:len(data)-20],
		"nothing after the first line": data[:bytes.IndexByte(data, '\n')+1],
		"one byte changed":             flipped(data, len(data)-100),
		"more after the end":           append(bytes.Clone(data), "more"...),
	} {
		path := filepath.Join(folder, "damaged")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := o.run("", "restore", path, "--yes"); err == nil {
			t.Errorf("%s: expected an error, seen %s", name, out)
		}
		if now := o.keyFiles(h); now != keys {
			t.Errorf("%s: expected the keys in the storage to stay, seen others", name)
		}
		if page := h.sessionsOf("alice"); page == 0 {
			t.Errorf("%s: expected the session of alice to stay, seen none", name)
		}
	}
	b.get(appURL + "/").at(appURL).expect("application sees alice")
}

// A backup cannot be restored without its keys: no password would verify, and no sealed
// value could be opened.
func TestABackupWithoutItsKeysIsRefused(t *testing.T) {
	t.Parallel()
	other := newHarness(t, "")
	other.addUser("mallory")
	alone := filepath.Join(t.TempDir(), "alone")
	other.operators().does("backup", alone)

	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice")
	b := h.browser()
	b.get(appURL + "/").signIn("alice").at(appURL).expect("application sees alice")
	h.operators().refuses("keys", "restore", alone, "--yes")
	if h.sessionsOf("alice") == 0 {
		t.Error("expected the session of alice to stay, seen none")
	}
	h.browser().get(appURL + "/").signIn("alice").at(appURL).expect("application sees alice")
}

func flipped(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 0x40
	return data
}

// keyFiles returns the contents of the key files in the storage.
func (o *operators) keyFiles(h *harness) string {
	o.t.Helper()
	var all []byte
	err := filepath.WalkDir(filepath.Join(h.folder, "storage"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) != "keys.json" {
			return err
		}
		data, err := os.ReadFile(path)
		all = append(all, data...)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	if len(all) == 0 {
		o.t.Fatal("expected a file with keys in the storage, seen none")
	}
	return string(all)
}

// sessionsOf returns the number of sessions of a user.
func (h *harness) sessionsOf(name string) int {
	h.t.Helper()
	var list struct{ Sessions []any }
	h.operate("sessions/list", map[string]any{"user": name}, &list)
	return len(list.Sessions)
}

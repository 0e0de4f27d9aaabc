package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"
)

// Whatever the key file contains, the result is a ring that seals and opens, and has no
// short or withdrawn keys. Another instance gets the same ring.
func FuzzKeyFile(f *testing.F) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key := func(fill byte, age time.Duration) managedSecret {
		return managedSecret{Secret: bytes.Repeat([]byte{fill}, MinSecret), Created: now.Add(-age), AtOnce: fill == 1}
	}
	old, fresh := key(1, 48*time.Hour), key(2, time.Hour)
	for _, file := range []keyFile{
		{}, {Keys: []managedSecret{old, fresh}, Retain: 3600}, {Keys: []managedSecret{old}, Withdrawn: []string{old.print()}}, {Keys: []managedSecret{old, old, {Secret: []byte("short")}}, Retain: -1},
		{Keys: []managedSecret{key(3, -100*365*24*time.Hour)}, Retain: 1 << 62},
	} {
		data, err := json.Marshal(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte(`null`))
	f.Add([]byte(`{"keys":[{"secret":"AAAA","created":"x"}]}`))
	f.Add([]byte(`{"KEYS":[null],"retain":1e3}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		storage := newMemory()
		storage.files[managedKey] = data
		m := storage.instance(func() time.Time { return now })
		ring, err := m.Ring(t.Context())
		if err != nil {
			t.Fatalf("%q: expected keys, seen %v", data, err)
		}
		text := ring.Seal(ForSession, "place", []byte("plain"))
		again, err := storage.instance(func() time.Time { return now }).Ring(t.Context())
		if err != nil {
			t.Fatalf("%q: another instance: expected keys, seen %v", data, err)
		}
		for name, ring := range map[string]*Ring{"the same ring": ring, "another instance": again} {
			if plain, _, err := ring.Open(ForSession, "place", text); err != nil || string(plain) != "plain" {
				t.Errorf("%q: %s: expected what was sealed, seen %q, %v", data, name, plain, err)
			}
		}
		for _, used := range m.used {
			if len(used.Secret) < MinSecret {
				t.Errorf("%q: expected no short key, seen one of %d bytes", data, len(used.Secret))
			}
			if slices.Contains(m.last.Withdrawn, used.print()) {
				t.Errorf("%q: expected no withdrawn key, seen one", data)
			}
		}
	})
}

// A record opens as it was sealed, or not at all.
func FuzzOpenRecord(f *testing.F) {
	secret := RecordSecret(bytes.Repeat([]byte{7}, 32))
	sealed := []byte("\x01\xe1\x02nonsense that is long enough for a nonce and a tag")
	f.Add(sealed)
	f.Add(sealed[:20])
	f.Add([]byte{})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, record []byte) {
		if plain, err := secret.Open("here", record); !errors.Is(err, ErrBroken) || plain != nil {
			t.Errorf("%x: expected %v, seen %q, %v", record, ErrBroken, plain, err)
		}
		// The same bytes can also be sealed.
		own, err := secret.Seal("here", record)
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := secret.Open("here", own); err != nil || !bytes.Equal(plain, record) {
			t.Errorf("%x: comes back as %x, %v", record, plain, err)
		}
		if _, err := secret.Open("there", own); !errors.Is(err, ErrBroken) {
			t.Errorf("%x: expected %v at other additional data, seen %v", record, ErrBroken, err)
		}
	})
}

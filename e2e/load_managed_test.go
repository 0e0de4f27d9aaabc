package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// aWeekAndMore is an age at which the plugin rotates its keys.
	aWeekAndMore = 8 * 24 * time.Hour
	// published is an age at which a new key seals, because all nodes have read it.
	published = 4 * time.Minute
)

// pass makes all keys in the storage older.
func (w *world) pass(t testing.TB, d time.Duration) {
	t.Helper()
	file := object{}
	if err := json.Unmarshal(w.keyFile(), &file); err != nil {
		t.Fatal(err)
	}
	for _, key := range file["keys"].([]any) {
		made, err := time.Parse(time.RFC3339, key.(object)["created"].(string))
		if err != nil {
			t.Fatal(err)
		}
		key.(object)["created"] = made.Add(-d).Format(time.RFC3339)
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	// Replace the file atomically, because an instance may be reading it.
	path := filepath.Join(w.storage, "oidc_rp", "keys.json")
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// storedKeys returns how many keys the storage has and how old the newest is.
func (w *world) storedKeys(t testing.TB) (count int, age time.Duration) {
	t.Helper()
	var file struct{ Keys []struct{ Created time.Time } }
	if err := json.Unmarshal(w.keyFile(), &file); err != nil {
		t.Fatal(err)
	}
	age = time.Since(time.Time{})
	for _, key := range file.Keys {
		age = min(age, time.Since(key.Created))
	}
	return len(file.Keys), age
}

// foreign returns a visitor whose session an unknown key has sealed. It makes Caddy read
// the keys from the storage, which it otherwise does once a minute.
func foreign(real *visitor) *visitor {
	name, value, _ := strings.Cut(real.header(), "=")
	// The value has the number of pieces, one byte for the version, and then the key's
	// ID. The fourth to the seventh letter belong only to the ID.
	id := "AAAA"
	if value[3:7] == id {
		id = "BBBB"
	}
	return &visitor{w: real.w, cookies: []string{name + "=" + value[:3] + id + value[7:]}}
}

// Caddy's own keys are rotated repeatedly while people use the site.
func TestManagedKeysRotateUnderTraffic(t *testing.T) {
	rate := few(300, 1000)
	eachStore(t, func(t *testing.T, w *world, s site) {
		w.caddy.start(w.plainSite(s))
		client := crowd(4)
		defer client.CloseIdleConnections()
		alice, bob := &visitor{w: w}, &visitor{w: w}
		for name, v := range map[string]*visitor{"alice": alice, "bob": bob} {
			if err := v.signIn(client, "/in/first", name); err != nil {
				t.Fatal(err)
			}
		}
		running := startTraffic(t, rate, rate*120, call{alice, "/in/x", "user=alice"}, call{&visitor{w: w}, "/x", "user="}, call{bob, "/x", "user=bob"})
		look := func() {
			t.Helper()
			if err := foreign(alice).isFor(client, "/x", ""); err != nil {
				t.Fatal(err)
			}
		}
		changes := few(2, 8)
		for range changes {
			before := [2]string{alice.header(), bob.header()}
			login := &visitor{w: w}
			if err := login.begin(client, "/in/x"); err != nil {
				t.Fatal(err)
			}
			w.pass(t, aWeekAndMore)
			eventually(t, 20*time.Second, "a new key is made, and keys whose sessions are over are gone", func() bool {
				look()
				count, age := w.storedKeys(t)
				return count == 2 && age < time.Hour
			})
			sealedBefore(t, before, alice, bob)
			w.pass(t, published)
			eventually(t, 20*time.Second, "active users have new cookies", func() bool {
				look()
				return alice.header() != before[0] && bob.header() != before[1]
			})
			if err := login.authenticate(client, "bob"); err != nil {
				t.Fatal(err)
			}
			if err := login.finish(client, "bob"); err != nil {
				t.Errorf("a login that was begun under the old key: %v", err)
			}
		}
		running.end(t, fmt.Sprintf("%d rotations later", changes))
	})
}

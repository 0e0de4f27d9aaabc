package vault

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func node(storage clusterstore.Storage, c *clock) *Keys { return New(storage, c.Now) }

func mustSeal(t testing.TB, k *Keys, row, column, value string) []byte {
	t.Helper()
	sealed, err := k.Seal(t.Context(), row, column, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestAValueOpensInItsRowAndColumnAlone(t *testing.T) {
	t.Parallel()
	k := node(clustertest.NewLocked(), newClock())
	sealed := mustSeal(t, k, "anna", "totp", "seed")
	if value, err := k.Open(t.Context(), "anna", "totp", sealed); err != nil || string(value) != "seed" {
		t.Fatalf("expected the seed, seen %q, %v", value, err)
	}
	if bytes.Contains(sealed, []byte("seed")) {
		t.Errorf("expected nothing of the value, seen %q", sealed)
	}
	for name, place := range map[string][2]string{
		"another row":                     {"otto", "totp"},
		"another column":                  {"anna", "hotp"},
		"row and column cut elsewhere":    {"ann", "atotp"},
		"row and column the other way":    {"totp", "anna"},
		"no row":                          {"", "annatotp"},
		"a row that looks like a length":  {"4:anna", "totp"},
		"a column that has both together": {"", "4:annatotp"},
	} {
		if value, err := k.Open(t.Context(), place[0], place[1], sealed); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: expected %v, seen %q, %v", name, ErrBroken, value, err)
		}
	}
	for i := range sealed {
		changed := slices.Clone(sealed)
		changed[i] ^= 1
		if value, err := k.Open(t.Context(), "anna", "totp", changed); err == nil {
			t.Errorf("byte %d changed: expected an error, seen %q", i, value)
		}
	}
}

func TestTheStorageIsTouchedWhenAKeyIsNeeded(t *testing.T) {
	t.Parallel()
	storage := clustertest.NewLocked()
	k := node(storage, newClock())
	if storage.Loads != 0 || storage.Stores != 0 {
		t.Fatalf("expected no call yet, seen %d loads and %d stores", storage.Loads, storage.Stores)
	}
	for range 3 {
		mustSeal(t, k, "row", "column", "value")
	}
	if storage.Stores != 1 {
		t.Errorf("expected one key to be made, seen %d", storage.Stores)
	}
	if loads := storage.Loads; loads != 2 {
		t.Errorf("expected a look before and one under the lock, seen %d", loads)
	}
}

func TestNodesThatStartAtOnceAgreeOnTheFirstKey(t *testing.T) {
	t.Parallel()
	storage, c := clustertest.NewLocked(), newClock()
	var wait sync.WaitGroup
	macs := make([]string, 8)
	for i := range macs {
		wait.Go(func() {
			mac, id, err := node(storage, c).Pepper(t.Context(), "", []byte("password"))
			if err != nil {
				t.Error(err)
			}
			macs[i] = id + string(mac)
		})
	}
	wait.Wait()
	if different := slices.Compact(slices.Sorted(slices.Values(macs))); len(different) != 1 {
		t.Errorf("expected one key, seen %d", len(different))
	}
}

func TestARotationChangesWhatIsNewAndKeepsWhatIsOld(t *testing.T) {
	t.Parallel()
	storage, c := clustertest.NewLocked(), newClock()
	first, second := node(storage, c), node(storage, c)
	sealed := mustSeal(t, first, "row", "column", "value")
	mac, id, err := first.Pepper(t.Context(), "", []byte("password"))
	if err != nil {
		t.Fatal(err)
	}
	keyed, err := first.Keyed(t.Context(), "names", "anna")
	if err != nil {
		t.Fatal(err)
	}
	mustSeal(t, second, "row", "column", "value") // has only the first key in its cache
	c.add(time.Minute)

	rotated, err := first.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if rotated == id {
		t.Errorf("expected another key id, seen %s again", id)
	}
	for name, k := range map[string]*Keys{"the node that rotated": first, "a node that did not": second, "a new node": node(storage, c)} {
		if value, err := k.Open(t.Context(), "row", "column", sealed); err != nil || string(value) != "value" {
			t.Errorf("%s: an old seal: expected the value, seen %q, %v", name, value, err)
		}
		if again, _, err := k.Pepper(t.Context(), id, []byte("password")); err != nil || !bytes.Equal(again, mac) {
			t.Errorf("%s: the old pepper: expected the same hash, seen %x, %v", name, again, err)
		}
		if fresh, _, err := k.Pepper(t.Context(), rotated, []byte("password")); err != nil || bytes.Equal(fresh, mac) {
			t.Errorf("%s: the new pepper: expected another hash, seen %x, %v", name, fresh, err)
		}
		if again, err := k.Keyed(t.Context(), "names", "anna"); err != nil || !bytes.Equal(again, keyed) {
			t.Errorf("%s: expected the keyed hash to stay, seen %x, %v", name, again, err)
		}
	}
	if _, id, err := first.Pepper(t.Context(), "", []byte("password")); err != nil || id != rotated {
		t.Errorf("expected new hashes to use %s, seen %s, %v", rotated, id, err)
	}
}

func TestKeyedHashesDifferByPurpose(t *testing.T) {
	t.Parallel()
	k := node(clustertest.NewLocked(), newClock())
	seen := make(map[string]string)
	for _, purpose := range []string{"log", "code field"} {
		for _, text := range []string{"anna", "otto", ""} {
			mac, err := k.Keyed(t.Context(), purpose, text)
			if err != nil {
				t.Fatal(err)
			}
			if other := seen[string(mac)]; other != "" {
				t.Errorf("%s of %q: expected a hash of its own, seen that of %s", purpose, text, other)
			}
			seen[string(mac)] = purpose + " of " + text
		}
	}
}

func TestTroubleWithTheStorage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		break_      func(*clustertest.Locked)
		unavailable bool
		text        string
	}{
		"the storage is down":      {func(l *clustertest.Locked) { l.Down = clustertest.ErrDown }, true, "the storage is down"},
		"the storage is read-only": {func(l *clustertest.Locked) { l.ReadOnly = clustertest.ErrDown }, true, "store keys"},
		"no lock is given":         {func(l *clustertest.Locked) { l.Refused = clustertest.ErrDown }, true, "lock"},
		"the file is damaged":      {func(l *clustertest.Locked) { l.Files[fileName] = []byte(`{"keys":[{"secr`) }, true, "restore it from a backup"},
		"the file has no keys":     {func(l *clustertest.Locked) { l.Files[fileName] = []byte(`{}`) }, true, "restore it from a backup"},
		"a key is short":           {func(l *clustertest.Locked) { l.Files[fileName] = []byte(`{"keys":[{"secret":"AAAA"}]}`) }, true, "3 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storage := clustertest.NewLocked()
			test.break_(storage)
			before := slices.Clone(storage.Files[fileName])
			_, err := node(storage, newClock()).Seal(t.Context(), "row", "column", []byte("value"))
			if errors.Is(err, store.ErrUnavailable) != test.unavailable {
				t.Errorf("expected an error that is %v, seen %v", store.ErrUnavailable, err)
			}
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("expected an error with %q, seen %v", test.text, err)
			}
			if after := storage.Files[fileName]; !bytes.Equal(after, before) {
				t.Errorf("expected the file to stay, seen %q", after)
			}
		})
	}
}

func TestAKeyThatIsGoneIsNamedAndNotAskedForAllTheTime(t *testing.T) {
	t.Parallel()
	storage, c := clustertest.NewLocked(), newClock()
	old := mustSeal(t, node(clustertest.NewLocked(), c), "row", "column", "value")
	k := node(storage, c)
	mustSeal(t, k, "row", "column", "value")
	loads := storage.Loads
	for range 100 {
		if _, err := k.Open(t.Context(), "row", "column", old); !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("expected %v, seen %v", ErrUnknownKey, err)
		}
	}
	if again := storage.Loads - loads; again != 0 {
		t.Errorf("expected no look so soon, seen %d", again)
	}
	c.add(lookAgain)
	for range 100 {
		if _, err := k.Open(t.Context(), "row", "column", old); !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("expected %v, seen %v", ErrUnknownKey, err)
		}
	}
	if again := storage.Loads - loads; again != 1 {
		t.Errorf("expected one more look, seen %d", again)
	}
}

func TestABackupOpensWhatWasSealed(t *testing.T) {
	t.Parallel()
	c := newClock()
	old := node(clustertest.NewLocked(), c)
	sealed := mustSeal(t, old, "row", "column", "value")
	c.add(time.Hour)
	if _, err := old.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := databasetest.New(t)
	for range 2 {
		if err := old.Check(t.Context(), db); err != nil {
			t.Fatalf("its own database: expected no error, seen %v", err)
		}
	}
	backup, err := old.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.add(time.Hour)
	storage := clustertest.NewLocked()
	fresh := node(storage, c)
	own := mustSeal(t, fresh, "row", "column", "its own")
	if err := fresh.Check(t.Context(), db); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("before: expected %v, seen %v", ErrUnknownKey, err)
	}
	for range 2 { // a second import changes nothing
		if err := fresh.Import(t.Context(), backup); err != nil {
			t.Fatal(err)
		}
	}
	for name, k := range map[string]*Keys{"the node": fresh, "another node": node(storage, c)} {
		for want, sealed := range map[string][]byte{"value": sealed, "its own": own} {
			if value, err := k.Open(t.Context(), "row", "column", sealed); err != nil || string(value) != want {
				t.Errorf("%s: expected %q, seen %q, %v", name, want, value, err)
			}
		}
		if err := k.Check(t.Context(), db); err != nil {
			t.Errorf("%s: expected no error, seen %v", name, err)
		}
		if keys := len(k.ring.Load().keys); keys != 3 {
			t.Errorf("%s: expected three keys, seen %d", name, keys)
		}
	}
	for _, data := range []string{"", "{}", "null", `{"keys":[{"secret":"AAAA"}]}`} {
		if err := fresh.Import(t.Context(), []byte(data)); err == nil {
			t.Errorf("%s: expected an error, seen none", data)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := node(clustertest.NewLocked(), newClock())
	sealed, err := k.Seal(f.Context(), "row", "column", []byte("value"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add([]byte{version})
	f.Add(sealed[:headSize])
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, text []byte) {
		value, err := k.Open(t.Context(), "row", "column", text)
		if bytes.Equal(text, sealed) {
			return
		}
		if err == nil {
			t.Errorf("%x: expected an error, seen %q", text, value)
		}
		own := mustSeal(t, k, "row", "column", string(text))
		if again, err := k.Open(t.Context(), "row", "column", own); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%x: comes back as %x, %v", text, again, err)
		}
	})
}

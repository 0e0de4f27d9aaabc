package handover_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
)

// fakeStore is a session store in a map.
type fakeStore struct {
	locked  sync.Mutex // by Lock
	mu      sync.Mutex
	records map[string][]byte
	err     error
}

func (f *fakeStore) Reload(_ context.Context, keys ...string) (records [][]byte, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys {
		records = append(records, f.records[key])
	}
	return records, f.err
}

func (f *fakeStore) Save(_ context.Context, key string, record []byte, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records[key] = bytes.Clone(record)
	return f.err
}

func (f *fakeStore) Lock(context.Context, string) (func(), error) {
	f.locked.Lock()
	return f.locked.Unlock, nil
}

func (f *fakeStore) Replace(_ context.Context, key string, old, record []byte, _ time.Time) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !bytes.Equal(f.records[key], old) {
		return false, f.err
	}
	f.records[key] = bytes.Clone(record)
	return true, f.err
}

// nodes returns nodes with their own clocks that share a storage and a store.
func nodes(t *testing.T, count int, clock func(node int) time.Time) map[string][]handover.Storage {
	t.Helper()
	files, store := clustertest.NewLocked(), &fakeStore{records: make(map[string][]byte)}
	all := make(map[string][]handover.Storage)
	for node := range count {
		now := func() time.Time { return clock(node) }
		all["files"] = append(all["files"], handover.NewFiles(func() clusterstore.Storage { return files }, now))
		all["records"] = append(all["records"], handover.NewRecords(store, now))
	}
	return all
}

func steady(int) time.Time { return now }

func TestARecordIsTakenOnce(t *testing.T) {
	t.Parallel()
	for kind, all := range nodes(t, 3, steady) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for round := range 20 {
				name := fmt.Sprint("record-", round)
				if err := all[0].Put(t.Context(), name, []byte("content")); err != nil {
					t.Fatal(err)
				}
				var wait sync.WaitGroup
				taken := make([]bool, 9)
				for i := range taken {
					wait.Go(func() {
						record, err := all[i%len(all)].Take(t.Context(), name)
						if err != nil {
							t.Errorf("take %d: %v", i, err)
						}
						taken[i] = string(record) == "content"
					})
				}
				wait.Wait()
				if count := len(slices.DeleteFunc(taken, func(took bool) bool { return !took })); count != 1 {
					t.Fatalf("expected one to get the record, seen %d", count)
				}
			}
			if record, err := all[1].Take(t.Context(), "another"); err != nil || record != nil {
				t.Errorf("expected no record that was never put, seen %q, %v", record, err)
			}
		})
	}
}

// Clocks of nodes may differ, and a minute may end between Put and Take.
func TestARecordIsFoundByOtherClocks(t *testing.T) {
	t.Parallel()
	for _, apart := range []time.Duration{-5 * time.Second, 0, 5 * time.Second, 59 * time.Second, time.Minute, 119 * time.Second} {
		for begin := range 60 {
			put := time.Unix(1_700_000_040+int64(begin), 0)
			all := nodes(t, 2, func(node int) time.Time { return put.Add(time.Duration(node) * apart) })
			for kind, nodes := range all {
				if err := nodes[0].Put(t.Context(), "n", []byte("x")); err != nil {
					t.Fatal(err)
				}
				if record, err := nodes[1].Take(t.Context(), "n"); err != nil || record == nil {
					t.Fatalf("%s, %s later at second %d: expected a record, seen none, %v", kind, apart, begin, err)
				}
			}
		}
	}
}

// A record can be taken only once, even if the storage cannot delete it.
func TestARecordThatCannotBeDeletedIsBurnt(t *testing.T) {
	t.Parallel()
	storage := undeletable{clustertest.NewLocked()}
	files := handover.NewFiles(func() clusterstore.Storage { return storage }, func() time.Time { return now })
	if err := files.Put(t.Context(), "n", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if record, err := files.Take(t.Context(), "n"); err != nil || record == nil {
		t.Errorf("expected a record, seen %q, %v", record, err)
	}
	if record, err := files.Take(t.Context(), "n"); err != nil || record != nil {
		t.Errorf("expected no record the second time, seen %q, %v", record, err)
	}
}

var errDown = errors.New("down")

type undeletable struct{ *clustertest.Locked }

func (undeletable) Delete(context.Context, string) error { return errDown }

// An unknown name takes no lock, since anyone can make one up.
func TestNothingIsLockedForARecordThatIsNotThere(t *testing.T) {
	t.Parallel()
	storage := unlockable{clustertest.NewLocked()}
	files := handover.NewFiles(func() clusterstore.Storage { return storage }, func() time.Time { return now })
	if record, err := files.Take(t.Context(), "n"); err != nil || record != nil {
		t.Errorf("expected no record, seen %q, %v", record, err)
	}
	if err := files.Put(t.Context(), "n", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if record, err := files.Take(t.Context(), "n"); !errors.Is(err, errDown) || record != nil {
		t.Errorf("expected no record without a lock, seen %q, %v", record, err)
	}
}

type unlockable struct{ *clustertest.Locked }

func (unlockable) Lock(context.Context, string) error { return errDown }

// If the marker cannot be written, Take fails: otherwise the record could be taken
// twice.
func TestARecordIsNotTakenWithoutItsMarker(t *testing.T) {
	t.Parallel()
	storage := &unwritable{Locked: clustertest.NewLocked()}
	files := handover.NewFiles(func() clusterstore.Storage { return storage }, func() time.Time { return now })
	if err := files.Put(t.Context(), "n", []byte("x")); err != nil {
		t.Fatal(err)
	}
	storage.down = true
	if record, err := files.Take(t.Context(), "n"); !errors.Is(err, errDown) || record != nil {
		t.Errorf("expected no record and %v, seen %q, %v", errDown, record, err)
	}
	store := &fakeStore{records: make(map[string][]byte)}
	records := handover.NewRecords(store, func() time.Time { return now })
	if err := records.Put(t.Context(), "n", []byte("x")); err != nil {
		t.Fatal(err)
	}
	store.err = errDown
	if record, err := records.Take(t.Context(), "n"); !errors.Is(err, errDown) || record != nil {
		t.Errorf("in a store: expected no record and %v, seen %q, %v", errDown, record, err)
	}
}

type unwritable struct {
	*clustertest.Locked
	down bool
}

func (u *unwritable) Store(ctx context.Context, key string, value []byte) error {
	if u.down {
		return errDown
	}
	return u.Locked.Store(ctx, key, value)
}

func TestSitesAreNoted(t *testing.T) {
	t.Parallel()
	for kind, all := range nodes(t, 2, steady) {
		known := func(node int, origin string) bool {
			known, err := all[node].Knows(t.Context(), origin)
			if err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			return known
		}
		if known(0, "https://a.test") {
			t.Errorf("%s: expected an unknown site, seen a known one", kind)
		}
		if err := all[0].Note(t.Context(), "https://a.test"); err != nil {
			t.Fatal(err)
		}
		if !known(1, "https://a.test") {
			t.Errorf("%s: expected a known site at another node, seen an unknown one", kind)
		}
		for _, other := range []string{"https://a.test:8443", "http://a.test", "https://b.test"} {
			if known(1, other) {
				t.Errorf("%s: expected %s to be unknown, seen a known site", kind, other)
			}
		}
	}
}

// Sweep removes expired records and keeps sites.
func TestSweep(t *testing.T) {
	t.Parallel()
	storage, at := clustertest.NewLocked(), now
	files := handover.NewFiles(func() clusterstore.Storage { return storage }, func() time.Time { return at })
	for _, name := range []string{"taken", "left"} {
		if err := files.Put(t.Context(), name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := files.Take(t.Context(), "taken"); err != nil {
		t.Fatal(err)
	}
	if err := files.Note(t.Context(), "https://a.test"); err != nil {
		t.Fatal(err)
	}
	sweep := func() int {
		if err := files.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(slices.DeleteFunc(storage.Keys(), func(key string) bool { return strings.Contains(key, "sites") }))
	}
	if left := sweep(); left != 2 {
		t.Errorf("at once: expected a record and a marker, seen %d files", left)
	}
	at = at.Add(5 * time.Minute)
	if left := sweep(); left != 0 {
		t.Errorf("after five minutes: expected no file, seen %d", left)
	}
	if known, err := files.Knows(t.Context(), "https://a.test"); err != nil || !known {
		t.Errorf("expected a known site, seen %t, %v", known, err)
	}
}

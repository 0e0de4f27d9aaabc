package clusterstore

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"
)

// fakeRecords is a session store that records its calls.
type fakeRecords struct {
	records  map[string][]byte
	expires  time.Time
	count    int // of the records that Reload returns
	unlocked []int
	locks    int
}

func (f *fakeRecords) Reload(_ context.Context, keys ...string) ([][]byte, error) {
	return [][]byte{f.records[keys[0]], nil}[:f.count], nil
}

func (f *fakeRecords) Save(_ context.Context, key string, record []byte, expires time.Time) error {
	f.records[key], f.expires = record, expires
	return nil
}

func (f *fakeRecords) Delete(_ context.Context, keys ...string) error {
	delete(f.records, keys[0])
	return nil
}

func (f *fakeRecords) Lock(context.Context, string) (func(), error) {
	f.locks++
	lock := f.locks
	return func() { f.unlocked = append(f.unlocked, lock) }, nil
}

func TestRecordStorageKeepsFilesAsRecords(t *testing.T) {
	t.Parallel()
	f := &fakeRecords{records: make(map[string][]byte), count: 1}
	now := time.Unix(1_000_000, 0)
	s := NewRecordStorage(f, func() time.Time { return now })
	const file, record = "oidc_rp/refresh/x", "refresh/x"
	if _, err := s.Load(t.Context(), file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: got %v, want ErrNotExist", err)
	}
	if err := s.Store(t.Context(), file, []byte("v")); err != nil {
		t.Fatal(err)
	}
	if string(f.records[record]) != "v" {
		t.Errorf("the records: expected %s, seen %q", record, f.records)
	}
	if got := f.expires.Sub(now); got != 3*time.Minute {
		t.Errorf("it expires after %s, want 3m", got)
	}
	if got, err := s.Load(t.Context(), file); string(got) != "v" || err != nil {
		t.Errorf("loaded %q, %v", got, err)
	}
	f.count = 2
	if _, err := s.Load(t.Context(), file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with two records: got %v, want ErrNotExist", err)
	}
	if err := s.Delete(t.Context(), file); err != nil {
		t.Errorf("deleting: %v", err)
	}
	if len(f.records) != 0 {
		t.Errorf("after deleting: expected no records, seen %d", len(f.records))
	}
	if names, err := s.List(t.Context(), "oidc_rp/refresh", true); names != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("listed %v, %v, want ErrNotExist", names, err)
	}
}

// A lock that expired may be taken again before its first holder releases it.
func TestRecordStorageReleasesLocksInTheirOrder(t *testing.T) {
	t.Parallel()
	f := new(fakeRecords)
	s := NewRecordStorage(f, time.Now)
	for range 2 {
		if err := s.Lock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		if err := s.Unlock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if len(f.unlocked) != i+1 {
			t.Fatalf("expected %d released locks, seen %v", i+1, f.unlocked)
		}
		if f.unlocked[i] != i+1 {
			t.Errorf("expected the lock %d to be released last, seen %v", i+1, f.unlocked)
		}
	}
	if err := s.Unlock(t.Context(), "a"); !errors.Is(err, errNotLocked) {
		t.Errorf("expected %v, seen %v", errNotLocked, err)
	}
}

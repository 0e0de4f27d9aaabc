package clusterstore_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

const root = "oidc_rp/things"

func TestStoragesListTheSameMinutesInTheirOwnWays(t *testing.T) {
	t.Parallel()
	below := func(folder string, keys []string) (found []string) {
		for _, key := range keys {
			if strings.HasPrefix(key, folder+"/") {
				found = append(found, key)
			}
		}
		return found
	}
	prefixed := func(prefix string, keys []string) []string {
		changed := make([]string, len(keys))
		for i, key := range keys {
			changed[i] = prefix + key
		}
		return changed
	}
	for name, listing := range map[string]func(folder string, recursive bool, children, all []string) []string{
		"whole keys":                    nil,
		"keys with a prefix of its own": func(_ string, _ bool, children, _ []string) []string { return prefixed("/caddy/", children) },
		"all that lies deeper":          func(folder string, _ bool, _, all []string) []string { return below(folder, all) },
		"all keys of the storage":       func(_ string, _ bool, _, all []string) []string { return prefixed("acme/", all) },
		"each key twice":                func(_ string, _ bool, children, _ []string) []string { return append(children, children...) },
		"no folders unless it is recursive": func(folder string, recursive bool, children, all []string) []string {
			if recursive {
				return below(folder, all)
			}
			return slices.DeleteFunc(children, func(key string) bool { return !slices.Contains(all, key) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storage := clustertest.NewLocked()
			storage.Listing = listing
			for _, key := range []string{"9/a", "10/a", "10/b", "011/a", "pack-1"} {
				storage.Files[root+"/"+key] = []byte("x")
			}
			minutes, _, err := clusterstore.ListMinutes(t.Context(), storage, root)
			if want := []int64{9, 10}; err != nil || !slices.Equal(minutes, want) {
				t.Errorf("%v, %v, want %v", minutes, err, want)
			}
		})
	}
}

func TestNamesBesideTheMinutes(t *testing.T) {
	t.Parallel()
	storage := clustertest.NewLocked()
	storage.Files[root+"/10/a"], storage.Files[root+"/pack-1"] = nil, nil
	_, others, err := clusterstore.ListMinutes(t.Context(), storage, root)
	if want := []string{"pack-1"}; err != nil || !slices.Equal(others, want) {
		t.Errorf("%q, %v, want %q", others, err, want)
	}
}

func TestAnAbsentFolderIsBelievedTheThirdTime(t *testing.T) {
	t.Parallel()
	storage := clustertest.NewLocked()
	storage.Files[root+"/1"], storage.Files[root+"/2"] = nil, nil
	for vanish, want := range []int{2, 2, 2, -1} {
		storage.Vanish = vanish
		names, err := clusterstore.List(t.Context(), storage, root, false)
		if want < 0 && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after %d failures: %v, want an error", vanish, err)
		}
		if want >= 0 {
			if err != nil {
				t.Errorf("after %d failures: %v", vanish, err)
			}
			if len(names) != want {
				t.Errorf("after %d failures: expected %d names, seen %q", vanish, want, names)
			}
		}
	}
	storage.Vanish = 0
	if names, err := clusterstore.List(t.Context(), storage, "oidc_rp/nothing", false); err != nil || names != nil {
		t.Errorf("a folder that does not exist: %q, %v", names, err)
	}
}

func TestSweepMinutesDeletesWhatIsOldAlone(t *testing.T) {
	t.Parallel()
	storage := clustertest.NewLocked()
	now := time.Unix(100*60, 0) // a minute after minute 98 ended
	for _, key := range []string{"97/a", "98/a", "99/a", "100/a", "README"} {
		storage.Files[root+"/"+key] = nil
	}
	if err := clusterstore.SweepMinutes(t.Context(), storage, root, now, time.Minute); err != nil {
		t.Fatal(err)
	}
	want := []string{root + "/100/a", root + "/98/a", root + "/99/a", root + "/README"}
	if got := storage.Keys(); !slices.Equal(got, want) {
		t.Errorf("left: expected %q, seen %q", want, got)
	}
}

func TestLockGivesUpOnAStorageThatHangs(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := clustertest.NewLocked()
		held, err := clusterstore.Lock(t.Context(), storage, "name")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := clusterstore.Lock(t.Context(), storage, "name"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a lock that is held: expected %v, seen %v", context.DeadlineExceeded, err)
		}
		if waited := time.Since(began); waited != 25*time.Second {
			t.Errorf("waited %v, want 25s", waited)
		}
		held()
		again, err := clusterstore.Lock(t.Context(), storage, "name")
		if err != nil {
			t.Fatalf("a lock that was released: %v", err)
		}
		again()
	})
}

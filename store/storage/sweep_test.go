package storage

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
)

var errNoNetwork = errors.New("no route to host")

// soonSwept is the time within which a sweep that is due has finished.
const soonSwept = 2 * sweepJitter

func TestSweep(t *testing.T) {
	t.Parallel()
	newer := seal([]byte("of a newer version"), time.Now().Add(100*365*24*time.Hour))
	newer[len(kind)] = version + 1
	older := seal([]byte("of an older version"), time.Unix(1, 0))
	older[len(kind)] = version - 1
	for _, relative := range []bool{false, true} {
		t.Run(fmt.Sprintf("List returns relative keys: %t", relative), func(t *testing.T) {
			inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
				d.relative = relative
				save(t, a, "short", "r", time.Minute)
				save(t, a, "long", "r", 10*time.Hour)
				d.with(func(d *disk) {
					d.files[path(name("cut"))] = []byte("oidc")
					d.files[path(name("empty"))] = nil
					d.files[path(name("newer"))] = newer
					d.files[path(name("older"))] = older
					d.files[root+"/00/readme"] = []byte("by another program")
					d.files["acme/key"] = []byte("by another program")
				})
				_ = load(t, b, "long") // both nodes are in use
				time.Sleep(soonSwept)
				if !slices.Contains(d.keys(), path(name("short"))) {
					t.Error("a record was swept that has expired only just, by our clock")
				}
				time.Sleep(sweepEvery + soonSwept)
				want := []string{"acme/key", root + "/00/readme", path(name("long")), path(name("newer"))}
				slices.Sort(want)
				if got := d.keys(); !slices.Equal(got, want) {
					t.Errorf("what is there: expected %v, seen %v", want, got)
				}
				time.Sleep(11 * time.Hour)
				if got := d.keys(); slices.Contains(got, path(name("long"))) {
					t.Errorf("the other record was not swept: %v", got)
				}
			})
		})
	}
}

func TestOneNodeSweeps(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
		_, _ = load(t, a, "k"), load(t, b, "k")
		time.Sleep(24 * time.Hour)
		// A sweep lists 256 folders.
		if sweeps := d.lists.Load() / 256; sweeps < 20 || sweeps > 24 {
			t.Errorf("expected 20 to 24 sweeps by two nodes in a day, seen %d", sweeps)
		}
		for range 20 { // nodes that come and go cause no more sweeps
			before := d.lists.Load()
			s, _ := newStore(t, d)
			_ = load(t, s, "k")
			time.Sleep(soonSwept)
			_ = s.node.Destruct()
			if d.lists.Load() > before+256 {
				t.Error("a node that has just come has swept once more")
			}
		}
	})
}

// TestOneNodeClaims has both nodes find at the same time that a sweep is due.
func TestOneNodeClaims(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
		d.latency = 10 * time.Millisecond
		claimed := make(chan bool, 2)
		for _, s := range []*Storage{a, b} {
			go func() {
				due, err := s.node.claimSweep(t.Context())
				if err != nil {
					t.Error(err)
				}
				claimed <- due <= 0
			}()
		}
		if first, second := <-claimed, <-claimed; first == second {
			t.Errorf("both nodes have the same answer: %v", first)
		}
	})
}

func TestMarkerThatMeansNothing(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "no number": "x", "from the future": "99999999999999"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, d *disk, a, _ *Storage) {
				d.files[marker] = []byte(text)
				_ = load(t, a, "k")
				time.Sleep(soonSwept)
				if d.lists.Load() != 256 {
					t.Errorf("%d lists, want one sweep", d.lists.Load())
				}
			})
		})
	}
}

// TestSweepLeavesWhatWasReplaced replaces the record after the sweep has read it.
func TestSweepLeavesWhatWasReplaced(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
		unswept(a, b)
		save(t, a, "k", "old", time.Minute)
		time.Sleep(time.Hour)
		key, looks := path(name("k")), 0
		d.with(func(d *disk) {
			d.loaded = func(loaded string) {
				if looks++; loaded == key && looks == 1 {
					save(t, b, "k", "new", time.Hour)
				}
			}
		})
		gone, err := a.node.sweepOne(t.Context(), name("k"))
		if err != nil {
			t.Errorf("sweepOne: %v", err)
		}
		if gone {
			t.Error("expected the record to stay, seen that it is gone")
		}
		if looks < 2 {
			t.Errorf("expected two looks at least, seen %d", looks)
		}
		if got := reload(t, a, "k"); got != "new" {
			t.Errorf("after the sweep Reload finds %q", got)
		}
	})
}

func TestSweepIsSlow(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, _ *Storage) {
		for i := range 1000 {
			d.files[path(name(fmt.Sprint(i)))] = seal([]byte("r"), time.Unix(1, 0))
		}
		began := time.Now()
		if err := a.node.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 1000*sweepPause {
			t.Errorf("1000 files: expected them to take %v at least, seen %v", 1000*sweepPause, took)
		}
		if keys := d.keys(); len(keys) > 0 {
			t.Errorf("expected no files afterwards, seen %d", len(keys))
		}
	})
}

func TestSweepDuringOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s, logs := newStore(t, d)
		save(t, s, "k", "r", time.Minute)
		d.with(func(d *disk) { d.down = errNoNetwork })
		time.Sleep(soonSwept + sweepEvery)
		if n := logs.FilterLevelExact(zapcore.WarnLevel).Len(); n < 1 || n > 2 {
			t.Errorf("expected one or two lines about an outage in an hour, seen %d", n)
		}
		d.with(func(d *disk) { d.down = nil })
		time.Sleep(2 * (sweepEvery + sweepJitter))
		if keys := d.keys(); len(keys) > 0 {
			t.Errorf("after the outage there are %v", keys)
		}
	})
}

// TestSweepingEnds would deadlock if the goroutine continued.
func TestSweepingEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, _ *Storage) {
		for i := range 1000 {
			d.files[path(name(fmt.Sprint(i)))] = seal([]byte("r"), time.Unix(1, 0))
		}
		_ = load(t, a, "k")
		for len(d.keys()) > 500 { // in the middle of a sweep
			time.Sleep(time.Second)
		}
		_ = a.node.Destruct()
		left := len(d.keys())
		time.Sleep(24 * time.Hour)
		if now := len(d.keys()); now < left-1 {
			t.Errorf("%d records were swept after the end", left-now)
		}
	})
}

func TestNoSweepWithoutUse(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, _, _ *Storage) {
		time.Sleep(24 * time.Hour)
		if n := d.calls.Load(); n != 0 {
			t.Errorf("a storage that is not used was asked %d times", n)
		}
	})
}

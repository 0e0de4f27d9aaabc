package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/storetest"
)

func TestStoreOnFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	a, _ := newStore(t, &certmagic.FileStorage{Path: folder})
	b, _ := newStore(t, &certmagic.FileStorage{Path: folder})
	storetest.Run(t, func(*testing.T) storetest.Pair { return storetest.Pair{A: a, B: b} })
}

func TestStoreElsewhere(t *testing.T) {
	t.Parallel()
	d := newDisk()
	a, _ := newStore(t, d)
	b, _ := newStore(t, d)
	storetest.Run(t, func(*testing.T) storetest.Pair {
		return storetest.Pair{A: a, B: b, Shortest: 200 * time.Millisecond}
	})
}

func TestBusySessionCostsOneLookInTwoSeconds(t *testing.T) {
	for _, test := range []struct{ name, record string }{{"a record", "r"}, {"none", ""}} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
				unswept(a, b)
				if test.record != "" {
					save(t, b, "k", test.record, time.Hour)
				}
				d.with(func(d *disk) { d.latency = 50 * time.Millisecond })
				before := d.loads.Load()
				for range 1000 { // ten seconds
					for range 10 {
						go func() {
							if got := load(t, a, "k"); got != test.record {
								t.Errorf("loaded %q", got)
							}
						}()
					}
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(time.Second)
				if looks := d.loads.Load() - before; looks < 4 || looks > 6 {
					t.Errorf("%d looks in ten seconds, want one in two", looks)
				}
			})
		})
	}
}

// TestSlowLookPutsNothingBack has a look that began before a change end after
// it, with what was there before.
func TestSlowLookPutsNothingBack(t *testing.T) {
	t.Parallel()
	looks := map[string]func(context.Context, *Storage) error{
		"Load":   func(ctx context.Context, s *Storage) error { _, err := s.Load(ctx, "k"); return err },
		"Reload": func(ctx context.Context, s *Storage) error { _, err := s.Reload(ctx, "k"); return err },
	}
	changes := map[string]func(*testing.T, *Storage) string{
		"Save": func(t *testing.T, s *Storage) string { save(t, s, "k", "new", time.Hour); return "new" },
		"Delete": func(t *testing.T, s *Storage) string {
			if err := s.Delete(t.Context(), "k"); err != nil {
				t.Error(err)
			}
			return ""
		},
		"Replace": func(t *testing.T, s *Storage) string {
			if done, err := s.Replace(t.Context(), "k", []byte("old"), []byte("new"), time.Now().Add(time.Hour)); err != nil || !done {
				t.Error(done, err)
			}
			return "new"
		},
	}
	for lookName, look := range looks {
		for changeName, change := range changes {
			t.Run(lookName+" and "+changeName, func(t *testing.T) {
				inBubble(t, func(t *testing.T, d *disk, a, _ *Storage) {
					save(t, a, "k", "old", time.Hour)
					time.Sleep(trusted)
					d.with(func(d *disk) { d.latency = time.Second })
					slow := make(chan error, 1)
					go func() { slow <- look(t.Context(), a) }()
					synctest.Wait()
					d.with(func(d *disk) { d.latency = 0 })
					want := change(t, a)
					if got := load(t, a, "k"); got != want {
						t.Errorf("after the change Load finds %q, want %q", got, want)
					}
					if err := <-slow; err != nil {
						t.Error(err)
					}
					if got := load(t, a, "k"); got != want {
						t.Errorf("after the slow look Load finds %q, want %q", got, want)
					}
				})
			})
		}
	}
}

// TestSaveThatMayHaveBeenMade has the storage fail after it has stored: neither
// a copy nor a look that is under way says any more what is there.
func TestSaveThatMayHaveBeenMade(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, _ *Storage) {
		save(t, a, "k", "old", time.Hour)
		lost := &Storage{Timeout: a.Timeout, logger: a.logger, storage: lostAnswer{d}}
		fail := func(record string) {
			t.Helper()
			a.node.attach(lost)
			defer a.node.detach(lost)
			if err := a.Save(t.Context(), "k", []byte(record), time.Now().Add(time.Hour)); !errors.Is(err, errNoNetwork) {
				t.Errorf("Save: %v", err)
			}
		}
		fail("new")
		if got := load(t, a, "k"); got != "new" {
			t.Errorf("Load finds %q", got)
		}

		time.Sleep(trusted)
		d.with(func(d *disk) { d.latency = time.Second })
		go func() { _, _ = a.Load(t.Context(), "k") }()
		synctest.Wait()
		d.with(func(d *disk) { d.latency = 0 })
		fail("newer")
		if got := load(t, a, "k"); got != "newer" {
			t.Errorf("Load shares a look from before: %q", got)
		}
		time.Sleep(time.Second)
	})
}

// lostAnswer stores, and yet fails.
type lostAnswer struct{ *disk }

func (d lostAnswer) Store(ctx context.Context, key string, file []byte) error {
	_ = d.disk.Store(ctx, key, file)
	return errNoNetwork
}

// TestForgottenChangeStaysMade is about copies that had to go for others.
func TestForgottenChangeStaysMade(t *testing.T) {
	t.Parallel()
	c, now := newCopies(), time.Now()
	slow := c.look()
	c.changed("k", found{record: []byte("new"), end: 1 << 60}, now)
	large := found{record: make([]byte, 1<<20), end: 1 << 60}
	for i := range 70 { // more than both generations hold
		c.changed(fmt.Sprint(i), large, now)
	}
	if _, ok := c.get("k", now); ok {
		t.Fatal("the copy is still there")
	}
	c.saw("k", found{record: []byte("old"), end: 1 << 60}, slow, now)
	if f, ok := c.get("k", now); ok {
		t.Errorf("a look from before the change has left %q", f.record)
	}
	c.saw("k", found{record: []byte("new"), end: 1 << 60}, c.look(), now)
	if f, ok := c.get("k", now); !ok || string(f.record) != "new" {
		t.Error("a look from after the change left nothing")
	}
}

func TestCopiesAreBounded(t *testing.T) {
	t.Parallel()
	c, now := newCopies(), time.Now()
	for i := range 200_000 {
		c.saw(fmt.Sprint(i), found{record: make([]byte, 1000), end: 1 << 60}, c.look(), now)
	}
	total := 0
	for _, generation := range []map[string]known{c.young, c.old} {
		for key, k := range generation {
			total += copyCost + len(key) + len(k.record)
		}
	}
	if total > 2*maxCopies+2000 || total < maxCopies {
		t.Errorf("%d bytes of copies, at most %d are wanted", total, 2*maxCopies)
	}
}

func TestCutFileIsAbsent(t *testing.T) {
	t.Parallel()
	whole := seal([]byte("a record"), time.Now().Add(time.Hour))
	another := append([]byte(nil), whole...)
	another[len(kind)]++
	files := map[string][]byte{
		"of another version":   another,
		"with more at its end": append(whole[:len(whole):len(whole)], 0),
		"foreign":              []byte(strings.Repeat("something else ", 10)),
	}
	for n := range whole {
		files[fmt.Sprintf("cut to %d bytes", n)] = whole[:n]
		blank := append([]byte(nil), whole...)
		clear(blank[n:])
		files[fmt.Sprintf("blank from byte %d", n)] = blank
	}
	for name_, file := range files {
		t.Run(name_, func(t *testing.T) {
			inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
				d.files[path(name("k"))] = file
				if got := load(t, a, "k"); got != "" {
					t.Errorf("Load finds %q", got)
				}
				if got := reload(t, a, "k"); got != "" {
					t.Errorf("Reload finds %q", got)
				}
				if done, err := a.Replace(t.Context(), "k", []byte("a record"), []byte("new"), time.Now().Add(time.Hour)); err != nil || done {
					t.Errorf("Replace: %v, %v", done, err)
				}
				save(t, a, "k", "new", time.Hour)
				if got := reload(t, b, "k"); got != "new" {
					t.Errorf("after Save Reload finds %q", got)
				}
			})
		})
	}
}

func TestUnreadableFileIsToldOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s, logs := newStore(t, d)
		unswept(s) // or it would be gone
		d.files[path(name("k"))] = []byte("cut")
		for range 60 { // ten minutes
			_, _ = load(t, s, "k"), load(t, s, "absent")
			time.Sleep(10 * time.Second)
		}
		if n := logs.FilterLevelExact(zapcore.WarnLevel).Len(); n != 10 {
			t.Errorf("told %d times in ten minutes, want 10", n)
		}
	})
}

func TestCopyAllocatesItsAnswerAlone(t *testing.T) {
	d := newDisk()
	s, _ := newStore(t, d)
	unswept(s)
	keys := []string{"a", "b", "absent"}
	save(t, s, "a", "r", time.Hour)
	save(t, s, "b", "r", time.Hour)
	ctx := t.Context()
	now := time.Now()
	s.node.now = func() time.Time { return now } // the copies stay trusted
	_, _ = load(t, s, "a"), load(t, s, "absent")
	before := d.calls.Load()
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Load(ctx, keys...) }); n > 1 || d.calls.Load() != before {
		t.Errorf("Load from copies allocates %v times, and asks the storage %d times", n, d.calls.Load()-before)
	}
}

func TestFailingStorage(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EACCES, syscall.EIO} {
		t.Run(fault.Error(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
				save(t, a, "k", "old", time.Hour)
				d.with(func(d *disk) { d.full = fault })
				err := a.Save(t.Context(), "k", []byte("new"), time.Now().Add(time.Hour))
				if !errors.Is(err, fault) || !strings.HasPrefix(err.Error(), "session store storage: save: ") {
					t.Errorf("Save returned %v", err)
				}
				if done, err := a.Replace(t.Context(), "k", []byte("old"), []byte("new"), time.Now().Add(time.Hour)); done || !errors.Is(err, fault) {
					t.Errorf("Replace returned %v, %v", done, err)
				}
				for _, s := range []*Storage{a, b} {
					if got := load(t, s, "k"); got != "old" {
						t.Errorf("Load finds %q, want what was there", got)
					}
				}
				if err := a.Delete(t.Context(), "k"); err != nil { // and makes room
					t.Errorf("Delete: %v", err)
				}
				d.with(func(d *disk) { d.full, d.down = nil, fault })
				time.Sleep(trusted)
				if _, err := b.Load(t.Context(), "k"); !errors.Is(err, fault) {
					t.Errorf("Load of what nobody can read returned %v", err)
				}
				if _, err := b.Reload(t.Context(), "k"); !errors.Is(err, fault) {
					t.Errorf("Reload of what nobody can read returned %v", err)
				}
				if err := b.Delete(t.Context(), "k"); !errors.Is(err, fault) {
					t.Errorf("Delete returned %v", err)
				}
			})
		})
	}
}

func TestHangingStorage(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, _ *Storage) {
		save(t, a, "k", "old", time.Hour)
		time.Sleep(trusted)
		d.with(func(d *disk) { d.hang = make(chan struct{}) })
		hang := d.hang
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := a.Load(t.Context(), "k"); err == nil {
					t.Error("Load returned no error")
				}
			})
		}
		began := time.Now()
		if err := a.Save(t.Context(), "k", []byte("new"), time.Now().Add(time.Hour)); err == nil {
			t.Error("Save returned no error")
		}
		if err := a.Delete(t.Context(), "other"); err == nil {
			t.Error("Delete returned no error")
		}
		all.Wait()
		if took := time.Since(began); took > 2*defaultTimeout {
			t.Errorf("a storage that hangs cost %v", took)
		}
		began = time.Now()
		for range 100 {
			if _, err := a.Load(t.Context(), "k"); err == nil {
				t.Error("Load returned no error")
			}
			if _, err := a.Lock(t.Context(), "l"); !errors.Is(err, store.ErrPaused) {
				t.Errorf("Lock returned %v", err)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("an outage that is known cost %v", took)
		}

		close(hang)
		d.with(func(d *disk) { d.hang = nil })
		time.Sleep(time.Second)
		if got := load(t, a, "k"); got != "old" {
			t.Errorf("Load finds %q: what nobody waited for was saved", got)
		}
		save(t, a, "k", "new", time.Hour)
		if got := reload(t, a, "k"); got != "new" {
			t.Errorf("Reload finds %q", got)
		}
	})
}

// TestLateSaveIsKnown has a Save end after who waited for it has gone.
func TestLateSaveIsKnown(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, _ *Storage) {
		save(t, a, "k", "old", time.Hour)
		time.Sleep(trusted)
		late := &lateDisk{disk: d, late: make(chan struct{})}
		a.node.attach(&Storage{Timeout: a.Timeout, logger: a.logger, storage: late})
		if err := a.Save(t.Context(), "k", []byte("new"), time.Now().Add(time.Hour)); err == nil {
			t.Error("Save returned no error")
		}
		if got := load(t, a, "k"); got != "old" {
			t.Errorf("before it is kept Load finds %q", got)
		}
		close(late.late)
		synctest.Wait()
		if got := load(t, a, "k"); got != "new" {
			t.Errorf("Load finds %q, and not what was saved late", got)
		}
	})
}

// lateDisk stores what it has to whatever the context says.
type lateDisk struct {
	*disk
	late chan struct{}
}

func (d *lateDisk) Store(_ context.Context, key string, file []byte) error {
	<-d.late
	return d.disk.Store(context.Background(), key, file)
}

// TestLateLockSavesNothing has the lock for a Save come after who waited for it
// has gone, and perhaps has saved something else since.
func TestLateLockSavesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
		save(t, a, "k", "old", time.Hour)
		late := &lateLock{disk: d, late: make(chan struct{})}
		a.node.attach(&Storage{Timeout: a.Timeout, logger: a.logger, storage: late})
		if err := a.Save(t.Context(), "k", []byte("late"), time.Now().Add(time.Hour)); err == nil {
			t.Error("Save returned no error")
		}
		if err := a.Delete(t.Context(), "k"); err == nil {
			t.Error("Delete returned no error")
		}
		save(t, b, "k", "new", time.Hour)
		close(late.late)
		time.Sleep(time.Second)
		if got := reload(t, a, "k"); got != "new" {
			t.Errorf("Reload finds %q", got)
		}
	})
}

// lateLock does everything whatever the context says, as files do.
type lateLock struct {
	*disk
	late chan struct{}
}

func (d *lateLock) Lock(_ context.Context, name string) error {
	<-d.late
	return d.disk.Lock(context.Background(), name)
}

func (d *lateLock) Store(_ context.Context, key string, file []byte) error {
	return d.disk.Store(context.Background(), key, file)
}

func (d *lateLock) Delete(_ context.Context, key string) error {
	return d.disk.Delete(context.Background(), key)
}

func TestConfigurationsFollowEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, _ *Storage) {
		n, other := a.node, newDisk()
		next := &Storage{Timeout: a.Timeout / 5, logger: a.logger, storage: other}
		n.attach(next)
		save(t, a, "k", "r", time.Hour)
		if len(other.keys()) != 1 || len(d.keys()) != 0 {
			t.Error("the storage attached last is not used")
		}
		other.with(func(d *disk) { d.latency = time.Hour })
		began := time.Now()
		if _, err := a.Reload(t.Context(), "k"); err == nil || time.Since(began) != time.Second {
			t.Errorf("after %v: %v; want the timeout attached last", time.Since(began), err)
		}
		n.detach(a)
		n.detach(next) // its requests still end
		other.with(func(d *disk) { d.latency = 0 })
		if got := reload(t, a, "k"); got != "r" {
			t.Errorf("after the last configuration Reload finds %q", got)
		}
	})
}

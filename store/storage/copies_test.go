package storage

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowLookPutsNothingBack checks that a slow read that began before a change does
// not bring the old record back.
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
			done, err := s.Replace(t.Context(), "k", []byte("old"), []byte("new"), time.Now().Add(time.Hour))
			if err != nil {
				t.Error(err)
			}
			if !done {
				t.Error("expected the record to be replaced, seen that it was not")
			}
			return "new"
		},
	}
	for lookName, look := range looks {
		for changeName, change := range changes {
			t.Run(changeName+" during a slow "+lookName, func(t *testing.T) {
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

// TestSaveThatMayHaveBeenMade has the storage store a record and then fail: neither a
// copy nor a read that already started is used afterwards.
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

// lostAnswer stores the record and returns an error.
type lostAnswer struct{ *disk }

func (d lostAnswer) Store(ctx context.Context, key string, file []byte) error {
	_ = d.disk.Store(ctx, key, file)
	return errNoNetwork
}

// TestForgottenChangeStaysMade evicts the copy of a change. A read that began before
// the change still brings no old record back.
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
	f, ok := c.get("k", now)
	if !ok {
		t.Error("a look from after the change: expected a copy, seen none")
	}
	if string(f.record) != "new" {
		t.Errorf("a look from after the change: expected the copy new, seen %q", f.record)
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
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Load(ctx, keys...) }); n > 1 {
		t.Errorf("Load from copies: expected one allocation, seen %v", n)
	}
	if asked := d.calls.Load() - before; asked != 0 {
		t.Errorf("Load from copies: expected no call to the storage, seen %d", asked)
	}
}

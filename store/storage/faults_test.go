package storage

import (
	"context"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

func TestFailingStorage(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EACCES, syscall.EIO} {
		t.Run(fault.Error(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
				save(t, a, "k", "old", time.Hour)
				d.with(func(d *disk) { d.full = fault })
				err := a.Save(t.Context(), "k", []byte("new"), time.Now().Add(time.Hour))
				if !errors.Is(err, fault) {
					t.Errorf("Save: expected %v, seen %v", fault, err)
				}
				if err != nil && !strings.HasPrefix(err.Error(), "session store storage: save: ") {
					t.Errorf("Save: expected an error that names the store and the call, seen %v", err)
				}
				if done, err := a.Replace(t.Context(), "k", []byte("old"), []byte("new"), time.Now().Add(time.Hour)); done || !errors.Is(err, fault) {
					t.Errorf("Replace returned %v, %v", done, err)
				}
				for _, s := range []*Storage{a, b} {
					if got := load(t, s, "k"); got != "old" {
						t.Errorf("Load finds %q, want what was there", got)
					}
				}
				if err := a.Delete(t.Context(), "k"); err != nil { // which makes room
					t.Errorf("Delete: %v", err)
				}
				d.with(func(d *disk) { d.full, d.down = nil, fault })
				time.Sleep(trusted)
				if _, err := b.Load(t.Context(), "k"); !errors.Is(err, fault) {
					t.Errorf("Load of an unreadable file: expected %v, seen %v", fault, err)
				}
				if _, err := b.Reload(t.Context(), "k"); !errors.Is(err, fault) {
					t.Errorf("Reload of an unreadable file: expected %v, seen %v", fault, err)
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
			t.Errorf("a Save whose caller gave up: expected the old record, seen %q", got)
		}
		save(t, a, "k", "new", time.Hour)
		if got := reload(t, a, "k"); got != "new" {
			t.Errorf("Reload finds %q", got)
		}
	})
}

// TestLateSaveIsKnown has a Save end after its caller gave up.
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

// lateDisk ignores the context when it stores.
type lateDisk struct {
	*disk
	late chan struct{}
}

func (d *lateDisk) Store(_ context.Context, key string, file []byte) error {
	<-d.late
	return d.disk.Store(context.Background(), key, file)
}

// TestLateLockSavesNothing has Save get its lock after its caller gave up. By then
// another node may have saved another record.
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

// lateLock ignores the context, as file systems do.
type lateLock struct {
	*disk
	late chan struct{}
}

func (d *lateLock) Store(_ context.Context, key string, file []byte) error {
	return d.disk.Store(context.Background(), key, file)
}

func (d *lateLock) Lock(_ context.Context, name string) error {
	<-d.late
	return d.disk.Lock(context.Background(), name)
}

func (d *lateLock) Delete(_ context.Context, key string) error {
	return d.disk.Delete(context.Background(), key)
}

package storage

import (
	"bytes"
	"cmp"
	"context"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

// disk is a storage that can fail in several ways.
type disk struct {
	mu       sync.Mutex
	files    map[string][]byte
	down     error         // of all calls
	full     error         // of Store
	latency  time.Duration // of every call, as long as its context lasts
	hang     chan struct{} // every call waits for it, whatever its context says
	loaded   func(key string)
	relative bool // how List answers

	locks   store.Locks
	holders sync.Map // unlock functions, by name

	loads, stores, lists, deletes, calls atomic.Int64
}

func newDisk() *disk { return &disk{files: make(map[string][]byte)} }

func (d *disk) with(change func(*disk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *disk) wait(ctx context.Context) error {
	d.calls.Add(1)
	d.mu.Lock()
	hang, latency, down := d.hang, d.latency, d.down
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if latency > 0 {
		select {
		case <-time.After(latency):
		case <-ctx.Done():
		}
	}
	return cmp.Or(ctx.Err(), down)
}

func (d *disk) Load(ctx context.Context, key string) ([]byte, error) {
	d.loads.Add(1)
	d.mu.Lock()
	file, ok := d.files[key]
	loaded := d.loaded
	d.mu.Unlock()
	// The result waits after the read, as it does in a slow network.
	if err := d.wait(ctx); err != nil {
		return nil, err
	}
	if loaded != nil {
		loaded(key)
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(file), nil
}

func (d *disk) Store(ctx context.Context, key string, file []byte) error {
	d.stores.Add(1)
	err := d.wait(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err = cmp.Or(err, d.full); err == nil {
		d.files[key] = bytes.Clone(file)
	}
	return err
}

func (d *disk) Delete(ctx context.Context, key string) error {
	d.deletes.Add(1)
	err := d.wait(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		delete(d.files, key)
	}
	return err
}

func (d *disk) Exists(ctx context.Context, key string) bool {
	_, err := d.Load(ctx, key)
	return err == nil
}

func (d *disk) List(ctx context.Context, folder string, _ bool) ([]string, error) {
	d.lists.Add(1)
	if err := d.wait(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var keys []string
	for key := range d.files {
		if below, ok := strings.CutPrefix(key, folder+"/"); ok && d.relative {
			keys = append(keys, below)
		} else if ok {
			keys = append(keys, key)
		}
	}
	if keys == nil {
		return nil, fs.ErrNotExist
	}
	return keys, nil
}

func (d *disk) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	file, err := d.Load(ctx, key)
	return certmagic.KeyInfo{Key: key, Size: int64(len(file)), IsTerminal: true}, err
}

func (d *disk) Lock(ctx context.Context, name string) error {
	if err := d.wait(ctx); err != nil {
		return err
	}
	unlock, err := d.locks.Lock(ctx, name)
	if err == nil {
		d.holders.Store(name, unlock)
	}
	return err
}

func (d *disk) Unlock(ctx context.Context, name string) error {
	unlock, held := d.holders.LoadAndDelete(name)
	if !held {
		return fs.ErrNotExist
	}
	unlock.(func())()
	return d.wait(ctx)
}

// keys returns the sorted keys of the records.
func (d *disk) keys() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d.files)), func(key string) bool { return key == marker })
}

// newStore returns a new node on a storage.
func newStore(t testing.TB, storage certmagic.Storage) (*Storage, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s := &Storage{Timeout: caddy.Duration(defaultTimeout), logger: zap.New(core), storage: storage, node: newNode(time.Now, time.Now)}
	s.node.attach(s)
	t.Cleanup(func() { _ = s.node.Destruct() })
	return s, logs
}

// inBubble runs a test of two nodes with a fake clock.
func inBubble(t *testing.T, test func(t *testing.T, d *disk, a, b *Storage)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		a, _ := newStore(t, d)
		b, _ := newStore(t, d)
		test(t, d, a, b)
	})
}

// unswept stops the sweeping, for tests that count reads.
func unswept(stores ...*Storage) {
	for _, s := range stores {
		_ = s.node.Destruct()
	}
}

func save(t testing.TB, s *Storage, key, record string, lifetime time.Duration) {
	t.Helper()
	if err := s.Save(t.Context(), key, []byte(record), time.Now().Add(lifetime)); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

func load(t testing.TB, s *Storage, key string) string {
	t.Helper()
	records, err := s.Load(t.Context(), key)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return string(records[0])
}

func reload(t testing.TB, s *Storage, key string) string {
	t.Helper()
	records, err := s.Reload(t.Context(), key)
	if err != nil {
		t.Fatalf("Reload: %v", err)
	}
	return string(records[0])
}

var _ certmagic.Storage = (*disk)(nil)

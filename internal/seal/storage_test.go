package seal

import (
	"context"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

// memory is a storage for tests that can fail in several ways. In a synctest bubble, its
// latency takes no real time.
type memory struct {
	clusterstore.Storage // nil, because keys need neither Delete nor List

	mu      sync.Mutex
	files   map[string][]byte
	err     error         // of Load
	sealed  error         // of Lock and Store, as if read-only
	unlock  error         // of Unlock
	latency time.Duration // of every call
	hang    chan struct{} // blocks every call, regardless of its context
	loads   int
	stores  int

	lock chan struct{}
}

func newMemory() *memory {
	return &memory{files: make(map[string][]byte), lock: make(chan struct{}, 1)}
}

func (m *memory) wait(ctx context.Context) error {
	m.mu.Lock()
	hang, latency := m.hang, m.latency
	m.mu.Unlock()
	if hang != nil {
		<-hang
	}
	select {
	case <-time.After(latency):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// with changes the storage, for example its errors.
func (m *memory) with(change func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *memory) Lock(ctx context.Context, _ string) error {
	if err := m.wait(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	err := m.sealed
	m.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *memory) Unlock(context.Context, string) error {
	<-m.lock
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unlock
}

func (m *memory) Load(ctx context.Context, key string) ([]byte, error) {
	if err := m.wait(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	if m.err != nil {
		return nil, m.err
	}
	data, ok := m.files[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (m *memory) Store(ctx context.Context, key string, value []byte) error {
	if err := m.wait(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stores++
	if m.sealed != nil {
		return m.sealed
	}
	m.files[key] = append([]byte(nil), value...)
	return nil
}

func (m *memory) file() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files[managedKey]
}

const (
	week = 7 * 24 * time.Hour
	day  = 24 * time.Hour
)

// instance returns the keys of one process with the usual demand.
func (m *memory) instance(now func() time.Time) *Managed {
	managed := NewManaged(func() clusterstore.Storage { return m }, now)
	managed.Demand(week, 12*time.Hour)
	return managed
}

// inBubble runs a test in a synctest bubble.
func inBubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

func ringOf(t *testing.T, m *Managed) *Ring {
	t.Helper()
	ring, err := m.Ring(t.Context())
	if err != nil || ring == nil {
		t.Fatalf("Ring: %v, %v", ring, err)
	}
	return ring
}

func refresh(t *testing.T, instances ...*Managed) {
	t.Helper()
	for _, m := range instances {
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatalf("Refresh: %v", err)
		}
	}
}

// opens reports whether a value opens with the keys that an instance has in memory.
func opens(t *testing.T, m *Managed, text string) (ok, stale bool) {
	t.Helper()
	_, stale, err := ringOf(t, m).Open(ForSession, "p", text)
	return err == nil, stale
}

// wantOpens checks that a value opens, and whether it is stale.
func wantOpens(t *testing.T, when string, m *Managed, text string, stale bool) {
	t.Helper()
	ok, gotStale := opens(t, m, text)
	if !ok {
		t.Errorf("%s: expected it to open, seen that it does not", when)
	}
	if gotStale != stale {
		t.Errorf("%s: expected stale %t, seen %t", when, stale, gotStale)
	}
}

// wantPlain checks the content of a sealed session, and whether it is stale.
func wantPlain(t *testing.T, what string, ring *Ring, aad, text, plain string, stale bool) {
	t.Helper()
	opened, gotStale, err := ring.Open(ForSession, aad, text)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if string(opened) != plain {
		t.Errorf("%s: expected %q, seen %q", what, plain, opened)
	}
	if gotStale != stale {
		t.Errorf("%s: expected stale %t, seen %t", what, stale, gotStale)
	}
}

func sealOn(t *testing.T, m *Managed) string {
	t.Helper()
	return ringOf(t, m).Seal(ForSession, "p", []byte("a session"))
}

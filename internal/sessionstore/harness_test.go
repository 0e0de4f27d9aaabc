package sessionstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// fakeStore is a store in a map. Its records never expire.
type fakeStore struct {
	mu      sync.Mutex
	records map[string][]byte
	extra   int // additional records that Load returns
	version uint64
	loads   int
}

func (f *fakeStore) Load(_ context.Context, keys ...string) ([][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads++
	records := make([][]byte, len(keys)+f.extra)
	for i, k := range keys {
		records[i] = f.records[k]
	}
	return records, nil
}

func (f *fakeStore) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	return f.Load(ctx, keys...)
}

func (f *fakeStore) Save(_ context.Context, key string, record []byte, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records[key] = record
	f.version++
	return nil
}

func (f *fakeStore) Replace(_ context.Context, key string, old, record []byte, _ time.Time) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if current, ok := f.records[key]; !ok || !bytes.Equal(current, old) {
		return false, nil
	}
	f.records[key] = record
	f.version++
	return true, nil
}

func (f *fakeStore) Delete(_ context.Context, keys ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range keys {
		delete(f.records, k)
	}
	f.version++
	return nil
}

func (f *fakeStore) Version() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.version
}

func (f *fakeStore) Lock(context.Context, string) (func(), error) { return func() {}, nil }

// node is a Manager with its surroundings.
type node struct {
	Manager
	t       *testing.T
	ring    *seal.Ring
	cache   *Cache
	store   *fakeStore // nil for cookies
	now     time.Time
	opened  int
	dropped int // size of the refresh token in bytes
}

const (
	testLifetime = 12 * time.Hour
	testIdle     = time.Hour
)

var errTestTooLarge = errors.New("too large")

// eachKind runs a test with every kind of Manager.
func eachKind(t *testing.T, test func(t *testing.T, n *node)) {
	t.Helper()
	for _, kind := range []string{"cookies", "records with a log", "records with revocations", "records with a version"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, newNode(t, kind))
		})
	}
}

func newNode(t *testing.T, kind string) *node {
	t.Helper()
	n := &node{t: t, ring: newRing(t, "s"), cache: NewCache(1 << 20), now: time.Now()}
	now := func() time.Time { return n.now }
	c := Config{
		Cache: n.cache, Now: now, Lifetime: testLifetime, IdleTimeout: testIdle, IssuerOf: issuerOf,
		Opened: func(*session.Session, string, string) { n.opened++ },
		TooLarge: func(_ *session.Session, bytes, limit int) error {
			return fmt.Errorf("%w: %d of %d", errTestTooLarge, bytes, limit)
		},
	}
	storage := func() clusterstore.Storage { return shared }
	log := revocation.NewLog(storage, now)
	if kind == "cookies" {
		n.Manager = NewCookieManager(c, Cookies{
			Log: log, Refreshes: refresh.NewCoordinator(storage, now),
			MaxChunks:    func() int { return 1 },
			TokenDropped: func(_ *session.Session, bytes int) { n.dropped = bytes },
		})
		return n
	}
	n.store = &fakeStore{records: make(map[string][]byte)}
	in := Records{Store: n.store, Log: log}
	if kind != "records with a log" {
		in.Log, in.Revoked = nil, revocation.NewRecords(n.store)
	}
	if kind == "records with a version" {
		in.Versioned = n.store
	}
	n.Manager = NewRecordManager(c, in)
	return n
}

// shared is the storage of all nodes, which do not know each other's sessions.
var shared = clustertest.Unlocked{Memory: clustertest.NewMemory()}

func newRing(t *testing.T, secret string) *seal.Ring {
	t.Helper()
	ring, err := seal.NewRing([]byte(strings.Repeat(secret, seal.MinSecret)))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// session returns a session that begins now.
func (n *node) session() *session.Session {
	return &session.Session{
		ID: session.NewID(), Provider: "default", Subject: "u-1", Username: "alice",
		Began: n.now, SignedIn: n.now, Seen: n.now, Expires: n.now.Add(testLifetime),
	}
}

// create creates a session and returns the value of its cookie.
func (n *node) create(s *session.Session) string {
	n.t.Helper()
	chunks, err := n.Create(n.t.Context(), n.ring, here, s)
	if err != nil {
		n.t.Fatalf("creating a session: %v", err)
	}
	if len(chunks) != 1 {
		n.t.Fatalf("creating a session: expected one cookie, seen %d", len(chunks))
	}
	return chunks[0][1:]
}

// load returns the session of a cookie's value, or nil.
func (n *node) load(value string) *Loaded {
	n.t.Helper()
	l, err := n.Load(n.t.Context(), n.ring, here, value, n.now)
	if err != nil {
		n.t.Fatal(err)
	}
	return l
}

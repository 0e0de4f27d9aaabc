package bearer

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"hash/maphash"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/expiring"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

const (
	maxEntries = 10_000
	maxMemory  = 32 << 20 // size in bytes of the cache of valid tokens
	// entrySize is the approximate size in bytes of an entry without its session's
	// strings.
	entrySize = 1 << 10
)

// key is the cache key of a token. It consists of two keyed hashes, with keys of
// this process: the short one finds an entry and the long one confirms it. The
// token itself is not kept.
type key struct {
	short uint64
	sum   [sha256.Size]byte
}

// entry is a valid token.
type entry struct {
	sum    [sha256.Size]byte
	token  *op.AccessToken
	loaded sessionstore.Loaded
	target revocation.Target
	until  time.Time // when it has to be verified again
}

// verdict is a refused token.
type verdict struct {
	sum   [sha256.Size]byte
	err   error
	until time.Time
}

// memory caches the tokens of one verifier. It is safe for concurrent use.
type memory struct {
	seed   maphash.Seed
	secret [sha256.Size]byte

	mu   sync.RWMutex
	good expiring.Map[uint64, *entry]
	bad  expiring.Map[uint64, *verdict]
}

var (
	cacheHit  = observe.CacheLookups.With("program", "hit")
	cacheMiss = observe.CacheLookups.With("program", "miss")
)

// newMemory returns a memory that caches valid tokens for at most the given time.
func newMemory(within time.Duration) *memory {
	m := &memory{seed: maphash.MakeSeed()}
	rand.Read(m.secret[:])
	m.good = expiring.Map[uint64, *entry]{Within: within, Max: maxEntries, MaxSize: maxMemory}
	m.bad = expiring.Map[uint64, *verdict]{Within: negativeAge, Max: maxEntries}
	return m
}

// keyOf returns the cache key of a token.
func (m *memory) keyOf(token string) key {
	var space [4 << 10]byte // on the stack, and usually large enough
	b := append(space[:0], m.secret[:]...)
	b = append(b, token...)
	return key{m.short(token), sha256.Sum256(b)}
}

func (m *memory) short(token string) uint64 { return maphash.String(m.seed, token) }

// knows reports whether a token is probably cached as valid.
func (m *memory) knows(token string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := m.good.Get(m.short(token))
	return ok
}

// get returns the entry of a token that need not be verified again.
func (m *memory) get(k *key, now time.Time) *entry {
	m.mu.RLock()
	e, ok := m.good.Get(k.short)
	m.mu.RUnlock()
	if !ok || subtle.ConstantTimeCompare(e.sum[:], k.sum[:]) != 1 || !now.Before(e.until) || !e.token.IsCurrent() {
		cacheMiss.Inc()
		return nil
	}
	cacheHit.Inc()
	return e
}

// put caches a valid token.
func (m *memory) put(k *key, e *entry, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.good.Put(k.short, e, now)
	m.good.Grow(entrySize + e.loaded.Session.Size())
}

// refusal returns why a token was recently refused, or nil.
func (m *memory) refusal(k *key, now time.Time) error {
	m.mu.RLock()
	v, ok := m.bad.Get(k.short)
	m.mu.RUnlock()
	if !ok || subtle.ConstantTimeCompare(v.sum[:], k.sum[:]) != 1 || !now.Before(v.until) {
		return nil
	}
	return v.err
}

// putRefusal caches a refused token.
func (m *memory) putRefusal(k *key, err error, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bad.Put(k.short, &verdict{k.sum, err, now.Add(negativeAge)}, now)
}

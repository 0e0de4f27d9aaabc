package revocation

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/expiring"
)

// maxLive is the maximum number of the provider's sessions that are remembered,
// which take about 6 MiB. The least recently seen ones are forgotten first.
const maxLive = 1 << 18

// Live remembers which of the providers' sessions have sessions that this process
// has opened, to distinguish them from made-up ones. Only sealed sessions are
// added, so clients cannot displace others. It is safe for concurrent use.
type Live struct {
	once sync.Once
	seed maphash.Seed
	mu   sync.Mutex
	seen expiring.Map[uint64, struct{}]
}

func (l *Live) key(issuer, sid string) uint64 {
	l.once.Do(func() { l.seed = maphash.MakeSeed() })
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.WriteString(issuer)
	h.WriteByte(0) // a separator that no issuer contains
	h.WriteString(sid)
	return h.Sum64()
}

// See records that a provider's session has a session here.
func (l *Live) See(issuer, sid string) {
	if sid == "" {
		return
	}
	key := l.key(issuer, sid)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen.Max = maxLive
	l.seen.Put(key, struct{}{}, time.Time{}) // without an expiry
}

// Has reports whether a provider's session is remembered.
func (l *Live) Has(issuer, sid string) bool {
	key := l.key(issuer, sid)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, seen := l.seen.Get(key)
	return seen
}

// Forget removes a provider's session, which has ended.
func (l *Live) Forget(issuer, sid string) {
	key := l.key(issuer, sid)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen.Delete(key)
}

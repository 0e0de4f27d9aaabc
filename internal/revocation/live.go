package revocation

import (
	"hash/maphash"
	"sync"
)

// maxLive bounds how many of the provider's sessions are remembered, in about
// 6 MiB of memory. Those seen the longest ago are forgotten first.
const maxLive = 1 << 18

// Live remembers which of the providers' sessions have sessions here, as far as
// this process has opened some, so that a session that a stranger makes up can be
// told from one that exists. Only sealed sessions get here, so strangers displace
// nothing. It is safe for concurrent use.
type Live struct {
	once       sync.Once
	seed       maphash.Seed
	mu         sync.Mutex
	young, old map[uint64]struct{}
}

func (l *Live) key(issuer, sid string) uint64 {
	l.once.Do(func() { l.seed = maphash.MakeSeed() })
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.WriteString(issuer)
	h.WriteByte(0) // which no issuer has
	h.WriteString(sid)
	return h.Sum64()
}

// See remembers a provider's session that has one here.
func (l *Live) See(issuer, sid string) {
	if sid == "" {
		return
	}
	key := l.key(issuer, sid)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.young == nil || len(l.young) >= maxLive/2 {
		l.old, l.young = l.young, make(map[uint64]struct{})
	}
	l.young[key] = struct{}{}
}

// Has reports whether a provider's session was seen and not forgotten since.
func (l *Live) Has(issuer, sid string) bool {
	key := l.key(issuer, sid)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, young := l.young[key]
	_, old := l.old[key]
	return young || old
}

// Forget forgets a provider's session, which has ended.
func (l *Live) Forget(issuer, sid string) {
	key := l.key(issuer, sid)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.young, key)
	delete(l.old, key)
}

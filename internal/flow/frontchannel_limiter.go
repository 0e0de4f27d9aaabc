package flow

import (
	"net/netip"
	"sync"
	"time"
)

// A front-channel logout is not signed and rarely comes with a cookie. Each
// that is believed costs some bytes in the storage and in the memory of all
// instances for as long as sessions last, so what unknown clients can have written
// is bounded. Honest logouts must not meet that bound because of junk:
//
//   - One whose cookie is the session that it names needs no budget, and neither
//     does one that names a session which this process has opened (revocation.Live).
//     No junk can do that: any caller who knows a sid may end that session.
//   - What is left names sessions that only other instances have opened, or none
//     at all. The first few of each network within a minute come out of a
//     reserve, of which the wider network around it gets a part only. Junk from a
//     few addresses therefore leaves room for all other networks.
//   - More than a few share what is not reserved, and one network gets a part of
//     that only, which may be many users behind one address.
//
// A client that is over the budget gets 429: a response of 200 says that the session
// is over. A provider that ends many sessions at once has the back channel.
const (
	limiterWindow = time.Minute
	// How many one network, all of a wider one and all together can take out of
	// the reserve.
	reservedFramesOfOne  = 3
	reservedFramesOfWide = 30
	reservedFrames       = 900
	// How many of one network, and of all beyond the reserve.
	maxFramesOfOne     = 60
	maxFramesPerWindow = 300
)

// frontchannelLimiter is the budget of logouts by unknown clients. It starts again
// each minute, and counts only what it allows, so that it needs no more memory than
// that. It is safe for concurrent use, and knows of this process alone.
type frontchannelLimiter struct {
	mu            sync.Mutex
	began         time.Time
	of, wide      map[netip.Prefix]int
	reserved, all int
}

// allow reports whether an unknown client may have the end of a session written.
func (f *frontchannelLimiter) allow(client netip.Addr, now time.Time) bool {
	one, wide := networksOf(client)
	f.mu.Lock()
	defer f.mu.Unlock()
	if age := now.Sub(f.began); f.of == nil || age >= limiterWindow || age < 0 {
		f.began, f.reserved, f.all = now, 0, 0
		f.of, f.wide = make(map[netip.Prefix]int), make(map[netip.Prefix]int)
	}
	used := f.of[one]
	switch {
	case used < reservedFramesOfOne && f.wide[wide] < reservedFramesOfWide && f.reserved < reservedFrames:
		f.reserved++
		f.wide[wide]++
	case used < maxFramesOfOne && f.all < maxFramesPerWindow:
		f.all++
	default:
		return false
	}
	f.of[one] = used + 1
	return true
}

// networksOf returns the network that counts as one client, since a client has as
// many IPv6 addresses in it as it likes, and the wider one around it.
func networksOf(client netip.Addr) (one, wide netip.Prefix) {
	client = client.WithZone("").Unmap()
	bits, around := 32, 24
	if client.Is6() {
		bits, around = 64, 48
	}
	one, _ = client.Prefix(bits)
	wide, _ = client.Prefix(around)
	return one, wide
}

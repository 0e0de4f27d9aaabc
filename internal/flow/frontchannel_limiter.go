package flow

import (
	"net/netip"
	"sync"
	"time"
)

// Front-channel logouts are not signed and rarely come with a cookie. Each one that is
// accepted costs some bytes in the storage and in the memory of all nodes for as long as
// sessions last, so the number of those from unknown clients is limited. A flood must
// not keep legitimate logouts from being accepted:
//
//   - A logout whose cookie holds the session that it names is not limited, and
//     neither is one that names a session that this process has opened
//     (revocation.Live). A flood contains none of those: callers who know a sid may
//     end that session.
//   - The others name sessions that only other nodes have opened, or that do not
//     exist. The first few per minute from each network are taken from a reserve, and
//     the wider network around it may use only a part of the reserve. A flood from a
//     few addresses therefore leaves room for all other networks.
//   - Further ones share what is not reserved. Each network, which may be many users
//     behind one address, may use only a part of it.
//
// Clients over the limit get 429, because 200 would mean that the session has ended.
// Providers that end many sessions at once can use the back channel.
const (
	limiterWindow = time.Minute
	// Limits of the reserve: per network, per wider network, and in total.
	reservedFramesOfOne  = 3
	reservedFramesOfWide = 30
	reservedFrames       = 900
	// Limits per network, reserve included, and for all networks beyond the reserve.
	maxFramesOfOne     = 60
	maxFramesPerWindow = 300
)

// frontchannelLimiter limits front-channel logouts by unknown clients. It resets each
// minute. It counts only logouts that it allows, which bounds its memory. It is safe for
// concurrent use, and counts for this process alone.
type frontchannelLimiter struct {
	mu            sync.Mutex
	began         time.Time
	of, wide      map[netip.Prefix]int
	reserved, all int
}

// allow reports whether a logout by the client is within the limits, and counts it.
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

// networksOf returns the network that counts as one client (/32 or /64, because a
// client may use all IPv6 addresses of its /64) and the wider one around it (/24 or
// /48).
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

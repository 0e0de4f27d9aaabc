package server

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
)

// Each authorization request is stored in the database for an hour, and anyone can send
// them. So the number that an address block may begin is limited, to ten a second for ten
// minutes. That is more than a company behind one address needs.
const (
	maxBegun    = 6000
	begunWindow = 10 * time.Minute
	// maxBlocks limits the memory. Further blocks share one count.
	maxBlocks = 1 << 16
)

// flood counts requests by address block, in windows of begunWindow.
type flood struct {
	mu    sync.Mutex
	since time.Time
	count map[netip.Prefix]int
}

// allows counts a request from an address and reports whether it is within the limit.
// Loopback addresses are not counted: behind an untrusted proxy, all requests come from
// them.
func (f *flood) allows(from netip.Addr, now time.Time) bool {
	if !from.IsValid() || from.Unmap().IsLoopback() {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if age := now.Sub(f.since); age < 0 || age >= begunWindow {
		f.since, f.count = now, make(map[netip.Prefix]int)
	}
	block := passwords.Block(from)
	if _, known := f.count[block]; !known && len(f.count) >= maxBlocks {
		block = netip.Prefix{}
	}
	if f.count[block] >= maxBegun {
		return false
	}
	f.count[block]++
	return true
}

// begin begins the sign-in for an authorization request, unless there are too many.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, q *request.Request) {
	if !s.begun.allows(s.Address(r), s.Now()) {
		s.shown.Render(w, r, http.StatusTooManyRequests, pages.Busy(time.Minute))
		return
	}
	s.SignIn.Begin(w, r, q)
}

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

// Each authorization request is a row in the database for an hour, and anyone can
// send them. An address block begins so many in a while; that is ten a second for
// ten minutes, and more than a company behind one address needs.
const (
	maxBegun    = 6000
	begunWindow = 10 * time.Minute
	// maxBlocks bounds the memory. Blocks beyond it share one count.
	maxBlocks = 1 << 16
)

// flood counts by address blocks, in windows of time.
type flood struct {
	mu    sync.Mutex
	since time.Time
	count map[netip.Prefix]int
}

// allows counts one more from an address, and reports whether it may be. Loopback
// is not counted: behind a proxy that is not trusted, it is everyone.
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

// begin begins the sign-in of an authorization request.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, q *request.Request) {
	if !s.begun.allows(s.Address(r), s.Now()) {
		s.shown.Render(w, r, http.StatusTooManyRequests, pages.Busy(time.Minute))
		return
	}
	s.SignIn.Begin(w, r, q)
}

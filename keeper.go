package oidcrp

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// keeper is where a site's sessions are: in the browser's cookies, or in a
// store to which the browser has a ticket. An error is always that of what the
// sessions or their ends are kept in: nobody can tell then, so that who asks
// is nobody, and yet should not be sent to a new login.
type keeper interface {
	// open returns the living session that a cookie's value stands for, or
	// nil. seal.ErrUnknownKey says that a newer ring may open it.
	open(ctx context.Context, ring *seal.Ring, s *site, value string, now time.Time) (*kept, error)

	// alive says whether nothing has ended the session since it was opened.
	alive(ctx context.Context, k *kept) (bool, error)

	// keep keeps a new session and returns the values of its cookies.
	keep(ctx context.Context, ring *seal.Ring, s *site, fresh *session.Session) (chunks []string, err error)

	// update keeps a newer state of a session, or the same one sealed anew, and
	// returns the values of its cookies, none where the browser's can stay.
	// errEnded says that it has ended meanwhile.
	update(ctx context.Context, ring *seal.Ring, s *site, k *kept, newer *session.Session) (chunks []string, err error)

	// end ends a session on all nodes, and for copies of its cookie.
	end(ctx context.Context, k *kept) error

	// facts is where all nodes learn what has ended.
	facts() facts

	// ready says whether a session could be kept now.
	ready(ctx context.Context) error

	// superseded says whether a newer state of the session is known here, so
	// that this one must not go to the browser any more.
	superseded(s *session.Session) bool
}

// kept is a session as its keeper has it. Many requests share it: nobody
// changes it, and what is made of it once is the same whoever makes it.
type kept struct {
	session session.Session
	marks   session.Marks // which facts end it
	stale   bool          // its cookie is to be sealed with a newer key

	// Of a session in a store: what it is found with, the record that was read,
	// and the keys to ask for to learn whether both still hold.
	ticket *ticket
	record []byte
	keys   []string

	told   atomic.Pointer[[]string] // see lastingValues
	groups atomic.Pointer[claims.List]
}

// sessionOver says whether a session's own times have run out here: its
// lifetime, which may have been shortened since, or the idle timeout.
func (h *Handler) sessionOver(s *session.Session, now time.Time) bool {
	return s.Over(now, h.idle()) || now.Sub(s.SignedIn) >= time.Duration(h.session.Lifetime)
}

// issuerOf is the issuer that facts about a session name; empty for one of a
// provider that this site does not have.
func (h *Handler) issuerOf(s *session.Session) string {
	if p := h.parties[s.Provider]; p != nil {
		return p.issuerOf(s)
	}
	return ""
}

// maxOpened bounds the memory of opened sessions, in bytes. With cookies of
// 1 KiB that is some 25,000 users who are active at once; others cost an
// opening of their cookie again, which takes microseconds.
const maxOpened = 64 << 20

// opened remembers the sessions of this process that were opened, so that a
// repeated request costs neither decryption nor decoding. What is remembered
// is what a cookie means, which never changes: whether the session still lives
// is asked on every request.
var opened = sync.OnceValue(func() *otter.Cache[handle, *kept] {
	return otter.Must(&otter.Options[handle, *kept]{
		MaximumWeight: maxOpened,
		Weigher:       func(of handle, k *kept) uint32 { return uint32(of.size() + k.size()) },
	})
})

// handle is all that decides what a cookie's value means: where it came, and
// with which keys it was opened.
type handle struct {
	by    uint64 // the instance, whose configuration decides
	ring  uint64
	place string
	value string
}

var instances atomic.Uint64

func (of handle) size() int { return 200 + len(of.place) + len(of.value) }

// cloned is the handle without the header that its value is part of.
func (of handle) cloned() handle {
	of.value = strings.Clone(of.value)
	return of
}

func (k *kept) size() int { return 1000 + k.session.Size() + len(k.record) }

// remember returns what is remembered of a handle, else what open makes of it.
func remember(of handle, open func() (*kept, error)) (*kept, error) {
	if k, ok := opened().GetIfPresent(of); ok {
		return k, nil
	}
	k, err := open()
	if k != nil && err == nil {
		opened().Set(of.cloned(), k)
	}
	return k, err
}

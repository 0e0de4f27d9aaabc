package flow

import (
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// State is what is known about one request: which user it comes from, and what
// was done to it. Several instances on one site share it, so that the second one
// still sees what the first took from the request's header.
type State struct {
	// Cookies are our own cookies that the browser sent, each like a Cookie line of
	// its own.
	Cookies []string
	// Described reports whether another proxy describes the request, and gets the
	// response. Sent is the header of such a proxy's request, as it came.
	Described bool
	Sent      http.Header
	// Credentials are the lines where the client may have sent a credential of a
	// program, before ours were taken out; nil if there are none.
	Credentials *program.Lines
	// BeforeResponse, if set, has a last look at the header of the application's
	// response.
	BeforeResponse func(http.Header)

	at *Instance // that identified the user, or the first one
	r  *http.Request
	// left is what was known at the instance before, where that has another user.
	left *State

	// The session, if provider is set. Without it the request is anonymous.
	provider *Provider
	loaded   *sessionstore.Loaded // as it was loaded
	session  *session.Session     // that, or a newer state of it
	// foreign is a session that opens here and counts as none: only a logout ends it.
	foreign   *sessionstore.Loaded
	foreignAt *Instance // that has loaded it
	// The session cookie's value, and the keys that opened it.
	value string
	ring  *seal.Ring

	// seen is the use that was kept with the session; zero if none was.
	seen time.Time
	// use is what the request means for the idle timeout.
	use sessionUse
	// scheme is where the credential was that the request is judged by, and not by its
	// cookies; program.None for no such credential. It may be worth nothing.
	scheme program.Scheme
	// shortfall is why the session is not enough at this instance.
	shortfall authz.Shortfall
	// lastForgotten reports whether the response takes the last session away.
	lastForgotten bool
	// unknown reports whether the session counts as none because no directory knows
	// its user.
	unknown bool
	// unconfirmed reports whether the claims are older than they may be, and only a
	// login can confirm them.
	unconfirmed bool
	// updateDue reports whether the session is to be sealed again.
	updateDue bool
	// failed is what did not work, for placeholders on the server's error pages,
	// and shown the sentence that users read about it.
	failed *Failure
	shown  string
	// languages are those that a login link asks for; empty if none does.
	languages string

	// identityHeaders are the headers about the user that instances have set.
	identityHeaders []string
}

// sessionUse is what a request means for the idle timeout of its session.
type sessionUse uint8

const (
	usesSession sessionUse = iota // it counts, with what is lost by counting seldom
	usesNothing                   // the session may end in spite of it
	usesNow                       // it counts at once
)

// Enter notes that the request reached an instance.
func (st *State) Enter(in *Instance, r *http.Request) {
	if st.provider == nil {
		st.at, st.r = in, r
	}
}

// SignedIn reports whether the user is known.
func (st *State) SignedIn() bool { return st.provider != nil }

// adopt takes a loaded session over as the one that the request comes with.
func (st *State) adopt(in *Instance, r *http.Request, p *Provider, l *sessionstore.Loaded, updateDue bool) {
	st.at, st.r, st.provider = in, r, p
	st.loaded, st.session, st.updateDue = l, &l.Session, updateDue
	st.unknown, st.unconfirmed = false, false
	st.scheme = program.None
}

// IsProgram reports whether the request has a credential of a program, good or bad,
// so that its cookies do not count.
func (st *State) IsProgram() bool { return st.scheme != program.None }

// markForeign notes a session that opens at an instance and counts as none there.
func (st *State) markForeign(in *Instance, l *sessionstore.Loaded) { st.foreign, st.foreignAt = l, in }

// SignOut makes the request anonymous.
func (st *State) SignOut() { st.provider = nil }

// DropIdentity makes the request anonymous again, also for the instances behind
// this one and for the application.
func (st *State) DropIdentity(header http.Header) {
	st.SignOut()
	st.dropHeaders(header, func(string) bool { return true })
}

// leaveTo makes the request anonymous for an instance that does not know its user:
// another one has identified them, and has set headers that are this one's.
func (st *State) leaveTo(in *Instance, r *http.Request) {
	st.keepLeft()
	st.provider, st.at, st.r, st.scheme = nil, in, r, program.None
	st.dropHeaders(r.Header, in.OwnsHeader)
}

// keepLeft keeps what is known, for the streams that an instance before let pass.
func (st *State) keepLeft() {
	if st.SignedIn() {
		before := *st
		st.left = &before
	}
}

// stateAt returns what was known at an instance that has identified a user.
func (st *State) stateAt(in *Instance) *State {
	for s := st; s != nil; s = s.left {
		if s.at == in && s.session != nil {
			return s
		}
	}
	return st
}

func (st *State) dropHeaders(header http.Header, which func(name string) bool) {
	st.identityHeaders = slices.DeleteFunc(st.identityHeaders, func(name string) bool {
		if which(name) {
			delete(header, name)
			return true
		}
		return false
	})
}

// SetIdentityHeader sets a header that tells the application about the user.
func (st *State) SetIdentityHeader(header http.Header, name string, value []string) {
	header[name] = value
	st.identityHeaders = append(st.identityHeaders, name)
}

// IdentityHeaders are the headers about the user that instances have set.
func (st *State) IdentityHeaders() []string { return st.identityHeaders }

// isAsLoaded reports whether the session is the one that was loaded, and no newer
// state of it.
func (st *State) isAsLoaded() bool { return st.loaded != nil && st.session == &st.loaded.Session }

// HeaderCache is room for the header values that follow from the session alone,
// for as long as it is remembered as loaded; nil for a session that is not.
func (st *State) HeaderCache() *atomic.Pointer[[]string] {
	if !st.isAsLoaded() {
		return nil
	}
	return &st.loaded.Headers
}

// revocable returns the session that a logout would end, or nil.
func (st *State) revocable() *sessionstore.Loaded {
	if st.SignedIn() && !st.IsProgram() {
		return st.loaded
	}
	return st.foreign
}

// User returns the user that the request comes from.
func (st *State) User() identity.User {
	if !st.SignedIn() {
		return identity.User{}
	}
	u := st.at.UserOf(st.provider, st.session)
	if st.isAsLoaded() {
		u.GroupsCache = &st.loaded.Groups
	}
	return u
}

// isNew reports whether the session began so recently that the browser may bring
// it for the first time.
func (st *State) isNew(now time.Time) bool {
	return now.Sub(st.session.SignedIn) < session.MarkLifetime
}

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

// State is the authentication state of one request. All instances that a request
// passes share it, so that later ones still see the cookies and credentials that the
// first one removed from the header.
type State struct {
	// Cookies are the cookies of this plugin that the browser sent, each in the form
	// of a Cookie header value.
	Cookies []string
	// Described reports whether another proxy describes the request and receives
	// the response. Sent is then the header of that proxy's own request.
	Described bool
	Sent      http.Header
	// Credentials are the header values that may have held a program's credential,
	// before they were removed; nil if there are none.
	Credentials *program.Lines
	// BeforeResponse, if set, is called with the header of the application's
	// response before it is sent.
	BeforeResponse func(http.Header)

	at *Instance // the instance that identified the user, or else the first one
	r  *http.Request
	// previous is the state at an earlier instance that identified another user.
	previous *State

	// The session. The request is anonymous if provider is nil.
	provider *Provider
	loaded   *sessionstore.Loaded // the session as loaded
	session  *session.Session     // the loaded session, or a newer state of it
	// foreign is a session that opens here but is not valid at this instance. Only
	// a logout ends it.
	foreign   *sessionstore.Loaded
	foreignAt *Instance // the instance that loaded foreign
	// The session cookie's value, and the keys that opened it.
	value string
	ring  *seal.Ring

	// seen is the time of use that was stored with the session; zero if this
	// request stored none.
	seen time.Time
	// use is how the request counts for the idle timeout.
	use sessionUse
	// scheme says where the program's credential was that the request is judged by
	// instead of its cookies, valid or not; program.None if there is none.
	scheme program.Scheme
	// shortfall is why the session is not sufficient at this instance.
	shortfall authz.Shortfall
	// lastForgotten reports whether the response clears the last session's cookie.
	lastForgotten bool
	// unknown reports whether the session was rejected because no directory knows
	// its user.
	unknown bool
	// unconfirmed reports whether the claims are too old and only a login can
	// confirm them.
	unconfirmed bool
	// updateDue reports whether the session has to be sealed again.
	updateDue bool
	// failed is the failure that the response is about, for placeholders on the
	// server's error pages, and shown the sentence that users read about it.
	failed *Failure
	shown  string
	// languages are the ui_locales of a login link; empty if it has none.
	languages string

	// identityHeaders are the identity headers that instances have set.
	identityHeaders []string
}

// sessionUse is how a request counts for the idle timeout of its session.
type sessionUse uint8

const (
	usesSession sessionUse = iota // counts, but is not written each time
	usesNothing                   // does not count
	usesNow                       // counts, and is written at once
)

// Enter records that the request reached an instance.
func (st *State) Enter(in *Instance, r *http.Request) {
	if st.provider == nil {
		st.at, st.r = in, r
	}
}

// SignedIn reports whether the request has a valid session or credential.
func (st *State) SignedIn() bool { return st.provider != nil }

// adopt makes l the session of the request.
func (st *State) adopt(in *Instance, r *http.Request, p *Provider, l *sessionstore.Loaded, updateDue bool) {
	st.at, st.r, st.provider = in, r, p
	st.loaded, st.session, st.updateDue = l, &l.Session, updateDue
	st.unknown, st.unconfirmed = false, false
	st.scheme = program.None
}

// IsProgram reports whether the request has a program's credential, valid or not.
// Its cookies are then ignored.
func (st *State) IsProgram() bool { return st.scheme != program.None }

// markForeign records a session that opens at an instance but is not valid there.
func (st *State) markForeign(in *Instance, l *sessionstore.Loaded) { st.foreign, st.foreignAt = l, in }

// SignOut makes the request anonymous.
func (st *State) SignOut() { st.provider = nil }

// DropIdentity makes the request anonymous, also for later instances and for the
// application.
func (st *State) DropIdentity(header http.Header) {
	st.SignOut()
	st.dropHeaders(header, func(string) bool { return true })
}

// resetFor makes the request anonymous for an instance that has not identified its
// user itself: an earlier one did, and set identity headers that this one owns.
func (st *State) resetFor(in *Instance, r *http.Request) {
	st.savePrevious()
	st.provider, st.at, st.r, st.scheme = nil, in, r, program.None
	st.dropHeaders(r.Header, in.OwnsHeader)
}

// savePrevious saves the state, for the streams that an earlier instance let pass.
func (st *State) savePrevious() {
	if st.SignedIn() {
		before := *st
		st.previous = &before
	}
}

// stateAt returns the state at an instance that has identified a user, or st if
// there is none.
func (st *State) stateAt(in *Instance) *State {
	for s := st; s != nil; s = s.previous {
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

// SetIdentityHeader sets a request header that identifies the user to the
// application.
func (st *State) SetIdentityHeader(header http.Header, name string, value []string) {
	header[name] = value
	st.identityHeaders = append(st.identityHeaders, name)
}

// IdentityHeaders returns the names of the identity headers that instances have
// set.
func (st *State) IdentityHeaders() []string { return st.identityHeaders }

// isAsLoaded reports whether the session is still the loaded one, and not a newer
// state of it.
func (st *State) isAsLoaded() bool { return st.loaded != nil && st.session == &st.loaded.Session }

// HeaderCache returns where to cache header values that depend on the session
// alone. It is nil if the session is not the loaded one.
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

// User returns the user of the request; the zero User if it is anonymous.
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

// isNew reports whether the session is so recent that this may be the first request
// that brings it.
func (st *State) isNew(now time.Time) bool {
	return now.Sub(st.session.SignedIn) < session.MarkLifetime
}

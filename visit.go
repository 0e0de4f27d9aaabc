package oidcrp

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

const stateVar = "oidc_rp.visit"

// visit is what is known about one request: who asks, and what was done to it.
// Several instances on one site share it, so that the second one still sees
// what the first took from the request's header.
type requestState struct {
	h *Handler // that identified the user, or the first one
	r *http.Request

	// The session, if party is set. Nobody otherwise.
	provider *provider
	loaded   *sessionstore.Loaded // as it was loaded
	session  *session.Session     // that, or a newer state of it
	// other is a session that opens here and is none: only a logout ends it.
	foreign   *sessionstore.Loaded
	foreignOf *Handler // that has loaded it
	// The cookie's value, and the keys that opened it.
	value string
	ring  *seal.Ring
	// failed is what did not work, for placeholders on pages of Caddy's.
	failed *failure
	shown  string // the sentence that users read about it

	// What the browser sent, before our cookies were taken out.
	cookies []string
	// lacks is why the session is not enough here; silent is the subject that a
	// login without questions is to be for.
	shortfall authz.Shortfall
	silent    string
	// renew: the session is to be sealed anew.
	updateDue bool
	// upgrade is what the connection was to become, if anything.
	upgrade *upgrade
	// told are the identity headers that an instance has set.
	identityHeaders []string

	lines  [1]string // room for the Cookie header that the application sees
	writer responder
}

// stateOf returns the request's visit, and makes it where this is the first
// instance to see the request.
func (h *Handler) stateOf(r *http.Request) *requestState {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	st, ok := vars[stateVar].(*requestState)
	if !ok {
		st = &requestState{cookies: r.Header["Cookie"], h: h, r: r}
		if vars != nil {
			vars[stateVar] = st
		}
		if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
			repl.Map(st.placeholder)
		}
	}
	if st.provider == nil {
		st.h, st.r = h, r
	}
	return st
}

// endable is the session that a logout would end, or nil.
func (st *requestState) revocableSession() *sessionstore.Loaded {
	if st.signedIn() {
		return st.loaded
	}
	return st.foreign
}

// asLoaded reports whether the session is the one that was loaded, and no newer
// state of it.
func (st *requestState) asLoaded() bool { return st.session == &st.loaded.Session }

// signedIn says whether somebody is known.
func (st *requestState) signedIn() bool { return st.provider != nil }

// scrub takes out of a request what only we may say: identity headers in any
// spelling, trailers of such names, Connection tokens that would make a proxy
// drop them, and our own cookies. It comes first, on every path: also what is
// answered with an error may reach an application, by handle_errors.
func (h *Handler) scrub(st *requestState, r *http.Request) {
	if h.siteHeaders == nil {
		h.siteHeaders = h.ownSiteHeaders() // no site was looked at
	}
	if len(st.cookies) > 0 {
		cookie.Strip(r.Header, st.lines[:], h.app.ours)
	}
	st.upgrade = takeUpgrade(r)
	h.guardTrailers(r)
	if len(h.siteHeaders.stripped) == 0 {
		return
	}
	for name := range r.Header {
		if h.siteHeaders.strips(name) && !slices.Contains(st.identityHeaders, name) {
			delete(r.Header, name)
		}
	}
	for _, list := range [...]string{"Connection", "Trailer"} {
		if slices.ContainsFunc(r.Header[list], h.siteHeaders.named) {
			dropTokens(r.Header, list, h.siteHeaders.strips)
		}
	}
}

// named reports whether a token of a list header names a header that
// only we may set: a proxy removes what Connection names (RFC 9110 7.6.1).
func (c *siteHeaders) named(line string) bool {
	for len(line) > 0 {
		var token string
		token, line, _ = strings.Cut(line, ",")
		if c.strips(strings.Trim(token, " \t")) {
			return true
		}
	}
	return false
}

// forget makes the request anonymous again, for this instance and those behind.
func (st *requestState) dropIdentity(header http.Header) {
	st.provider = nil
	for _, name := range st.identityHeaders {
		delete(header, name)
	}
	st.identityHeaders = nil
}

// untell takes back what another instance has told the application under names
// of ours: it was about another user.
func (h *Handler) clearIdentityHeaders(st *requestState, header http.Header) {
	st.identityHeaders = slices.DeleteFunc(st.identityHeaders, func(name string) bool {
		if h.isIdentity(name) {
			delete(header, name)
			return true
		}
		return false
	})
}

func (h *Handler) isIdentity(name string) bool {
	return slices.ContainsFunc(h.identityHeaders, func(identity string) bool { return sameHeader(name, identity) })
}

// sameHeader compares two header names as applications do that fold what is no
// letter or digit to one character: CGI and what followed it cannot tell them
// apart.
func sameHeader(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if foldHeader(a[i]) != foldHeader(b[i]) {
			return false
		}
	}
	return true
}

// foldHeaderName returns a name that is the same for all spellings that
// sameHeader takes for one.
func foldHeaderName(name string) string {
	folded := []byte(name)
	for i, c := range folded {
		folded[i] = foldHeader(c)
	}
	return string(folded)
}

func foldHeader(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + ('a' - 'A')
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return '-'
}

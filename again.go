package oidcrp

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authresponse"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// This file begins logins for users who are signed in already, but whose
// session is not enough for this instance.

var errTooManyLogins = errors.New("this browser has just signed in twice, and its session is still not enough here: check that instances of one site with the same provider have the same options")

// beginAgain begins a login for a page load whose session is not enough.
func (h *Handler) beginAgain(w http.ResponseWriter, r *http.Request, st *requestState) error {
	baseSecurityHeaders(w.Header())
	if !h.countLogin(w, r, st) {
		return h.respondTooManyLogins(w, r, st)
	}
	p := st.provider
	var extra url.Values
	if st.shortfall == authz.ShortOfClaims && p.canBeSilent() {
		st.silent = st.session.Subject
		extra = url.Values{"prompt": {"none"}, "login_hint": {st.session.Username}}
	}
	return h.beginForPage(w, r, st, p, extra)
}

// canBeSilent reports whether a login can ask the provider to show nothing.
func (p *provider) canBeSilent() bool {
	maxAge := p.client.Demands.MaxAge
	return !p.client.Parameters.Has("prompt") && (maxAge == nil || *maxAge > 0)
}

// isForeignToProvider reports whether a session that opens here and is none for this
// instance comes from one of its providers all the same: an instance elsewhere
// reads identities in another way.
func (h *Handler) isForeignToProvider(other *sessionstore.Loaded) bool {
	if other == nil {
		return false
	}
	p := h.providers[other.Session.Provider]
	return p != nil && !p.disabled
}

// siblingHasSession reports whether another instance on this site opens a session of
// the provider that this one cannot open, although both give their cookie the same
// name: they keep sessions in different stores, with different secrets, or under
// different domains. A login would change nothing if the other one serves its
// callback.
func (h *Handler) siblingHasSession(r *http.Request, st *requestState, p *provider) bool {
	for _, n := range h.linkedSiblings() {
		s := n.cookieScope(r)
		if s == nil || n.providers[p.id] == nil || n.session.Cookie.Name != h.session.Cookie.Name {
			continue
		}
		found := s.FindSession(st.cookies)
		if !found.Present {
			continue
		}
		theirs := &requestState{h: n, r: r, cookies: st.cookies}
		if result, err := n.open(r, theirs, s, &found, n.now()); err == nil && result == sessionValid && theirs.provider.id == p.id {
			return true
		}
	}
	return false
}

func (h *Handler) respondTooManyLogins(w http.ResponseWriter, r *http.Request, st *requestState) error {
	f := &failure{code: errorcode.Forbidden, cause: errTooManyLogins, provider: st.provider}
	return h.errorPage(w, r, st, http.StatusForbidden, f, h.log(r, f))
}

// needsQuestion reports whether a silent login has to be followed by a usual
// one: the provider wants to show something, or answers for another user.
func needsQuestion(t *session.Transaction, a authresponse.Response, fresh *session.Session, f *failure) bool {
	if t.Silent == "" {
		return false
	}
	if f == nil {
		return fresh.Subject != t.Silent
	}
	return a.ErrorCode != "" && slices.Contains([]errorcode.Code{errorcode.AccessDenied, errorcode.ProviderError}, f.code)
}

// beginVisibly follows a silent login with a usual one.
func (h *Handler) beginVisibly(w http.ResponseWriter, r *http.Request, st *requestState, p *provider, returnTo string) error {
	if st.signedIn() && !h.countLogin(w, r, st) {
		return h.respondTooManyLogins(w, r, st)
	}
	if f := h.begin(w, r, st, p, returnTo, nil); f != nil {
		return h.respondError(w, r, st, f)
	}
	return nil
}

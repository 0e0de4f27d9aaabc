package oidcrp

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// This file begins logins for users who are signed in already, but whose
// session is not enough for this instance.

// lack is why a session is not enough.
type lack int

const (
	lacksNothing lack = iota
	lacksProof        // auth_time or acr are not what authorization_params demand
	lacksClaims       // the sign-in was not asked for all that is needed: it is outdated
)

// lackOf reports what the session of a signed-in user lacks at this instance.
func (h *Handler) lackOf(v *visit) lack {
	p := v.party
	if p.demanding && p.client.Demands.Check(v.session.AuthTime, v.session.ACR, h.now(), p.client.ClockSkew) != nil {
		return lacksProof
	}
	if h.isOutdated(v) {
		return lacksClaims
	}
	return lacksNothing
}

// decideLacking decides about a private request whose session is not enough.
// What would be a login for someone who is not signed in is one here too, but
// only for page loads.
func (h *Handler) decideLacking(r *http.Request, v *visit, a access) action {
	pageLoad := isPageLoad(r)
	what := decide(a, false, pageLoad, isRead(r), isPreflight(r), r.URL.RawQuery != "" && errorCodeOf(r) != "", h.Preflight)
	switch {
	case what == pass:
		v.party = nil
	case what == signIn && !pageLoad:
		return challenge
	}
	return what
}

var errTooManyLogins = errors.New("this browser has just signed in twice, and its session is still not enough here: check that instances of one site with the same provider have the same options")

// beginAgain begins a login for a page load whose session is not enough.
func (h *Handler) beginAgain(w http.ResponseWriter, r *http.Request, v *visit) error {
	plainHeaders(w.Header())
	if !h.countLogin(w, r, v) {
		return h.tooManyLogins(w, r, v)
	}
	p := v.party
	var extra url.Values
	if v.lacks == lacksClaims && p.canBeSilent() {
		v.silent = v.session.Subject
		extra = url.Values{"prompt": {"none"}, "login_hint": {v.session.Username}}
	}
	return h.beginForPage(w, r, v, p, extra)
}

// canBeSilent reports whether a login can ask the provider to show nothing.
func (p *party) canBeSilent() bool {
	maxAge := p.client.Demands.MaxAge
	return !p.client.Parameters.Has("prompt") && (maxAge == nil || *maxAge > 0)
}

// isMisread reports whether a session that opens here and is none for this
// instance comes from one of its providers all the same: an instance elsewhere
// reads identities in another way.
func (h *Handler) isMisread(other *sessionstore.Loaded) bool {
	if other == nil {
		return false
	}
	p := h.parties[other.Session.Provider]
	return p != nil && !p.config.Disabled
}

// isKeptElsewhere reports whether another instance on this site opens a session of
// the provider that this one cannot open, although both give their cookie the same
// name: they keep sessions in different stores, with different secrets, or under
// different domains. A login would change nothing if the other one serves its
// callback.
func (h *Handler) isKeptElsewhere(r *http.Request, v *visit, p *party) bool {
	for _, n := range h.others() {
		s := n.site(r)
		if s == nil || n.parties[p.id] == nil || n.session.Cookie.Name != h.session.Cookie.Name {
			continue
		}
		found := n.findSession(v.cookies, s)
		if !found.Present {
			continue
		}
		theirs := &visit{h: n, r: r, cookies: v.cookies}
		if result, err := n.open(r, theirs, s, &found, n.now()); err == nil && result == openedOurs && theirs.party.id == p.id {
			return true
		}
	}
	return false
}

func (h *Handler) tooManyLogins(w http.ResponseWriter, r *http.Request, v *visit) error {
	f := &failure{code: forbidden, cause: errTooManyLogins, party: v.party}
	return h.errorPage(w, r, v, http.StatusForbidden, f, h.log(r, f))
}

// needsQuestion reports whether a silent login has to be followed by a usual
// one: the provider wants to show something, or answers for another user.
func needsQuestion(t *session.Transaction, a answer, fresh *session.Session, f *failure) bool {
	if t.Silent == "" {
		return false
	}
	if f == nil {
		return fresh.Subject != t.Silent
	}
	return a.errorCode != "" && slices.Contains([]code{accessDenied, providerError}, f.code)
}

// beginVisibly follows a silent login with a usual one.
func (h *Handler) beginVisibly(w http.ResponseWriter, r *http.Request, v *visit, p *party, returnTo string) error {
	if v.signedIn() && !h.countLogin(w, r, v) {
		return h.tooManyLogins(w, r, v)
	}
	if f := h.begin(w, r, v, p, returnTo, nil); f != nil {
		return h.fail(w, r, v, f)
	}
	return nil
}

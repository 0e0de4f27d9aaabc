package oidcrp

import (
	"crypto/subtle"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authresponse"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file takes authorization responses that come by POST (OAuth 2.0 Form
// Post Response Mode).
//
// Such a POST comes from the provider's site, so it carries the transaction,
// whose cookie is SameSite=None, and not the session, whose cookie is Lax. What
// needs the session (a second use of an answer leads its user to the page, a
// new login ends the session that it replaces) could not be done. So the POST
// only puts the answer into the sealed transaction and sends the browser on
// with 303, to the same address by GET, where both cookies arrive and all goes
// as if the answer had come by query. The address then has the state alone; the
// code never enters one.

const (
	// maxFormPost bounds the body of an answer.
	maxFormPost = 64 << 10
	// carriedFor is how long a carried answer waits for the browser, in
	// seconds: it follows a redirect at once.
	carriedFor = 60
)

// receiveAuthResponse reads an answer from where the provider has put it.
func (h *Handler) receiveAuthResponse(r *http.Request, st *requestState, s *cookiescope.Scope, p *provider) (authresponse.Response, error) {
	if r.Method != http.MethodPost {
		text := originalURL(r).RawQuery
		if state, alone := authresponse.StateAlone(text); alone && p.formPost {
			return h.carriedAuthResponse(r, st, s, p, state)
		}
		return authresponse.Parse(text)
	}
	form, err := readForm(r, maxFormPost, authresponse.Parameters...)
	if err != nil {
		return authresponse.Response{}, err
	}
	return authresponse.From(form)
}

// sendOn puts a posted answer into its transaction and sends the browser on.
// It does not where no cookie could hold the answer: that one is worked on at
// once, which leaves the session that it replaces to its lifetime.
func (h *Handler) sendOn(w http.ResponseWriter, r *http.Request, st *requestState, s *cookiescope.Scope, p *provider, a authresponse.Response) bool {
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return false // and what comes next says so
	}
	// Without a transaction there is nothing to carry: what is wrong, or who is
	// signed in already, is seen by GET.
	if name, t, ok := h.findTransaction(st, s, p, ring, a.State); ok {
		t.Answer = a.Encode()
		value := ring.Seal(seal.ForTransaction, s.TransactionAAD, t.Encode())
		if len(value) > cookie.ChunkSize {
			return false
		}
		// From here on no other site has a part in it, so it is Lax again.
		s.Set(w.Header(), name, value, carriedFor)
	}
	_ = pages.Redirect(w, http.StatusSeeOther, h.redirectURI(s, p)+"?"+url.Values{"state": {a.State}}.Encode())
	return true
}

// carriedAuthResponse is the answer that a POST has left in its transaction. Where
// that is gone the answer is empty: it may have been taken before.
func (h *Handler) carriedAuthResponse(r *http.Request, st *requestState, s *cookiescope.Scope, p *provider, state string) (authresponse.Response, error) {
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return authresponse.Response{State: state}, nil // and what comes next says so
	}
	_, t, ok := h.findTransaction(st, s, p, ring, state)
	if !ok {
		return authresponse.Response{State: state}, nil
	}
	return authresponse.Parse(orDefault(t.Answer, originalURL(r).RawQuery))
}

// findTransaction looks for the login that a state belongs to, and leaves it as
// it is.
func (h *Handler) findTransaction(st *requestState, s *cookiescope.Scope, p *provider, ring *seal.Ring, state string) (string, session.Transaction, bool) {
	name := s.TransactionPrefix + session.HashState(state).CookieSuffix()
	for _, c := range cookie.WithPrefix(st.cookies, name, seenTransactions) {
		t, ok := h.openTransaction(ring, s, c.Value)
		if ok && c.Name == name && subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) == 1 && t.Provider == p.id && t.Binding == p.registration {
			return name, t, true
		}
	}
	return "", session.Transaction{}, false
}

package oidcrp

import (
	"crypto/subtle"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
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

// receiveAnswer reads an answer from where the provider has put it.
func (h *Handler) receiveAnswer(r *http.Request, v *visit, s *site, p *party) (answer, error) {
	if r.Method != http.MethodPost {
		text := originalURL(r).RawQuery
		if state, alone := stateAlone(text); alone && p.formPost {
			return h.carriedAnswer(r, v, s, p, state)
		}
		return parseAnswer(text)
	}
	form, err := readForm(r, maxFormPost, answerNames...)
	if err != nil {
		return answer{}, err
	}
	return answerOf(form)
}

// stateAlone reports whether a query has one state and nothing else of an
// answer.
func stateAlone(text string) (state string, alone bool) {
	values := query.Only(text, answerNames...)
	state = values.Get("state")
	return state, state != "" && len(values) == 1 && len(values["state"]) == 1
}

// sendOn puts a posted answer into its transaction and sends the browser on.
// It does not where no cookie could hold the answer: that one is worked on at
// once, which leaves the session that it replaces to its lifetime.
func (h *Handler) sendOn(w http.ResponseWriter, r *http.Request, v *visit, s *site, p *party, a answer) bool {
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return false // and what comes next says so
	}
	// Without a transaction there is nothing to carry: what is wrong, or who is
	// signed in already, is seen by GET.
	if name, t, ok := h.findTransaction(v, s, p, ring, a.state); ok {
		t.Answer = a.encode()
		value := ring.Seal(seal.ForTransaction, s.txPlace, t.Encode())
		if len(value) > cookie.ChunkSize {
			return false
		}
		// From here on no other site has a part in it, so it is Lax again.
		cookie.Set(w.Header(), s.cookie(h, name, value, "/", carriedFor))
	}
	_ = redirect(w, http.StatusSeeOther, h.redirectURI(s, p)+"?"+url.Values{"state": {a.state}}.Encode())
	return true
}

// carriedAnswer is the answer that a POST has left in its transaction. Where
// that is gone the answer is empty: it may have been taken before.
func (h *Handler) carriedAnswer(r *http.Request, v *visit, s *site, p *party, state string) (answer, error) {
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return answer{state: state}, nil // and what comes next says so
	}
	_, t, ok := h.findTransaction(v, s, p, ring, state)
	if !ok {
		return answer{state: state}, nil
	}
	return parseAnswer(orElse(t.Answer, originalURL(r).RawQuery))
}

// findTransaction looks for the login that a state belongs to, and leaves it as
// it is.
func (h *Handler) findTransaction(v *visit, s *site, p *party, ring *seal.Ring, state string) (string, session.Transaction, bool) {
	name := s.txPrefix + session.HashState(state).CookieSuffix()
	for _, c := range cookie.WithPrefix(v.cookies, name, seenTransactions) {
		t, ok := h.openTransaction(ring, s, c.Value)
		if ok && c.Name == name && subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) == 1 && t.Provider == p.id && t.Binding == p.registration {
			return name, t, true
		}
	}
	return "", session.Transaction{}, false
}

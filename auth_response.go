package oidcrp

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authresponse"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// serveCallback is the redirect URI: it checks everything, and only then makes a
// session.
func (h *Handler) serveCallback(w http.ResponseWriter, r *http.Request, st *requestState, p *provider) error {
	s := h.cookieScope(r)
	a, err := h.receiveAuthResponse(r, st, s, p)
	if err != nil {
		return h.respondError(w, r, st, &failure{errorcode.BadRequest, err, p, ""})
	}
	if r.Method == http.MethodPost && h.sendOn(w, r, st, s, p, a) {
		return nil
	}
	if _, err := h.identify(w, r, st); err != nil {
		return h.respondError(w, r, st, storageFailure(err))
	}
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return h.respondError(w, r, st, storageFailure(err))
	}
	t, f := h.takeTransaction(w, st, s, p, ring, a.State)
	switch {
	case f == nil && st.signedIn() && st.session.Login == session.HashState(a.State):
		return redirect(w, http.StatusSeeOther, orDefault(t.Return, h.Home))
	case f != nil && st.signedIn():
		// A second use of an answer, the Back button, a login that was
		// overtaken by another: who is signed in gets the page.
		return redirect(w, http.StatusSeeOther, h.returnURL(st, a.State))
	case f != nil:
		if returnTo, ok := h.takeFormer(w, st, s, p, ring, a.State); ok {
			return h.beginRequested(w, r, st, p, returnTo, nil)
		}
		f.cause = a.Describe(f.cause)
		return h.respondError(w, r, st, f)
	}
	outcome, err := h.outcomeOf(r, st, s, ring, p, &t, a)
	if err != nil { // who sent it has gone
		return h.respondError(w, r, st, &failure{errorcode.ProviderUnavailable, err, p, t.Return})
	}
	return h.respondOutcome(w, r, st, p, &t, outcome)
}

// returnURL is where a login led that a signed-in user comes back to, if it was
// the one that made the session.
func (h *Handler) returnURL(st *requestState, state string) string {
	if st.session.Login == session.HashState(state) {
		return orDefault(st.session.Return, h.Home)
	}
	return h.Home
}

// takeTransaction finds the login that an answer belongs to, by its state, and
// takes its cookie from the browser.
func (h *Handler) takeTransaction(w http.ResponseWriter, st *requestState, s *cookiescope.Scope, p *provider, ring *seal.Ring, state string) (session.Transaction, *failure) {
	hash := session.HashState(state)
	name := s.TransactionPrefix + hash.CookieSuffix()
	var none session.Transaction
	for _, c := range cookie.WithPrefix(st.cookies, name, seenTransactions) {
		t, ok := h.openTransaction(ring, s, c.Value)
		if c.Name != name || !ok || subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) != 1 {
			continue
		}
		if t.Provider != p.id || t.Binding != p.registration {
			// An answer at another provider's address: a mix-up (RFC 9700 4.4).
			return none, &failure{errorcode.StateMismatch, errors.New("the login was begun with another provider, or another client id"), p, t.Return}
		}
		s.Expire(w.Header(), name)
		if t.Over(h.now()) {
			return none, &failure{errorcode.LoginExpired, errors.New("the login was begun more than 15 minutes ago"), p, t.Return}
		}
		return t, nil
	}
	for _, c := range cookie.WithPrefix(st.cookies, s.TransactionPrefix, seenTransactions) {
		if t, ok := h.openTransaction(ring, s, c.Value); ok && !t.Over(h.now()) {
			return none, &failure{errorcode.StateMismatch, errors.New("no login in flight has this state"), p, ""}
		}
	}
	return none, &failure{errorcode.LoginExpired, errors.New("no login is in flight in this browser: it is over, or was begun elsewhere, or the browser keeps no cookies"), p, ""}
}

// takeFormer finds a login that an earlier release has begun under a cookie
// domain. A sibling site could have planted it, so its answer counts for
// nothing; but where it was to lead, a new login may lead.
func (h *Handler) takeFormer(w http.ResponseWriter, st *requestState, s *cookiescope.Scope, p *provider, ring *seal.Ring, state string) (returnTo string, ok bool) {
	if s.FormerTransactionPrefix == "" {
		return "", false
	}
	name := s.FormerTransactionPrefix + session.HashState(state).CookieSuffix()
	for _, c := range cookie.WithPrefix(st.cookies, name, seenTransactions) {
		plain, _, err := ring.Open(seal.ForTransaction, s.FormerTransactionAAD, c.Value)
		var t session.Transaction
		if c.Name != name || err != nil || t.Decode(plain) != nil || t.Over(h.now()) ||
			subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) != 1 || t.Provider != p.id || t.Binding != p.registration {
			continue
		}
		s.Expire(w.Header(), name)
		if returnTo, ok = h.checkReturn(s, t.Return); !ok {
			returnTo = ""
		}
		return returnTo, true
	}
	return "", false
}

// signIn makes a session of an answer, after every check of it has passed.
func (h *Handler) signIn(ctx context.Context, p *provider, t *session.Transaction, a authresponse.Response) (*session.Session, string, *failure) {
	refuse := func(c errorcode.Code, err error) (*session.Session, string, *failure) {
		return nil, "", &failure{c, err, p, t.Return}
	}
	metadata, err := p.client.Discovery.Metadata(ctx)
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	if err := a.CheckIssuer(metadata); err != nil {
		return refuse(errorcode.StateMismatch, a.Describe(err))
	}
	if a.ErrorCode != "" {
		err := a.Refused(t.Nonce, t.Verifier)
		if a.ErrorCode == "access_denied" {
			return refuse(errorcode.AccessDenied, err)
		}
		return refuse(errorcode.ProviderError, err)
	}
	tokens, err := p.client.Exchange(ctx, a.Code, loginOf(t))
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	tokens = h.checkTokenResponse(p, tokens)
	idToken, err := p.client.VerifyIDToken(context.WithoutCancel(ctx), tokens.IDToken, t.Nonce, tokens.AccessToken, demandsIn(t, p))
	h.logSkippedKeys(p)
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	needs := h.needs(p, t.Requested)
	if tokens.NotBearer != nil && h.usesAccessToken(ctx, p, needs, idToken) {
		return refuse(errorcode.TokenExchangeFailed, tokens.NotBearer)
	}
	info, lost, err := h.userinfo(ctx, p, needs, idToken, tokens.AccessToken)
	if err != nil {
		return refuse(errorcode.Of(err), ofSubject(err, idToken))
	}
	from := identity.Sources{IDToken: idToken, Userinfo: info}
	fresh, findings, err := p.mapping.NewSession(needs, identity.SignIn{
		Transaction: t, Tokens: tokens, Sources: from,
		Binding: p.binding, Now: h.now(), Lifetime: time.Duration(h.session.Lifetime),
	})
	h.logFindings(p, findings)
	if errors.Is(err, identity.ErrNoUsername) {
		return refuse(errorcode.UserUnknown, ofSubject(err, idToken))
	}
	if err != nil {
		return refuse(errorcode.TokenInvalid, ofSubject(err, idToken))
	}
	if !lost {
		h.logFindings(p, p.mapping.Missing(needs, p.client.Scopes, tokens, from))
	}
	return fresh, tokens.IDToken, nil
}

// demandsIn returns what a login was begun with, whichever instance that was. A
// transaction of an earlier release does not say; then it is what this instance
// demands.
func demandsIn(t *session.Transaction, p *provider) op.Demands {
	if demands, err := op.DecodeDemands(t.Demands); err == nil {
		return demands
	}
	return p.client.Demands
}

package oidcrp

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// answer is an authorization response (Core 3.1.2.5, RFC 9207).
type authResponse struct {
	state, code, errorCode string
	// What the provider says about queryErrorCode, for the log alone.
	errorDescription, errorURI string

	issuer    string
	hasIssuer bool
}

// maxErrorDescription bounds what is kept of a description or its URI, in bytes.
const maxErrorDescription = 600

// says returns an error with the provider's words, if there are some.
func (a *authResponse) describe(err error) error {
	if a.errorCode == "" && a.errorDescription == "" {
		return err
	}
	refused := op.NewRefusal(a.errorCode, a.errorDescription, a.errorURI, a.state, a.code)
	refused.Err = err
	return refused
}

// parseAuthResponse reads the parameters that mean something to us. Each is there at
// most once; others are ignored (Core 3.1.2.7).
func parseAuthResponse(text string) (a authResponse, err error) {
	return authResponseFrom(query.Only(text, authResponseParameters...))
}

// stateAlphabet is what states are made of, see session.NewTransaction.
const stateAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// authResponseParameters are the parameters of an answer that mean something to us.
var authResponseParameters = []string{"state", "code", "error", "iss", "error_description", "error_uri"}

func authResponseFrom(values url.Values) (a authResponse, err error) {
	for name, field := range map[string]*string{"state": &a.state, "code": &a.code, "error": &a.errorCode, "iss": &a.issuer} {
		if len(values[name]) > 1 {
			return a, fmt.Errorf("the parameter %s is there more than once", name)
		}
		*field = values.Get(name)
	}
	a.errorDescription = short(values.Get("error_description"))
	a.errorURI = short(values.Get("error_uri"))
	a.hasIssuer = values.Has("iss")
	switch {
	case a.state == "":
		return a, a.describe(errors.New("the parameter state is missing"))
	case strings.Trim(a.state, stateAlphabet) != "":
		return a, a.describe(errors.New("the parameter state has characters that no state of ours has"))
	case a.code == "" && a.errorCode == "":
		return a, a.describe(errors.New("the parameter code is missing"))
	case a.code != "" && a.errorCode != "":
		return a, a.describe(errors.New("the parameters code and error exclude each other"))
	}
	return a, nil
}

func short(text string) string { return text[:min(len(text), maxErrorDescription)] }

// encode is the answer as a form, with nothing in it that we do not know.
func (a *authResponse) encode() string {
	values := url.Values{"state": {a.state}}
	for name, value := range map[string]string{
		"code": a.code, "error": a.errorCode, "error_description": a.errorDescription, "error_uri": a.errorURI,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if a.hasIssuer {
		values.Set("iss", a.issuer)
	}
	return values.Encode()
}

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
	t, f := h.takeTransaction(w, st, s, p, ring, a.state)
	switch {
	case f == nil && st.signedIn() && st.session.Login == session.HashState(a.state):
		return redirect(w, http.StatusSeeOther, orDefault(t.Return, h.Home))
	case f != nil && st.signedIn():
		// A second use of an answer, the Back button, a login that was
		// overtaken by another: who is signed in gets the page.
		return redirect(w, http.StatusSeeOther, h.returnURL(st, a.state))
	case f != nil:
		if returnTo, ok := h.takeFormer(w, st, s, p, ring, a.state); ok {
			return h.beginRequested(w, r, st, p, returnTo, nil)
		}
		f.cause = a.describe(f.cause)
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
func (h *Handler) takeTransaction(w http.ResponseWriter, st *requestState, s *cookieScope, p *provider, ring *seal.Ring, state string) (session.Transaction, *failure) {
	hash := session.HashState(state)
	name := s.transactionPrefix + hash.CookieSuffix()
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
		h.expire(w, s, name)
		if t.Over(h.now()) {
			return none, &failure{errorcode.LoginExpired, errors.New("the login was begun more than 15 minutes ago"), p, t.Return}
		}
		return t, nil
	}
	for _, c := range cookie.WithPrefix(st.cookies, s.transactionPrefix, seenTransactions) {
		if t, ok := h.openTransaction(ring, s, c.Value); ok && !t.Over(h.now()) {
			return none, &failure{errorcode.StateMismatch, errors.New("no login in flight has this state"), p, ""}
		}
	}
	return none, &failure{errorcode.LoginExpired, errors.New("no login is in flight in this browser: it is over, or was begun elsewhere, or the browser keeps no cookies"), p, ""}
}

// takeFormer finds a login that an earlier release has begun under a cookie
// domain. A sibling site could have planted it, so its answer counts for
// nothing; but where it was to lead, a new login may lead.
func (h *Handler) takeFormer(w http.ResponseWriter, st *requestState, s *cookieScope, p *provider, ring *seal.Ring, state string) (returnTo string, ok bool) {
	if s.formerTransactionPrefix == "" {
		return "", false
	}
	name := s.formerTransactionPrefix + session.HashState(state).CookieSuffix()
	for _, c := range cookie.WithPrefix(st.cookies, name, seenTransactions) {
		plain, _, err := ring.Open(seal.ForTransaction, s.formerTransactionAAD, c.Value)
		var t session.Transaction
		if c.Name != name || err != nil || t.Decode(plain) != nil || t.Over(h.now()) ||
			subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) != 1 || t.Provider != p.id || t.Binding != p.registration {
			continue
		}
		h.expire(w, s, name)
		if returnTo, ok = h.checkReturn(s, t.Return); !ok {
			returnTo = ""
		}
		return returnTo, true
	}
	return "", false
}

// signIn makes a session of an answer, after every check of it has passed.
func (h *Handler) signIn(ctx context.Context, p *provider, t *session.Transaction, a authResponse) (*session.Session, string, *failure) {
	refuse := func(c errorcode.Code, err error) (*session.Session, string, *failure) {
		return nil, "", &failure{c, err, p, t.Return}
	}
	metadata, err := p.client.Discovery.Metadata(ctx)
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	if err := checkIssuerOf(a, metadata); err != nil {
		return refuse(errorcode.StateMismatch, a.describe(err))
	}
	if a.errorCode != "" {
		err := op.RefusedLogin(a.errorCode, a.errorDescription, a.errorURI, a.state, t.Nonce, t.Verifier)
		if a.errorCode == "access_denied" {
			return refuse(errorcode.AccessDenied, err)
		}
		return refuse(errorcode.ProviderError, err)
	}
	tokens, err := p.client.Exchange(ctx, a.code, loginOf(t))
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	tokens = h.checkTokenResponse(p, tokens)
	idToken, err := p.client.VerifyIDToken(context.WithoutCancel(ctx), tokens.IDToken, t.Nonce, tokens.AccessToken, demandsIn(t, p))
	h.logSkippedKeys(p)
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	w := h.needs(p, t.Requested)
	if tokens.NotBearer != nil && h.usesAccessToken(ctx, p, w, idToken) {
		return refuse(errorcode.TokenExchangeFailed, tokens.NotBearer)
	}
	info, lost, err := h.userinfo(ctx, p, w, idToken, tokens.AccessToken)
	if err != nil {
		return refuse(errorcode.Of(err), ofSubject(err, idToken))
	}
	fresh, err := h.newSession(p, w, t, tokens, idToken, info)
	if errors.Is(err, errNoUsername) {
		return refuse(errorcode.UserUnknown, ofSubject(err, idToken))
	}
	if err != nil {
		return refuse(errorcode.TokenInvalid, ofSubject(err, idToken))
	}
	if !lost {
		h.warnAbsentClaims(p, w, tokens, idToken, info)
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

// checkIssuerOf holds an answer to RFC 9207: iss is who we asked, and is there
// where the provider promises it, in errors, too.
func checkIssuerOf(a authResponse, metadata *op.Metadata) error {
	switch {
	case a.hasIssuer && !metadata.IsIssuer(a.issuer):
		return errors.New("the parameter iss is not the provider's issuer")
	case !a.hasIssuer && metadata.IssParameter:
		return errors.New("the parameter iss is missing, which the provider promises")
	}
	return nil
}

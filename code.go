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
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// answer is an authorization response (Core 3.1.2.5, RFC 9207).
type answer struct {
	state, code, errorCode string
	// What the provider says about errorCode, for the log alone.
	errorDescription, errorURI string

	issuer    string
	hasIssuer bool
}

// maxAnswerWords bounds what is kept of a description or its URI, in bytes.
const maxAnswerWords = 600

// says returns an error with the provider's words, if there are some.
func (a *answer) says(err error) error {
	if a.errorCode == "" && a.errorDescription == "" {
		return err
	}
	refused := provider.NewRefusal(a.errorCode, a.errorDescription, a.errorURI, a.state, a.code)
	refused.Err = err
	return refused
}

// parseAnswer reads the parameters that mean something to us. Each is there at
// most once; others are ignored (Core 3.1.2.7).
func parseAnswer(text string) (a answer, err error) {
	return answerOf(query.Only(text, answerNames...))
}

// stateAlphabet is what states are made of, see session.NewTransaction.
const stateAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// answerNames are the parameters of an answer that mean something to us.
var answerNames = []string{"state", "code", "error", "iss", "error_description", "error_uri"}

func answerOf(values url.Values) (a answer, err error) {
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
		return a, a.says(errors.New("the parameter state is missing"))
	case strings.Trim(a.state, stateAlphabet) != "":
		return a, a.says(errors.New("the parameter state has characters that no state of ours has"))
	case a.code == "" && a.errorCode == "":
		return a, a.says(errors.New("the parameter code is missing"))
	case a.code != "" && a.errorCode != "":
		return a, a.says(errors.New("the parameters code and error exclude each other"))
	}
	return a, nil
}

func short(text string) string { return text[:min(len(text), maxAnswerWords)] }

// encode is the answer as a form, with nothing in it that we do not know.
func (a *answer) encode() string {
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

// serveCode is the redirect URI: it checks everything, and only then makes a
// session.
func (h *Handler) serveCode(w http.ResponseWriter, r *http.Request, v *visit, p *party) error {
	s := h.site(r)
	a, err := h.receiveAnswer(r, v, s, p)
	if err != nil {
		return h.fail(w, r, v, &failure{badRequest, err, p, ""})
	}
	if r.Method == http.MethodPost && h.sendOn(w, r, v, s, p, a) {
		return nil
	}
	if _, err := h.identify(w, r, v); err != nil {
		return h.fail(w, r, v, storageFailure(err))
	}
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return h.fail(w, r, v, storageFailure(err))
	}
	t, f := h.takeTransaction(w, v, s, p, ring, a.state)
	switch {
	case f == nil && v.signedIn() && v.session.Login == session.HashState(a.state):
		return redirect(w, http.StatusSeeOther, orElse(t.Return, h.Home))
	case f != nil && v.signedIn():
		// A second use of an answer, the Back button, a login that was
		// overtaken by another: who is signed in gets the page.
		return redirect(w, http.StatusSeeOther, h.pageOf(v, a.state))
	case f != nil:
		if returnTo, ok := h.takeFormer(w, v, s, p, ring, a.state); ok {
			return h.beginAsked(w, r, v, p, returnTo, nil)
		}
		f.cause = a.says(f.cause)
		return h.fail(w, r, v, f)
	}
	outcome, err := h.outcomeOf(r, v, s, ring, p, &t, a)
	if err != nil { // who sent it has gone
		return h.fail(w, r, v, &failure{providerUnavailable, err, p, t.Return})
	}
	return h.tellOutcome(w, r, v, p, &t, outcome)
}

// pageOf is where a login led that a signed-in user comes back to, if it was
// the one that made the session.
func (h *Handler) pageOf(v *visit, state string) string {
	if v.session.Login == session.HashState(state) {
		return orElse(v.session.Return, h.Home)
	}
	return h.Home
}

// takeTransaction finds the login that an answer belongs to, by its state, and
// takes its cookie from the browser.
func (h *Handler) takeTransaction(w http.ResponseWriter, v *visit, s *site, p *party, ring *seal.Ring, state string) (session.Transaction, *failure) {
	hash := session.HashState(state)
	name := s.txPrefix + hash.CookieSuffix()
	var none session.Transaction
	for _, c := range cookie.WithPrefix(v.cookies, name, seenTransactions) {
		t, ok := h.openTransaction(ring, s, c.Value)
		if c.Name != name || !ok || subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) != 1 {
			continue
		}
		if t.Provider != p.id || t.Binding != p.registration {
			// An answer at another provider's address: a mix-up (RFC 9700 4.4).
			return none, &failure{stateMismatch, errors.New("the login was begun with another provider, or another client id"), p, t.Return}
		}
		h.expire(w, s, name)
		if t.Over(h.now()) {
			return none, &failure{loginExpired, errors.New("the login was begun more than 15 minutes ago"), p, t.Return}
		}
		return t, nil
	}
	for _, c := range cookie.WithPrefix(v.cookies, s.txPrefix, seenTransactions) {
		if t, ok := h.openTransaction(ring, s, c.Value); ok && !t.Over(h.now()) {
			return none, &failure{stateMismatch, errors.New("no login in flight has this state"), p, ""}
		}
	}
	return none, &failure{loginExpired, errors.New("no login is in flight in this browser: it is over, or was begun elsewhere, or the browser keeps no cookies"), p, ""}
}

// takeFormer finds a login that an earlier release has begun under a cookie
// domain. A sibling site could have planted it, so its answer counts for
// nothing; but where it was to lead, a new login may lead.
func (h *Handler) takeFormer(w http.ResponseWriter, v *visit, s *site, p *party, ring *seal.Ring, state string) (returnTo string, ok bool) {
	if s.formerTxPrefix == "" {
		return "", false
	}
	name := s.formerTxPrefix + session.HashState(state).CookieSuffix()
	for _, c := range cookie.WithPrefix(v.cookies, name, seenTransactions) {
		plain, _, err := ring.Open(seal.ForTransaction, s.formerTxPlace, c.Value)
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
func (h *Handler) signIn(ctx context.Context, p *party, t *session.Transaction, a answer) (*session.Session, string, *failure) {
	refuse := func(c code, err error) (*session.Session, string, *failure) {
		return nil, "", &failure{c, err, p, t.Return}
	}
	metadata, err := p.client.Remote.Metadata(ctx)
	if err != nil {
		return refuse(codeOf(err), err)
	}
	if err := checkIssuerOf(a, metadata); err != nil {
		return refuse(stateMismatch, a.says(err))
	}
	if a.errorCode != "" {
		err := provider.RefusedLogin(a.errorCode, a.errorDescription, a.errorURI, a.state, t.Nonce, t.Verifier)
		if a.errorCode == "access_denied" {
			return refuse(accessDenied, err)
		}
		return refuse(providerError, err)
	}
	tokens, err := p.client.Exchange(ctx, a.code, loginOf(t))
	if err != nil {
		return refuse(codeOf(err), err)
	}
	tokens = h.takeAnswer(p, tokens)
	idToken, err := p.client.VerifyIDToken(context.WithoutCancel(ctx), tokens.IDToken, t.Nonce, tokens.AccessToken, demandsIn(t, p))
	h.tellSkippedKeys(p)
	if err != nil {
		return refuse(codeOf(err), err)
	}
	w := h.wants(p, t.Requested)
	if tokens.NotBearer != nil && h.usesAccessToken(ctx, p, w, idToken) {
		return refuse(tokenExchangeFailed, tokens.NotBearer)
	}
	info, lost, err := h.userinfo(ctx, p, w, idToken, tokens.AccessToken)
	if err != nil {
		return refuse(codeOf(err), ofSubject(err, idToken))
	}
	fresh, err := h.newSession(p, w, t, tokens, idToken, info)
	if errors.Is(err, errNobody) {
		return refuse(userUnknown, ofSubject(err, idToken))
	}
	if err != nil {
		return refuse(tokenInvalid, ofSubject(err, idToken))
	}
	if !lost {
		h.warnOfAbsent(p, w, tokens, idToken, info)
	}
	return fresh, tokens.IDToken, nil
}

// demandsIn returns what a login was begun with, whichever instance that was. A
// transaction of an earlier release does not say; then it is what this instance
// demands.
func demandsIn(t *session.Transaction, p *party) provider.Demands {
	if demands, err := provider.DecodeDemands(t.Demands); err == nil {
		return demands
	}
	return p.client.Demands
}

// checkIssuerOf holds an answer to RFC 9207: iss is who we asked, and is there
// where the provider promises it, in errors, too.
func checkIssuerOf(a answer, metadata *provider.Metadata) error {
	switch {
	case a.hasIssuer && !metadata.IsIssuer(a.issuer):
		return errors.New("the parameter iss is not the provider's issuer")
	case !a.hasIssuer && metadata.IssParameter:
		return errors.New("the parameter iss is missing, which the provider promises")
	}
	return nil
}

package flow

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authresponse"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// callbackFlow processes one authorization response.
type callbackFlow struct {
	Exchange
	provider    *Provider
	scope       *cookiescope.Scope
	ring        *seal.Ring
	response    authresponse.Response
	transaction session.Transaction
	// claimed is the state in a response that failed its checks.
	claimed string
}

// refuse returns a failure of the login at hand.
func (c *callbackFlow) refuse(code errorcode.Code, err error) *Failure {
	return c.refuseFor(&c.transaction, code, err)
}

// refuseFor returns a failure of the login t.
func (c *callbackFlow) refuseFor(t *session.Transaction, code errorcode.Code, err error) *Failure {
	return &Failure{Code: code, Cause: err, Provider: c.provider, ReturnTo: t.Return, Attempt: t.Attempt, Popup: t.Popup, Fragment: t.Fragment}
}

// loginTo returns a new login with the same provider.
func (c *callbackFlow) loginTo(returnTo string) *login {
	t := &c.transaction
	return &login{Exchange: c.Exchange, provider: c.provider, returnTo: returnTo, popup: t.Popup, fragment: t.Fragment}
}

// leadTo redirects the browser after a successful login, or renders the page that a
// popup or a preserved fragment needs.
func (x *Exchange) leadTo(t *session.Transaction, location string) error {
	switch {
	case t.Popup:
		return x.popupPage(http.StatusOK, nil, "")
	case t.Fragment != "":
		return x.fragmentPage(http.StatusOK, pages.Data{Next: location, Restore: t.Fragment})
	}
	return pages.Redirect(x.W, http.StatusSeeOther, location)
}

// returnURL returns where the login with the given state led, if it created the
// current session, and else the home page.
func (c *callbackFlow) returnURL(state string) string {
	return c.returnOf(session.HashState(state))
}

// returnOf is returnURL for the hash of a state.
func (c *callbackFlow) returnOf(login session.StateHash) string {
	if s := c.State.session; s.Login == login {
		return cmp.Or(s.Return, c.Home)
	}
	return c.Home
}

// findTransaction returns the login that the response belongs to, without removing
// its cookie.
func (c *callbackFlow) findTransaction(ring *seal.Ring) (name string, t session.Transaction, ok bool) {
	name, found := c.transactionsOf(ring, c.scope.TransactionPrefix, c.scope.TransactionAAD, c.response.State)
	for _, t := range found {
		if c.provider.began(&t) {
			return name, t, true
		}
	}
	return "", session.Transaction{}, false
}

// takeTransaction finds the login that the response belongs to, by its state, and
// removes its cookie from the browser.
func (c *callbackFlow) takeTransaction() *Failure {
	s := c.scope
	refuse := func(code errorcode.Code, t session.Transaction, why string) *Failure {
		return c.refuseFor(&t, code, errors.New(why))
	}
	name, found := c.transactionsOf(c.ring, s.TransactionPrefix, s.TransactionAAD, c.response.State)
	if len(found) > 0 {
		t := found[0]
		c.preferLanguageOf(&t)
		if !c.provider.began(&t) {
			// The response came to another provider's redirect URI: a mix-up attack
			// (RFC 9700, section 4.4).
			return refuse(errorcode.StateMismatch, t, "the login was started with another provider or client id")
		}
		s.Expire(c.header(), name)
		if t.Over(c.Now()) {
			return refuse(errorcode.LoginExpired, t, "the login was started more than 15 minutes ago")
		}
		c.transaction = t
		return nil
	}
	for _, other := range cookie.WithPrefix(c.State.Cookies, s.TransactionPrefix, seenTransactions) {
		if t, ok := openTransaction(c.ring, s.TransactionAAD, other.Value); ok && !t.Over(c.Now()) {
			return refuse(errorcode.StateMismatch, session.Transaction{}, "no login in progress has this state")
		}
	}
	return refuse(errorcode.LoginExpired, session.Transaction{}, "no login is in progress in this browser: it has expired, or was started elsewhere, or the browser keeps no cookies")
}

// takeFormer finds a login that an earlier release began under a cookie domain. A
// sibling site could have planted such a cookie, so its response is ignored; but a
// new login may return to where it led.
func (c *callbackFlow) takeFormer() (returnTo string, ok bool) {
	s := c.scope
	if s.FormerTransactionPrefix == "" {
		return "", false
	}
	name, found := c.transactionsOf(c.ring, s.FormerTransactionPrefix, s.FormerTransactionAAD, c.response.State)
	for _, t := range found {
		if t.Over(c.Now()) || !c.provider.began(&t) {
			continue
		}
		s.Expire(c.header(), name)
		if returnTo, ok = c.checkReturn(s, t.Return); !ok {
			returnTo = ""
		}
		return returnTo, true
	}
	return "", false
}

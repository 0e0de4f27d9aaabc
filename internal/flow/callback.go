package flow

import (
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authresponse"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// callbackFlow is the work on one authorization response.
type callbackFlow struct {
	Exchange
	provider    *Provider
	scope       *cookiescope.Scope
	ring        *seal.Ring
	response    authresponse.Response
	transaction session.Transaction
}

// serveCallback is the redirect URI: it checks everything, and only then makes a
// session.
func (x *Exchange) serveCallback(p *Provider) error {
	c := &callbackFlow{Exchange: *x, provider: p, scope: x.Scope()}
	if err := c.receive(); err != nil {
		return c.respondError(&Failure{Code: errorcode.BadRequest, Cause: err, Provider: p})
	}
	if c.R.Method == http.MethodPost && c.sendOn() {
		return nil
	}
	if _, err := c.identify(); err != nil {
		return c.respondError(storageFailure(err))
	}
	var err error
	if c.ring, err = c.Keys.Ring(c.R.Context()); err != nil {
		return c.respondError(storageFailure(err))
	}
	f := c.takeTransaction()
	switch {
	case f == nil && c.State.SignedIn() && c.State.session.Login == session.HashState(c.response.State):
		return pages.Redirect(c.W, http.StatusSeeOther, orDefault(c.transaction.Return, c.Home))
	case f != nil && c.State.SignedIn():
		// A second use of a response, the Back button, a login that was overtaken by
		// another: a signed-in user gets the page.
		return pages.Redirect(c.W, http.StatusSeeOther, c.returnURL(c.response.State))
	case f != nil:
		if returnTo, ok := c.takeFormer(); ok {
			return c.loginTo(returnTo).beginRequested()
		}
		f.Cause = c.response.Describe(f.Cause)
		return c.respondError(f)
	}
	outcome, err := c.outcome()
	if err != nil { // the browser has gone
		return c.respondError(c.refuse(errorcode.ProviderUnavailable, err))
	}
	return c.respondOutcome(outcome)
}

// refuse returns the failure of the login.
func (c *callbackFlow) refuse(code errorcode.Code, err error) *Failure {
	return &Failure{Code: code, Cause: err, Provider: c.provider, ReturnTo: c.transaction.Return}
}

// loginTo is another login with the same provider.
func (c *callbackFlow) loginTo(returnTo string) *login {
	return &login{Exchange: c.Exchange, provider: c.provider, returnTo: returnTo}
}

// returnURL returns where a login led that a signed-in user comes back to, if it
// was the one that made the session.
func (c *callbackFlow) returnURL(state string) string {
	if s := c.State.session; s.Login == session.HashState(state) {
		return orDefault(s.Return, c.Home)
	}
	return c.Home
}

// This part of the file takes authorization responses that come by POST (OAuth
// 2.0 Form Post Response Mode).
//
// Such a POST comes from the provider's site, so it carries the transaction,
// whose cookie is SameSite=None, and not the session, whose cookie is Lax. What
// needs the session (a second use of a response leads its user to the page, a
// new login ends the session that it replaces) could not be done. So the POST
// only puts the response into the sealed transaction and sends the browser on
// with 303, to the same address by GET, where both cookies arrive and all goes
// as if the response had come by query. The address then has the state alone; the
// code never enters one.

// carriedFor is how long a carried response waits for the browser, in seconds: it
// follows a redirect at once.
const carriedFor = 60

// receive reads the response from where the provider has put it.
func (c *callbackFlow) receive() (err error) {
	if c.R.Method != http.MethodPost {
		text := c.Server.OriginalURL(c.R).RawQuery
		if state, alone := authresponse.StateAlone(text); alone && c.provider.FormPost {
			c.response, err = c.carried(state, text)
			return err
		}
		c.response, err = authresponse.Parse(text)
		return err
	}
	form, err := readForm(c.R, maxForm, authresponse.Parameters...)
	if err != nil {
		return err
	}
	c.response, err = authresponse.From(form)
	return err
}

// sendOn puts a posted response into its transaction and sends the browser on.
// It does not where no cookie could hold the response: that one is worked on at
// once, which leaves the session that it replaces to its lifetime.
func (c *callbackFlow) sendOn() bool {
	ring, err := c.Keys.Ring(c.R.Context())
	if err != nil {
		return false // and what comes next says so
	}
	// Without a transaction there is nothing to carry: what is wrong, or which user
	// is signed in already, is seen by GET.
	if name, t, ok := c.findTransaction(ring); ok {
		t.Answer = c.response.Encode()
		value := ring.Seal(seal.ForTransaction, c.scope.TransactionAAD, t.Encode())
		if len(value) > cookie.ChunkSize {
			return false
		}
		// From here on no other site has a part in it, so it is Lax again.
		c.scope.Set(c.header(), name, value, carriedFor)
	}
	_ = pages.Redirect(c.W, http.StatusSeeOther, c.redirectURI(c.scope, c.provider)+"?"+url.Values{"state": {c.response.State}}.Encode())
	return true
}

// carried returns the response that a POST has left in its transaction. Where that
// is gone the response is empty: it may have been taken before.
func (c *callbackFlow) carried(state, text string) (authresponse.Response, error) {
	c.response = authresponse.Response{State: state}
	ring, err := c.Keys.Ring(c.R.Context())
	if err != nil {
		return c.response, nil // and what comes next says so
	}
	_, t, ok := c.findTransaction(ring)
	if !ok {
		return c.response, nil
	}
	return authresponse.Parse(orDefault(t.Answer, text))
}

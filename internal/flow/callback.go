package flow

import (
	"cmp"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// serveCallback is the redirect URI: it checks everything, and only then makes a
// session.
func serveCallback(x *Exchange, p *Provider) error {
	c := &callbackFlow{Exchange: *x, provider: p, scope: x.Scope()}
	span := c.trace("oidc_rp.callback")
	defer span.End(false)
	span.Set(observe.AttrProvider, p.ID)
	if err := c.receive(); err != nil {
		return c.respondUnread(err)
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
		return c.leadTo(&c.transaction, cmp.Or(c.transaction.Return, c.Home))
	case f != nil && c.State.SignedIn():
		// A second use of a response, the Back button, a login that was overtaken by
		// another: a signed-in user gets the page.
		return pages.Redirect(c.W, http.StatusSeeOther, c.returnURL(c.response.State))
	case f != nil:
		if returnTo, ok := c.takeFormer(); ok {
			return c.loginTo(returnTo).beginRequested()
		}
		if !f.Attempt && c.isOfAnAttempt(f) {
			return pages.Redirect(c.W, http.StatusSeeOther, c.Home)
		}
		f.Cause = c.response.Describe(f.Cause)
		f.Popup = f.Popup || session.IsOfPopup(c.response.State)
		return c.respondError(f)
	}
	outcome, err := c.outcome()
	if err != nil { // the browser has gone
		return c.respondError(c.refuse(errorcode.ProviderUnavailable, err))
	}
	return c.respondOutcome(outcome)
}

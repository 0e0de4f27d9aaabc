package flow

import (
	"cmp"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// serveCallback serves the redirect URI: it takes an authorization response and
// creates a session from it. A session is created only after every check has
// passed.
func serveCallback(x *Exchange, p *Provider) error {
	c := &callbackFlow{Exchange: *x, provider: p, scope: x.Scope()}
	span := c.trace("oidc_rp.callback")
	defer span.End(false)
	span.Set(observe.AttrProvider, p.ID)
	if err := c.receive(); err != nil {
		return c.respondUnread(err)
	}
	if c.R.Method == http.MethodPost && c.redirectPosted() {
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
		// The response was used before, the user went back, or another login overtook
		// this one. The user is signed in, so redirect to the page.
		return pages.Redirect(c.W, http.StatusSeeOther, c.returnURL(c.response.State))
	case f != nil:
		if returnTo, ok := c.takeFormer(); ok {
			return c.loginTo(returnTo).beginRequested()
		}
		if !f.Attempt && c.isFromAttempt(f) {
			return pages.Redirect(c.W, http.StatusSeeOther, c.Home)
		}
		f.Cause = c.response.Describe(f.Cause)
		f.Popup = f.Popup || session.IsOfPopup(c.response.State)
		return c.respondError(f)
	}
	outcome, err := c.outcome()
	if err != nil { // the browser closed the connection
		return c.respondError(c.refuse(errorcode.ProviderUnavailable, err))
	}
	return c.respondOutcome(outcome)
}

package flow

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// respondUnread responds to an authorization response that cannot be read, or whose
// signature or claims are not valid. It leaves logins in progress alone.
func (c *callbackFlow) respondUnread(err error) error {
	f := &Failure{Code: errorcode.BadRequest, Cause: err, Provider: c.provider}
	if !c.provider.Client.SignedResponses() {
		return c.respondError(f)
	}
	f.Popup = session.IsOfPopup(c.claimed)
	if _, err := c.identify(); err != nil {
		return c.respondError(storageFailure(err))
	}
	var note *refusedPost
	if errors.As(err, &note) {
		return c.respondRefused(note)
	}
	var unavailable *op.UnavailableError
	if errors.As(err, &unavailable) {
		// The response is still unused, so that the same request may work later.
		f.Code = errorcode.ProviderUnavailable
		if c.Public || f.Popup {
			return c.respondError(f)
		}
		c.countFailedLogin(f)
		c.header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(unavailable.RetryAfter.Seconds())))))
		return c.errorPage(http.StatusServiceUnavailable, f, c.log(f))
	}
	if errors.Is(err, op.ErrResponseExpired) {
		f.Code = errorcode.LoginExpired
	}
	switch {
	case c.State.SignedIn():
		// Signed responses expire after some minutes. A user who gets back to one with
		// the Back button is already signed in.
		c.log(f)
		return pages.Redirect(c.W, http.StatusSeeOther, c.returnURL(c.claimed))
	case c.redirectRefused(f):
		return nil
	}
	return c.respondError(f)
}

package flow

import (
	"cmp"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authresponse"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file takes authorization responses that come by POST (OAuth
// 2.0 Form Post Response Mode).
//
// Such a POST comes from the provider's site, so it carries the transaction,
// whose cookie is SameSite=None, and not the session, whose cookie is Lax. What
// needs the session (a second use of a response leads its user to the page, a
// new login ends the session that it replaces) could not be done. So the POST
// only puts the response into the sealed transaction and sends the browser on
// with 303, to the same address by GET, where both cookies arrive and all goes
// as if the response had come by query. The address then has the state alone; the
// code never enters one. A signed response is checked when it is posted: what the
// transaction then carries is what was in it.

// carriedFor is how long a carried response waits for the browser, in seconds: it
// follows a redirect at once.
const carriedFor = 60

// receive reads the response from where the provider has put it.
func (c *callbackFlow) receive() (err error) {
	if c.R.Method != http.MethodPost {
		text := c.Server.OriginalURL(c.R).RawQuery
		if posted := c.openRefused(text); posted != nil {
			return posted
		}
		if state, alone := authresponse.StateAlone(text); alone && c.provider.FormPost {
			c.response, err = c.carried(state, text)
			return err
		}
		return c.read(query.Only(text, responseParameters...))
	}
	form, err := readForm(c.R, maxForm, responseParameters...)
	if err != nil {
		return err
	}
	return c.read(form)
}

var responseParameters = append([]string{authresponse.Parameter}, authresponse.Parameters...)

// read reads the response from the parameters of a request. Where the provider has to
// sign its responses, what it has signed takes the place of all of them.
func (c *callbackFlow) read(values url.Values) error {
	if client := c.provider.Client; client.SignedResponses() {
		raw, err := authresponse.Signed(values)
		if err != nil {
			return err
		}
		if values, err = client.VerifyResponse(c.R.Context(), raw); err != nil {
			c.claimed = session.HashState(client.StateOf(raw))
			return err
		}
	}
	var err error
	c.response, err = authresponse.From(values)
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
	return authresponse.Parse(cmp.Or(t.Answer, text))
}

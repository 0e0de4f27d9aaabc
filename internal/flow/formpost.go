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
)

// This file receives authorization responses by POST (OAuth 2.0 Form Post Response
// Mode).
//
// Such a POST comes from the provider's site. It carries the cookie of the
// transaction, which is SameSite=None, but not that of the session, which is Lax.
// Without the session it could not redirect users who are already signed in, nor
// end the session that a new login replaces. So the POST only stores the response
// in the sealed transaction and redirects with 303 to the same address. The browser
// then sends both cookies by GET, and the response is processed as if it had come
// in the query. That address has only the state; the code never appears in one. A
// signed response is verified when it is posted, and the transaction carries its
// claims.

// carriedFor is the Max-Age, in seconds, of a transaction that carries a response.
// The browser follows the redirect at once.
const carriedFor = 60

// receive reads the authorization response from the query, the form, or the
// transaction that an earlier POST stored it in.
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

// read parses the response from the parameters of a request. If the provider signs
// its responses, the verified claims replace all parameters.
func (c *callbackFlow) read(values url.Values) error {
	if client := c.provider.Client; client.SignedResponses() {
		raw, err := authresponse.Signed(values)
		if err != nil {
			return err
		}
		if values, err = client.VerifyResponse(c.R.Context(), raw); err != nil {
			c.claimed = client.StateOf(raw)
			return err
		}
	}
	var err error
	c.response, err = authresponse.From(values)
	return err
}

// redirectPosted stores a posted response in its transaction and redirects the
// browser. It returns false if the response does not fit a cookie. It is then
// processed at once, and the session that it replaces is not ended.
func (c *callbackFlow) redirectPosted() bool {
	ring, err := c.Keys.Ring(c.R.Context())
	if err != nil {
		return false // the caller meets and reports the same error
	}
	// Without a transaction there is nothing to store. The GET finds out what is wrong,
	// or that the user is already signed in.
	if name, t, ok := c.findTransaction(ring); ok {
		t.Answer = c.response.Encode()
		value := ring.Seal(seal.ForTransaction, c.scope.TransactionAAD, t.Encode())
		if len(value) > cookie.ChunkSize {
			return false
		}
		// No other site sends this cookie from here on, so it can be Lax again.
		c.scope.Set(c.header(), name, value, carriedFor)
	}
	_ = pages.Redirect(c.W, http.StatusSeeOther, c.redirectURI(c.scope, c.provider)+"?"+url.Values{"state": {c.response.State}}.Encode())
	return true
}

// carried returns the response that a POST stored in its transaction. If the
// transaction is gone, the response is empty: it may have been processed already.
func (c *callbackFlow) carried(state, text string) (authresponse.Response, error) {
	c.response = authresponse.Response{State: state}
	ring, err := c.Keys.Ring(c.R.Context())
	if err != nil {
		return c.response, nil // the caller meets and reports the same error
	}
	_, t, ok := c.findTransaction(ring)
	if !ok {
		return c.response, nil
	}
	return authresponse.Parse(cmp.Or(t.Answer, text))
}

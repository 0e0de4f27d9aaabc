package op

import (
	"context"
	"crypto/rand"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/oauth2"
)

// This file tests without a user whether logins at a provider can work.

// TryCode tries to exchange a code that was never issued. A correct provider
// responds with invalid_grant, or with invalid_client if it does not accept the
// client's credentials. No tokens are issued, and no user is involved.
func (c *Client) TryCode(ctx context.Context, redirectURI string) error {
	key, err := c.LoginKey(ctx, false)
	if err != nil {
		return err
	}
	_, err = c.Exchange(ctx, rand.Text(), Login{RedirectURI: redirectURI, Verifier: oauth2.GenerateVerifier(), Key: key})
	return err
}

// TellsClientsApart reports whether TryCode would fail differently with a wrong
// secret, or, for a client without one, with an unknown client. Some providers
// check the code first, so that their response says nothing about the client.
func (c *Client) TellsClientsApart(ctx context.Context, redirectURI string) bool {
	wrong := *c
	if c.Secret != nil {
		wrong.Secret = func() (string, error) { return rand.Text(), nil }
	} else {
		wrong.ClientID = rand.Text()
	}
	var refused *Refusal
	return errors.As(wrong.TryCode(ctx, redirectURI), &refused) && refused.Code != "invalid_grant"
}

// Trial is the provider's response to an authorization request with prompt=none and
// without a user. A correct one is the error login_required, at the redirect URI.
type Trial struct {
	Status int
	// Returns reports whether the browser is redirected to the redirect URI, so
	// that the provider knows it. Refused is the error in the response.
	Returns bool
	Refused *Refusal
	// NotSigned is why the response is not valid, if it has to be signed.
	NotSigned error
}

// CanTryAuthorization reports whether prompt=none can be used.
func (c *Client) CanTryAuthorization() bool {
	return !c.Parameters.Has("prompt") && c.Parameters.Get("max_age") != "0"
}

// TryAuthorization makes an authorization request like a browser.
func (c *Client) TryAuthorization(ctx context.Context, redirectURI string) (*Trial, error) {
	key, err := c.LoginKey(ctx, false)
	if err != nil {
		return nil, err
	}
	login := Login{Key: key, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), RedirectURI: redirectURI, Demands: c.Demands}
	address, err := c.AuthorizationURL(ctx, login, url.Values{"prompt": {"none"}})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("authorization_endpoint is not a URL")
	}
	request.Header.Set("Accept", "text/html")
	browser := *c.Discovery.client
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := browser.Do(request)
	if err != nil {
		return nil, bare(err)
	}
	defer response.Body.Close()
	answer, err := read(response, []string{login.State, login.Nonce, login.Verifier})
	if err != nil {
		return nil, err
	}
	return c.trialOf(ctx, answer, redirectURI), nil
}

// trialOf parses the response. The redirect URI may also be in the form of
// response_mode=form_post.
func (c *Client) trialOf(ctx context.Context, answer *httpResponse, redirectURI string) *Trial {
	t := &Trial{Status: answer.status}
	to := answer.header.Get("Location")
	switch {
	case answer.status/100 == 3 && (strings.HasPrefix(to, redirectURI+"?") || strings.HasPrefix(to, redirectURI+"#")):
		t.Returns = true
		if u, err := url.Parse(to); err == nil {
			c.readTrial(ctx, t, u.Query(), answer.secrets)
		}
	case answer.status == http.StatusOK && strings.Contains(html.UnescapeString(string(answer.body)), `action="`+redirectURI+`"`):
		t.Returns = true
		if field := signedField.FindSubmatch(answer.body); field != nil && c.SignedResponses() {
			c.readTrial(ctx, t, url.Values{"response": {html.UnescapeString(string(field[1]))}}, answer.secrets)
		}
	}
	return t
}

// signedField matches the form field with a signed response (JARM, section 2.3.3).
var signedField = regexp.MustCompile(`<input[^>]* name="response"[^>]* value="([^"]*)"`)

// readTrial parses the error in a response. It also parses one that should have
// been signed and is not.
func (c *Client) readTrial(ctx context.Context, t *Trial, q url.Values, secrets []string) {
	if c.SignedResponses() {
		if !q.Has("response") {
			t.NotSigned = errors.New("the response is not signed")
		} else if signed, err := c.VerifyResponse(ctx, q.Get("response")); err != nil {
			t.NotSigned = err
		} else {
			q = signed
		}
	}
	t.Refused = NewRefusal(q.Get("error"), q.Get("error_description"), "", secrets...)
}

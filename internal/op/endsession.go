package op

import (
	"context"
	"errors"
	"net/url"
	"strings"
)

// EndSession is how a browser signs out at the provider: a request for its end
// session endpoint, by GET or POST (RP-Initiated Logout 1.0, 2).
type EndSession struct {
	Endpoint   string
	Parameters url.Values
}

// EndSession returns the request of a logout. It is not ok when the provider
// offers none. The hint is an ID token, may be empty, and is sent only to the
// provider that issued it; without it client_id and logoutHint say who is
// leaving.
func (c *Client) EndSession(ctx context.Context, hint, logoutHint, returnTo, state string) (request EndSession, ok bool, err error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return request, false, err
	}
	if c.Discovery.config.Endpoints.EndSession == "" { // a configured one is the standard's
		if request, ok := metadata.ownLogout(c.ClientID, returnTo); ok {
			return request, true, nil
		}
	}
	if metadata.Endpoints.EndSession == "" {
		return request, false, nil
	}
	if _, err := url.Parse(metadata.Endpoints.EndSession); err != nil {
		return request, false, errors.New("end_session_endpoint is not a URL")
	}
	parameters := url.Values{
		"client_id":                {c.ClientID},
		"post_logout_redirect_uri": {returnTo},
		"state":                    {state},
	}
	switch {
	case hint != "":
		parameters.Set("id_token_hint", hint)
	case logoutHint != "":
		parameters.Set("logout_hint", logoutHint)
	}
	return EndSession{metadata.Endpoints.EndSession, parameters}, true, nil
}

// URL is the address of the request by GET. An endpoint keeps a query of its
// own.
func (e EndSession) URL() string {
	address, query, _ := strings.Cut(e.Endpoint, "?")
	if query != "" && !strings.HasSuffix(query, "&") {
		query += "&"
	}
	return address + "?" + query + e.Parameters.Encode()
}

// EndsSessions reports whether users can be signed out at the provider.
func (m *Metadata) EndsSessions() bool {
	_, ok := m.ownLogout("", "")
	return ok || m.Endpoints.EndSession != ""
}

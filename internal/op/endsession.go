package op

import (
	"context"
	"errors"
	"net/url"
	"strings"
)

// EndSession is a logout request to the provider's end session endpoint, by GET or
// POST (RP-Initiated Logout 1.0, section 2).
type EndSession struct {
	Endpoint   string
	Parameters url.Values
}

// EndSession returns the logout request. ok is false if the provider does not
// support logout. hint is an ID token of this provider, or empty; client_id and
// logoutHint then identify the session.
func (c *Client) EndSession(ctx context.Context, hint, logoutHint, returnTo, state string) (request EndSession, ok bool, err error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return request, false, err
	}
	if c.Discovery.config.Endpoints.EndSession == "" { // a configured endpoint is a standard one
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

// URL returns the URL of the request by GET. It preserves the query of the
// endpoint.
func (e EndSession) URL() string {
	address, query, _ := strings.Cut(e.Endpoint, "?")
	if query != "" && !strings.HasSuffix(query, "&") {
		query += "&"
	}
	return address + "?" + query + e.Parameters.Encode()
}

// EndsSessions reports whether the provider supports logout.
func (m *Metadata) EndsSessions() bool {
	_, ok := m.ownLogout("", "")
	return ok || m.Endpoints.EndSession != ""
}

package op

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
)

// maxRequestURI is the maximum length in bytes of a request_uri, which is part of a
// URL for browsers.
const maxRequestURI = 2000

// push sends the authorization request over the back channel, and returns the URL
// that only refers to it (RFC 9126). Nothing between us and the provider can read
// or change such a request.
func (c *Client) push(ctx context.Context, metadata *Metadata, config oauth2.Config, login Login, options []oauth2.AuthCodeOption) (string, error) {
	if err := c.Discovery.pushing.over(c.Now()); err != nil {
		return "", err
	}
	authorizationEndpoint := config.Endpoint.AuthURL
	config.Endpoint.AuthURL = "" // only the parameters are needed
	form, err := url.ParseQuery(strings.TrimPrefix(c.withResources(config.AuthCodeURL(login.State, options...)), "?"))
	if err != nil {
		return "", fmt.Errorf("%w: it cannot be written", ErrPush)
	}
	requestURI, err := c.pushForm(ctx, metadata, form, login.Key)
	if c.isOfOldKey(err) && c.Discovery.keys.renew(ctx) {
		requestURI, err = c.pushForm(ctx, metadata, form, login.Key)
	}
	if err != nil {
		return "", err
	}
	return withParameters(authorizationEndpoint, url.Values{"client_id": {c.ClientID}, "request_uri": {requestURI}}), nil
}

// pushForm pushes parameters, as a request object where that is configured, and returns
// the reference to them.
func (c *Client) pushForm(ctx context.Context, metadata *Metadata, form url.Values, key *dpop.Key) (requestURI string, err error) {
	if c.RequestObject != "" {
		object, err := c.requestObject(ctx, metadata, form)
		if err != nil {
			return "", err
		}
		form = url.Values{"client_id": {c.ClientID}, "request": {object}}
	}
	answer, err := c.post(callPushed.with(ctx, c.Provider), metadata.Endpoints.Pushed, form, key)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", &UnavailableError{err, firstPause} // the browser disconnected; that says nothing about the provider
	case err == nil && isOutage(answer.status):
		err = answer.because(fmt.Errorf("pushed_authorization_request_endpoint: status %d", answer.status))
	}
	if err != nil {
		return "", c.Discovery.pushing.begin(c.Now(), err)
	}
	return c.pushAnswer(metadata, answer)
}

// pushAnswer parses the response (RFC 9126, sections 2.2 and 2.3).
func (c *Client) pushAnswer(metadata *Metadata, answer *httpResponse) (requestURI string, err error) {
	o, err := parseObject(answer.body)
	if answer.status/100 != 2 || err == nil && o.isError() {
		// The provider's requirements may have changed.
		c.Discovery.Invalidate()
		refused := answer.refusal()
		method, _ := chooseAuth(c.AuthMethod, c.Secret != nil, metadata.AuthMethods)
		return "", judged(fmt.Errorf("%w: %w%s", ErrPush, refused, adviceFor(refused.Code, method, metadata.Endpoints.Pushed)), refused.Code)
	}
	if err == nil {
		requestURI, err = o.text("request_uri")
	}
	switch {
	case err != nil:
		err = fmt.Errorf("the answer: %w", err)
	case requestURI == "":
		err = fmt.Errorf("the answer has the status %d and no request_uri", answer.status)
	case len(requestURI) > maxRequestURI:
		err = fmt.Errorf("the answer's request_uri is longer than %d bytes", maxRequestURI)
	default:
		return requestURI, nil
	}
	return "", fmt.Errorf("%w: %w", ErrPush, answer.because(err))
}

// withParameters adds parameters to an endpoint's URL, and preserves its query.
func withParameters(endpoint string, parameters url.Values) string {
	separator := "?"
	if strings.Contains(endpoint, "?") {
		separator = "&"
	}
	return endpoint + separator + parameters.Encode()
}

// pause keeps page loads from waiting one after another for an endpoint that has
// just failed.
type pause struct {
	mu   sync.Mutex
	next time.Time
	err  error
}

func (p *pause) over(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if isPausing(now, p.next) {
		return &UnavailableError{p.err, p.next.Sub(now)}
	}
	return nil
}

func (p *pause) begin(now time.Time, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	length := max(firstPause, pauseFor(err))
	p.next, p.err = now.Add(length), err
	return &UnavailableError{err, length}
}

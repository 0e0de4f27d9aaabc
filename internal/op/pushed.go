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

// maxRequestURI bounds the reference to a pushed request, in bytes: it goes
// into an address for browsers.
const maxRequestURI = 2000

// push hands the authorization request to the provider on the back channel, and
// returns where to send the browser with a mere reference to it (RFC 9126): so
// no one on the way can read or change the request.
func (c *Client) push(ctx context.Context, metadata *Metadata, config oauth2.Config, login Login, options []oauth2.AuthCodeOption) (string, error) {
	if err := c.Discovery.pushing.over(c.Now()); err != nil {
		return "", err
	}
	authorizationEndpoint := config.Endpoint.AuthURL
	config.Endpoint.AuthURL = "" // for the parameters alone
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
		return "", &UnavailableError{err, firstPause} // the visitor left; that says nothing of the provider
	case err == nil && isOutage(answer.status):
		err = answer.because(fmt.Errorf("pushed_authorization_request_endpoint: status %d", answer.status))
	}
	if err != nil {
		return "", c.Discovery.pushing.begin(c.Now(), err)
	}
	return c.pushAnswer(metadata, answer)
}

// pushAnswer reads what RFC 9126 2.2 and 2.3 have.
func (c *Client) pushAnswer(metadata *Metadata, answer *httpResponse) (requestURI string, err error) {
	o, err := parseObject(answer.body)
	if answer.status/100 != 2 || err == nil && o.isError() {
		// It may change what it offers, and what it requires.
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

// withParameters adds to an endpoint's address, which keeps a query of its own.
func withParameters(endpoint string, parameters url.Values) string {
	separator := "?"
	if strings.Contains(endpoint, "?") {
		separator = "&"
	}
	return endpoint + separator + parameters.Encode()
}

// pause keeps page loads from waiting, one after the other, for an endpoint
// that did not answer a moment ago.
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

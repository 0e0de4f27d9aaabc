package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// backChannel is the one seat for what x/oauth2 has none for: it proves that a
// request is ours, by whatever method, and refuses answers that are not what
// the specifications say before x/oauth2 reads them more leniently.
type backChannel struct {
	base  http.RoundTripper
	prove clientAuth
	proof proof
	// tokens: it is the token endpoint that is asked, by x/oauth2.
	tokens bool
}

func (b *backChannel) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	request.Body.Close()
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	if b.tokens {
		form.Del("client_id") // x/oauth2 adds it always; the method knows better
	}
	if err := b.prove(&b.proof, request.Header, form); err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	encoded := form.Encode()
	request.Body = io.NopCloser(strings.NewReader(encoded))
	request.ContentLength = int64(len(encoded))
	// No GetBody: a request whose code may have arrived is not sent again.
	request.GetBody = nil

	response, err := b.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	if b.tokens && response.StatusCode/100 == 2 {
		if err := checkAnswer(response.StatusCode, answer); err != nil {
			return nil, err
		}
		// It is JSON whatever its label says; x/oauth2 goes by the label.
		response.Header.Set("Content-Type", "application/json")
	}
	return response, nil
}

// post sends a form to an endpoint of the provider and proves that it is ours:
// for all calls that x/oauth2 has no function for. The answer is bounded, and
// what it means is for the caller to say; the error is about one that could not
// be had, and holds nothing of the form.
func (c *Client) post(ctx context.Context, endpoint string, form url.Values) (status int, body []byte, err error) {
	metadata, err := c.Remote.Metadata(ctx)
	if err != nil {
		return 0, nil, err
	}
	client, _, err := c.channel(metadata, false)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, errors.New("the endpoint is not a URL")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("post to %s: %w", withoutQuery(request.URL), bare(err))
	}
	defer response.Body.Close()
	if body, err = readAll(response); err != nil {
		return 0, nil, fmt.Errorf("post to %s: %w", withoutQuery(request.URL), err)
	}
	return response.StatusCode, body, nil
}

// backChannel is the client for x/oauth2's calls of the token endpoint.
func (c *Client) backChannel(metadata *Metadata) (client *http.Client, method string, err error) {
	return c.channel(metadata, true)
}

func (c *Client) channel(metadata *Metadata, tokens bool) (client *http.Client, method string, err error) {
	secret, err := c.secret()
	if err != nil {
		return nil, "", err
	}
	if method, err = chooseAuth(c.AuthMethod, secret != "", metadata.AuthMethods); err != nil {
		return nil, "", err
	}
	p := proof{clientID: c.ClientID, secret: secret, audience: metadata.Issuer, algs: metadata.AuthAlgs, now: c.Now}
	if c.AssertTokenEndpoint || metadata.Tenants() { // an issuer for many tenants is nobody's audience
		p.audience = metadata.TokenEndpoint
	}
	if keys := c.ownKeys(); len(keys.Signing) > 0 {
		p.key = keys.Signing[0]
	}
	own := *c.Remote.client
	own.Transport = &backChannel{own.Transport, clientAuths[method].prove, p, tokens}
	return &own, method, nil
}

func (c *Client) secret() (string, error) {
	if c.Secret == nil {
		return "", nil
	}
	secret, err := c.Secret()
	if err != nil {
		return "", fmt.Errorf("read the client secret: %w", err)
	}
	return secret, nil
}

// errAnswer marks an answer of the token endpoint that claims success and is
// none: to be told apart from one that could not be had.
var errAnswer = errors.New("the answer of the token endpoint")

// checkAnswer holds a successful answer to RFC 6749 5.1 and Core 3.1.3.3.
func checkAnswer(status int, body []byte) error {
	if status != http.StatusOK {
		return fmt.Errorf("%w has the status %d", errAnswer, status)
	}
	o, err := parseObject(body)
	if err != nil {
		return fmt.Errorf("%w %w", errAnswer, err)
	}
	for _, name := range []string{"access_token", "token_type", "id_token", "refresh_token"} {
		if _, err := o.text(name); err != nil {
			return fmt.Errorf("%w: %w", errAnswer, err)
		}
	}
	if kind, _ := o.text("token_type"); !strings.EqualFold(kind, "bearer") {
		return fmt.Errorf("%w has the token_type %q", errAnswer, clip(kind))
	}
	return nil
}

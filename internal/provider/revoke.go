package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// untokened marks a request whose answer is not a token response.
type untokened struct{}

// Revoke tells the provider that a token is of no use any more (RFC 7009). A
// provider that advertises no such endpoint is not asked: offered is false.
// kind is access_token or refresh_token.
func (c *Client) Revoke(ctx context.Context, token, kind string) (offered bool, err error) {
	metadata, err := c.Remote.Metadata(ctx)
	if err != nil {
		return false, err
	}
	if metadata.RevocationEndpoint == "" {
		return false, nil
	}
	httpClient, method, err := c.backChannel(metadata)
	if err != nil {
		return true, fmt.Errorf("revoke: %w", err)
	}
	form := url.Values{"token": {token}, "token_type_hint": {kind}}
	request, err := http.NewRequestWithContext(context.WithValue(ctx, untokened{}, true), http.MethodPost, metadata.RevocationEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return true, errors.New("revocation_endpoint is not a URL")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := httpClient.Do(request)
	if err != nil {
		return true, fmt.Errorf("revoke: %w", bare(err))
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK { // also for a token that is not known (2.2)
		return true, nil
	}
	code := ""
	if body, err := readAll(response); err == nil {
		if o, err := parseObject(body); err == nil {
			code, _ = o.text("error")
		}
	}
	return true, fmt.Errorf("revoke: status %d, error %q%s", response.StatusCode, SafeCode(code), adviceFor(code, method))
}

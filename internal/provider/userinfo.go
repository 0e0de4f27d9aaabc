package provider

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
)

// HasUserinfo says whether the provider has a userinfo endpoint.
func (c *Client) HasUserinfo(ctx context.Context) (bool, error) {
	metadata, err := c.Remote.Metadata(ctx)
	if err != nil {
		return false, err
	}
	return metadata.UserinfoEndpoint != "", nil
}

// Userinfo returns what the userinfo endpoint says of the subject of a checked
// ID token (Core 5.3). An answer about anybody else is an error (5.3.4).
func (c *Client) Userinfo(ctx context.Context, accessToken, subject string) (Claims, error) {
	claims, err := c.userinfo(ctx, accessToken, subject)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUserinfo, err)
	}
	return claims, nil
}

func (c *Client) userinfo(ctx context.Context, accessToken, subject string) (Claims, error) {
	metadata, err := c.Remote.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if metadata.UserinfoEndpoint == "" {
		c.Remote.Doubt()
		return nil, errors.New("the provider has no userinfo endpoint")
	}
	request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, metadata.UserinfoEndpoint, nil)
	if err != nil {
		return nil, errors.New("userinfo_endpoint is not a URL")
	}
	request.Header.Set("Authorization", "Bearer "+accessToken)
	request.Header.Set("Accept", "application/json")
	response, err := c.Remote.client.Do(request)
	if err != nil {
		return nil, bare(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind == "application/jwt" {
		return nil, errors.New("the answer is a signed token; register this client for plain JSON")
	}
	body, err := readAll(response)
	if err != nil {
		return nil, err
	}
	claims, err := parseObject(body)
	if err != nil {
		return nil, fmt.Errorf("the answer %w", err)
	}
	if got, err := claims.text("sub"); err != nil || got != subject {
		return nil, errors.New("sub is not that of the ID token")
	}
	return Claims(claims), nil
}

package op

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Revoke revokes a token at the provider (RFC 7009). kind is access_token or
// refresh_token. offered is false if the provider has no such endpoint, or the
// client cannot authenticate there.
func (c *Client) Revoke(ctx context.Context, token, kind string) (offered bool, err error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return false, err
	}
	if metadata.Endpoints.Revocation == "" || c.AuthMethod == AssertionFile { // its assertion is only for the token endpoint
		return false, nil
	}
	answer, err := c.post(callRevocation.with(ctx, c.Provider), metadata.Endpoints.Revocation, url.Values{"token": {token}, "token_type_hint": {kind}}, nil)
	if err != nil {
		return true, fmt.Errorf("revoke: %w", err)
	}
	if o, err := parseObject(answer.body); answer.status == http.StatusOK && (err != nil || !o.isError()) {
		return true, nil // also for unknown tokens (section 2.2)
	}
	refused := answer.refusal()
	return true, judged(fmt.Errorf("revoke: %w", refused), refused.Code)
}

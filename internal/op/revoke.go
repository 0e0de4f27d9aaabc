package op

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Revoke revokes a token at the provider (RFC 7009). A
// provider that advertises no such endpoint, or at which we could not authenticate
// there, is not asked: offered is false.
// kind is access_token or refresh_token.
func (c *Client) Revoke(ctx context.Context, token, kind string) (offered bool, err error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return false, err
	}
	if metadata.Endpoints.Revocation == "" || c.AuthMethod == AssertionFile { // which goes to the token endpoint alone
		return false, nil
	}
	answer, err := c.post(callRevocation.with(ctx, c.Provider), metadata.Endpoints.Revocation, url.Values{"token": {token}, "token_type_hint": {kind}}, nil)
	if err != nil {
		return true, fmt.Errorf("revoke: %w", err)
	}
	if o, err := parseObject(answer.body); answer.status == http.StatusOK && (err != nil || !o.isError()) {
		return true, nil // also for a token that is not known (2.2)
	}
	refused := answer.refusal()
	return true, judged(fmt.Errorf("revoke: %w", refused), refused.Code)
}

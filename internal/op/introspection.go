package op

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Introspection introspects access tokens at a provider (RFC 7662). Its fields must
// not be changed after the first use.
type Introspection struct {
	Client *Client
	// Audiences are the names of this resource. A token that has audiences must
	// name one of them.
	Audiences []string
	// IsResource is like AccessTokens.IsResource.
	IsResource func(audience string) bool
	// Clients are those whose tokens are accepted even if the response has no
	// audience.
	Clients []string
}

// introspectionRetry is how long to wait after the endpoint did not respond.
const introspectionRetry = 5 * time.Second

// Ask introspects a token. The error is a *TokenError if the token is not valid,
// and an *UnavailableError if that cannot be determined now.
func (i *Introspection) Ask(ctx context.Context, token string) (*AccessToken, error) {
	metadata, err := i.Client.Discovery.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if metadata.Endpoints.Introspection == "" {
		i.Client.Discovery.Invalidate()
		return nil, &UnavailableError{settingsErrorf("the provider has no introspection endpoint; configure introspection_endpoint"), longPause}
	}
	answer, err := i.Client.post(callIntrospection.with(ctx, i.Client.Provider), metadata.Endpoints.Introspection, url.Values{"token": {token}, "token_type_hint": {"access_token"}}, nil)
	if err != nil {
		return nil, &UnavailableError{fmt.Errorf("introspection: %w", err), introspectionRetry}
	}
	if answer.status != http.StatusOK {
		refusal := answer.refusal()
		after := max(introspectionRetry, refusal.RetryAfter)
		return nil, &UnavailableError{judged(fmt.Errorf("introspection: %w", refusal), refusal.Code), after}
	}
	claims, err := parseObject(answer.body)
	if err != nil {
		return nil, &UnavailableError{answer.because(fmt.Errorf("introspection: the answer %w", err)), introspectionRetry}
	}
	check := introspectionCheck{Introspection: i, metadata: metadata, now: i.Client.Now(), skew: i.Client.ClockSkew}
	return check.checkAll(claims)
}

// introspectionCheck checks one introspection response. It is pure.
type introspectionCheck struct {
	*Introspection
	metadata *Metadata
	now      time.Time
	skew     time.Duration
}

func (c *introspectionCheck) checkAll(claims object) (*AccessToken, error) {
	token := &AccessToken{Claims: Claims(claims)}
	for _, check := range []func(object, *AccessToken) error{
		checkActive, checkTokenType, checkBound, c.checkIssuer, c.checkTimes, checkIntrospectedSubject, checkScopes, c.checkAudience,
	} {
		if err := check(claims, token); err != nil {
			return nil, err
		}
	}
	return token, nil
}

// checkActive checks that active is the boolean true.
func checkActive(claims object, _ *AccessToken) error {
	if string(claims["active"]) != "true" {
		return refusedf(ReasonInactive, "the provider does not say that it is active")
	}
	return nil
}

// checkTokenType refuses refresh tokens, ID tokens, and access tokens that are not
// bearer tokens. If the response has no token_type, it is about an access token.
func checkTokenType(claims object, _ *AccessToken) error {
	kind, err := claims.text("token_type")
	if err != nil {
		return refused(ReasonTokenType, err)
	}
	if claims.has("token_type") && !slices.Contains([]string{"bearer", "access_token"}, strings.ToLower(kind)) {
		return refusedf(ReasonTokenType, "its token_type is %q", clip(kind))
	}
	for _, name := range []string{"at_hash", "c_hash", "s_hash", "events"} {
		if _, present := claims[name]; present {
			return refusedf(ReasonKind, "it has the claim %s, so it is no access token", name)
		}
	}
	return checkKindClaims(claims)
}

// checkIssuer checks iss, if present: it must be the provider's, of an accepted
// tenant.
func (c *introspectionCheck) checkIssuer(claims object, _ *AccessToken) error {
	if _, present := claims["iss"]; present {
		if err := c.metadata.checkIssuerOf(claims); err != nil {
			return refused(ReasonIssuer, err)
		}
	}
	if err := (&idTokenCheck{tenants: c.Client.Tenants}).checkTenant(claims); err != nil {
		return refused(ReasonTenant, err)
	}
	return nil
}

func (c *introspectionCheck) checkTimes(claims object, token *AccessToken) error {
	return checkTokenTimes(claims, token, c.now, c.skew)
}

// checkAudience checks that the token is for this resource. If the response has no
// audience, the client decides.
func (c *introspectionCheck) checkAudience(claims object, token *AccessToken) error {
	named, err := claims.texts("aud", true)
	if err != nil {
		return refused(ReasonAudience, err)
	}
	if len(named) == 0 {
		client, err := claims.text("client_id")
		if err != nil || client == "" || !slices.Contains(c.Clients, client) {
			return refused(ReasonAudience, errors.Join(err, fmt.Errorf("the provider names no audience, and the client is %q; accepted are %q", clip(token.Client), strings.Join(c.Clients, " "))))
		}
		return nil
	}
	for _, audience := range named {
		if audience != "" && slices.Contains(c.Audiences, audience) {
			return nil
		}
	}
	if token.Resources = resourcesAmong(named, c.IsResource); len(token.Resources) > 0 {
		return nil
	}
	return refused(ReasonAudience, notAnAudience(named, c.Audiences))
}

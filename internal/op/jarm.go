package op

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// This file reads authorization responses that the provider has signed (JWT Secured
// Authorization Response Mode for OAuth 2.0, JARM).

// ErrResponse: a signed authorization response failed a check.
var ErrResponse = errors.New("the signed authorization response is not valid")

// ErrResponseExpired: it was valid, or so it says of itself.
var ErrResponseExpired = errors.New("it expired")

// maxSignedResponse bounds a signed authorization response, in bytes.
const maxSignedResponse = 64 << 10

// responseMembers are the members of a signed response that are parameters of an
// authorization response.
var responseMembers = []string{"state", "code", "error", "error_description", "error_uri", "iss"}

func responseErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrResponse, fmt.Errorf(format, args...))
}

// VerifyResponse checks a signed authorization response (JARM 2.4) and returns the
// parameters in it. Nothing of it is returned before all of it has been checked. What
// can be seen without a signature is looked at first, so that the garbage of strangers
// causes no request to the provider. The error is an UnavailableError where the
// signature could not be checked, and repeats no token and no parameter.
func (c *Client) VerifyResponse(ctx context.Context, raw string) (url.Values, error) {
	if len(raw) > maxSignedResponse {
		return nil, responseErrorf("it is larger than %d bytes", maxSignedResponse)
	}
	raw, err := c.open(raw)
	if err == nil {
		err = c.glanceAtResponse(raw)
	}
	if err != nil {
		return nil, responseErrorf("%w", err)
	}
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	algs := c.ResponseAlgs(metadata)
	if err := checkAlgorithm(raw, algs); err != nil {
		return nil, responseErrorf("%w", err)
	}
	keys := &callKeys{client: c, algs: algs}
	payload, err := keys.verify(ctx, raw)
	var unavailable *UnavailableError
	switch {
	case errors.As(err, &unavailable):
		return nil, responseErrorf("its signature could not be checked: %w", unavailable)
	case errors.Is(err, errNotLooked):
		return nil, responseErrorf("its signature could not be checked: %w", &UnavailableError{err, lookEvery})
	case err != nil:
		return nil, responseErrorf("%w", err)
	}
	claims, err := parseObject(payload)
	if err != nil {
		return nil, responseErrorf("it %w", err)
	}
	check := responseCheck{idTokenCheck{metadata: metadata, clientID: c.ClientID, now: c.Now(), skew: c.ClockSkew, header: keys.header}}
	parameters, err := check.checkAll(claims)
	if err != nil {
		return nil, responseErrorf("%w", err)
	}
	return parameters, nil
}

// ResponseAlgs are the algorithms that responses may be signed with: the configured
// ones, else the asymmetric ones that discovery lists for responses, else those of ID
// tokens. A provider cannot bring in none or HS* by listing them.
func (c *Client) ResponseAlgs(metadata *Metadata) []string {
	if slices.ContainsFunc(metadata.Responses.Algs, func(alg string) bool { return slices.Contains(asymmetric, alg) }) {
		return algorithms(c.Algs, metadata.Responses.Algs)
	}
	return algorithms(c.Algs, metadata.IDTokenAlgs)
}

// StateOf returns the state that a signed response claims to have, of which nothing is
// checked. It serves to find out whether the response came before, and nothing else.
func (c *Client) StateOf(raw string) string {
	if len(raw) > maxSignedResponse {
		return ""
	}
	raw, err := c.open(raw)
	if err != nil {
		return ""
	}
	claims, err := c.peekResponse(raw)
	if err != nil {
		return ""
	}
	state, _ := claims.text("state")
	return state
}

// peekResponse returns the claims of a response whose signature is not checked yet.
func (c *Client) peekResponse(raw string) (object, error) {
	algs := c.Algs
	if len(algs) == 0 {
		algs = asymmetric
	}
	return peek(raw, algs)
}

// glanceAtResponse looks at a response whose signature is not checked yet.
func (c *Client) glanceAtResponse(raw string) error {
	claims, err := c.peekResponse(raw)
	if err != nil {
		return err
	}
	issuer, err := claims.text("iss")
	if err != nil {
		return err
	}
	if !c.Discovery.IsIssuer(issuer) {
		return notTheIssuer(issuer)
	}
	check := responseCheck{idTokenCheck{clientID: c.ClientID, now: c.Now(), skew: c.ClockSkew}}
	if err := check.checkAudience(claims); err != nil {
		return err
	}
	return check.checkTimes(claims)
}

// responseCheck is what a signed response is held to. All of it is pure.
type responseCheck struct{ idTokenCheck }

func (c *responseCheck) checkAll(claims object) (url.Values, error) {
	for _, check := range []func(object) error{c.checkType, c.checkIssuer, c.checkAudience, c.checkTimes} {
		if err := check(claims); err != nil {
			return nil, err
		}
	}
	parameters := make(url.Values)
	for _, name := range responseMembers {
		if !claims.has(name) {
			continue
		}
		value, err := claims.text(name)
		if err != nil {
			return nil, err
		}
		parameters.Set(name, value)
	}
	return parameters, nil
}

// checkType refuses other tokens of the same provider (RFC 8725 3.11). JARM names no
// type of its own.
func (c *responseCheck) checkType(claims object) error {
	typ, _ := c.header.ExtraHeaders[jose.HeaderType].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if strings.HasSuffix(typ, "+jwt") && typ != "oauth-authz-resp+jwt" {
		return errors.New("it is a token of another kind, typ " + clip(typ))
	}
	for _, member := range []string{"nonce", "events", "sub"} {
		if claims.has(member) {
			return fmt.Errorf("it is a token of another kind, with %s", member)
		}
	}
	return nil
}

// checkIssuer: it is the provider's, or one of its tenants'.
func (c *responseCheck) checkIssuer(claims object) error {
	issuer, err := claims.text("iss")
	if err != nil {
		return err
	}
	if !c.metadata.IsIssuer(issuer) {
		return notTheIssuer(issuer)
	}
	return nil
}

func (c *responseCheck) checkAudience(claims object) error {
	audience, err := claims.texts("aud", true)
	if err != nil {
		return err
	}
	if !slices.Contains(audience, c.clientID) {
		return notTheAudience(audience, c.clientID)
	}
	return nil
}

// checkTimes: exp is there, iat and nbf may be; clocks may differ by the skew.
func (c *responseCheck) checkTimes(claims object) error {
	expires, ok, err := claims.moment("exp")
	if err != nil || !ok {
		return errors.Join(errors.New("exp is missing or no number"), err)
	}
	if !c.now.Before(expires.Add(c.skew)) {
		return fmt.Errorf("%w %s ago (clock_skew is %s); if it is new, check the clocks here and at the provider", ErrResponseExpired, c.now.Sub(expires).Round(time.Second), c.skew)
	}
	issued, ok, err := claims.moment("iat")
	if err != nil {
		return err
	}
	if ok && issued.After(c.now.Add(c.skew)) {
		return fmt.Errorf("it was issued %s in the future (clock_skew is %s); check the clocks here and at the provider", issued.Sub(c.now).Round(time.Second), c.skew)
	}
	return c.checkNotBefore(claims)
}

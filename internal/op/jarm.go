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

// This file verifies signed authorization responses (JWT Secured Authorization
// Response Mode for OAuth 2.0, JARM).

// ErrResponse means that a signed authorization response is not valid.
var ErrResponse = errors.New("the signed authorization response is not valid")

// ErrResponseExpired means that a signed authorization response has expired.
var ErrResponseExpired = errors.New("it expired")

// maxSignedResponse is the maximum size in bytes of a signed authorization
// response.
const maxSignedResponse = 64 << 10

// responseMembers are the claims of a signed response that are parameters of an
// authorization response.
var responseMembers = []string{"state", "code", "error", "error_description", "error_uri", "iss"}

func responseErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrResponse, fmt.Errorf(format, args...))
}

// VerifyResponse verifies a signed authorization response (JARM, section 2.4) and
// returns its parameters. Checks that need no signature come first, so that made-up
// responses cause no request to the provider. The error is an *UnavailableError if
// the signature could not be verified, and does not repeat tokens or parameters.
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

// ResponseAlgs returns the algorithms that responses may be signed with: the
// configured ones, else the asymmetric ones in the metadata for responses, else
// those of ID tokens. Metadata cannot enable none or HS*.
func (c *Client) ResponseAlgs(metadata *Metadata) []string {
	if slices.ContainsFunc(metadata.Responses.Algs, func(alg string) bool { return slices.Contains(asymmetric, alg) }) {
		return algorithms(c.Algs, metadata.Responses.Algs)
	}
	return algorithms(c.Algs, metadata.IDTokenAlgs)
}

// StateOf returns the state that a signed response claims to have, without verifying
// anything. Use it only to tell whether the response was received before.
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

// peekResponse returns the claims of a response before its signature is verified.
func (c *Client) peekResponse(raw string) (object, error) {
	algs := c.Algs
	if len(algs) == 0 {
		algs = asymmetric
	}
	return peek(raw, algs)
}

// glanceAtResponse checks a response before its signature is verified.
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

// responseCheck checks a signed response. It is pure.
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

// checkType refuses other kinds of tokens of the same provider (RFC 8725, section
// 3.11). JARM defines no typ.
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

// checkIssuer checks that iss is the provider's issuer, or one of its tenants'.
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

// checkTimes checks exp, which is required, and iat and nbf, if present, with the
// clock skew.
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

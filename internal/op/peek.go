package op

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// This file inspects tokens before their signature is verified, so that errors
// report what was found and why it is not accepted.

// peek returns the claims of a signed token without verifying its signature.
func peek(raw string, algs []string) (object, error) {
	if err := checkAlgorithm(raw, algs); err != nil {
		return nil, err
	}
	accepted := make([]jose.SignatureAlgorithm, len(algs))
	for i, alg := range algs {
		accepted[i] = jose.SignatureAlgorithm(alg)
	}
	jws, err := jose.ParseSignedCompact(raw, accepted)
	if err != nil {
		return nil, errors.New("it is no signed token that can be read")
	}
	claims, err := parseObject(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	return claims, nil
}

// peekIDToken detects what go-oidc would report in terms for programmers, or
// without a limit. It verifies nothing.
func (c *Client) peekIDToken(raw string, algs []string) error {
	claims, err := peek(raw, algs)
	if err != nil {
		return err
	}
	for _, name := range []string{"iss", "sub"} {
		if _, err := claims.text(name); err != nil {
			return err
		}
	}
	audience, err := claims.texts("aud", true)
	if err != nil {
		return err
	}
	if !slices.Contains(audience, c.ClientID) {
		return notTheAudience(audience, c.ClientID)
	}
	for _, name := range []string{"exp", "iat", "nbf"} {
		if _, _, err := claims.moment(name); err != nil {
			return err
		}
	}
	return nil
}

// checkAlgorithm returns an error if a token's algorithm is not accepted.
func checkAlgorithm(raw string, algs []string) error {
	header, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil || strings.Count(raw, ".") != 2 {
		return errors.New("it is no signed token")
	}
	o, err := parseObject(text)
	if err != nil {
		return fmt.Errorf("its header %w", err)
	}
	alg, err := o.text("alg")
	if err != nil {
		return fmt.Errorf("its header: %w", err)
	}
	if slices.Contains(algs, alg) {
		return nil
	}
	hint := ""
	if Symmetric(alg) {
		hint = "; algorithms with the client secret count only where id_token_algs names them"
	}
	return fmt.Errorf("it is signed with the algorithm %q, and accepted are %s (see id_token_algs)%s", clip(alg), strings.Join(slices.Compact(slices.Sorted(slices.Values(algs))), ", "), hint)
}

func notTheIssuer(issuer string) error {
	return fmt.Errorf("iss is not the provider's issuer: it is %q", clip(issuer))
}

func notTheAudience(audience []string, clientID string) error {
	return fmt.Errorf("aud does not name this client: it is %q, and client_id is %q", clip(strings.Join(audience, " ")), clientID)
}

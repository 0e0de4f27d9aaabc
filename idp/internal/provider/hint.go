package provider

import (
	"context"
	"errors"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
)

// errBadHint means that an id_token_hint is not an ID token of ours.
var errBadHint = errors.New("the id_token_hint is not an ID token of this provider")

// oldHintError is an errBadHint for what looks like an ID token of ours that was signed
// with a key that has been removed. It proves nothing; the client that it names is
// treated like one in a parameter.
type oldHintError struct{ client string }

func (e *oldHintError) Error() string { return errBadHint.Error() + " any more" }
func (e *oldHintError) Unwrap() error { return errBadHint }

// hint is an ID token of ours in a request. It may have expired, since it only
// identifies the user and the session.
type hint struct {
	Issuer   string       `json:"iss"`
	Subject  string       `json:"sub"`
	SID      string       `json:"sid"`
	Audience jwt.Audience `json:"aud"`
}

// readHint verifies an id_token_hint. Applications may keep ID tokens for longer than we
// keep keys.
func (p *Provider) readHint(ctx context.Context, text string) (*hint, error) {
	if len(text) > maxHint {
		return nil, errBadHint
	}
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil || len(token.Headers) != 1 {
		return nil, errBadHint
	}
	// Access tokens and logout tokens have a type (RFC 9068 section 2.1).
	if typ, ok := token.Headers[0].ExtraHeaders[jose.HeaderType]; ok && typ != "JWT" {
		return nil, errBadHint
	}
	keys, err := p.Keys.public(ctx)
	if err != nil {
		return nil, err
	}
	h := new(hint)
	for _, key := range keys {
		if key.KeyID != token.Headers[0].KeyID {
			continue
		}
		if key.Algorithm != token.Headers[0].Algorithm || token.Claims(key.Key, h) != nil || !h.isOf(p.issuer) {
			return nil, errBadHint
		}
		return h, nil
	}
	if token.Headers[0].KeyID == "" || token.UnsafeClaimsWithoutVerification(h) != nil || !h.isOf(p.issuer) {
		return nil, errBadHint
	}
	return nil, &oldHintError{h.Audience[0]}
}

// isOf reports whether it is an ID token of an issuer, for one client.
func (h *hint) isOf(issuer string) bool {
	return h.Issuer == issuer && h.Subject != "" && len(h.Audience) == 1
}

// checkIDTokenHint checks the id_token_hint of an authorization request: only its
// user may be signed in.
func (p *Provider) checkIDTokenHint(ctx context.Context, text string, client *party, r *request.Request) (*protocolError, error) {
	h, err := p.readHint(ctx, text)
	if errors.Is(err, errBadHint) || err == nil && h.Audience[0] != client.ID {
		return invalidRequest("id_token_hint is not an ID token that the client got here"), nil
	}
	if err != nil {
		return nil, err
	}
	if r.Subject != "" && r.Subject != h.Subject {
		return invalidRequest("id_token_hint and claims name two users"), nil
	}
	r.Subject = h.Subject
	return nil, nil
}

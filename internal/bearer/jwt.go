package bearer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

const (
	// jwtAge is how long a verified token is cached, and so how long a key that its
	// issuer has withdrawn remains effective.
	jwtAge = 15 * time.Minute
	// maxLook is the maximum size in bytes of a token whose claims are parsed to
	// find its issuer. Longer tokens in the form of a JWT are refused.
	maxLook = 64 << 10
)

// Issuer is an issuer whose access tokens are accepted.
type Issuer struct {
	Tokens *op.AccessTokens
	Users
}

// JWTs verifies JWT access tokens. It is safe for concurrent use.
type JWTs struct {
	issuers []*Issuer
	revoked Revocations
	now     func() time.Time
	memory  *memory
}

// NewJWTs returns a verifier for the tokens of issuers with distinct names.
func NewJWTs(issuers []*Issuer, revoked Revocations, now func() time.Time) *JWTs {
	return &JWTs{issuers, revoked, now, newMemory(jwtAge)}
}

// Kind implements program.Verifier.
func (j *JWTs) Kind() program.Kind { return program.JWT }

// Recognizes implements program.Verifier. It reports whether a token claims to be a
// JWT of one of the issuers.
func (j *JWTs) Recognizes(token string) bool {
	return j.memory.knows(token) || j.issuerOf(token) != nil
}

// issuerOf returns the issuer that a token names; nil if it names none of ours.
func (j *JWTs) issuerOf(token string) *Issuer {
	first, rest, _ := strings.Cut(token, ".")
	parts := strings.Count(rest, ".") + 1
	if rest == "" || parts != 2 && parts != 4 {
		return nil
	}
	if len(token) > maxLook {
		return j.issuers[0]
	}
	named := first // encrypted tokens may repeat iss in the header (RFC 7519, section 5.3)
	if parts == 2 {
		named, _, _ = strings.Cut(rest, ".")
	}
	for _, name := range issuersIn(named) {
		for _, issuer := range j.issuers {
			if issuer.Tokens.Discovery.IsIssuer(name) {
				return issuer
			}
		}
	}
	return nil
}

// issuersIn returns the values of iss in an encoded object, by any parser's
// interpretation.
func issuersIn(encoded string) (names []string) {
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return names
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return names
		}
		var text string
		if key, _ := name.(string); strings.EqualFold(key, "iss") && json.Unmarshal(value, &text) == nil {
			names = append(names, text)
		}
	}
	return names
}

// Verify implements program.Verifier.
func (j *JWTs) Verify(ctx context.Context, token string) (*sessionstore.Loaded, error) {
	now := j.now()
	k := j.memory.keyOf(token)
	if e := j.memory.get(&k, now); e != nil {
		return j.revoked.confirm(ctx, e)
	}
	issuer := j.issuerOf(token)
	if issuer == nil { // it was cached when Recognizes was called
		return nil, &program.Refusal{Reason: string(op.ReasonIssuer) + ": no issuer of ours"}
	}
	checked, err := issuer.Tokens.Verify(ctx, token)
	if err != nil {
		return nil, failure(err)
	}
	e, err := issuer.accept(k, token, checked, now)
	if err != nil {
		return nil, err
	}
	e.until = now.Add(jwtAge)
	if expires := checked.Expires.Add(issuer.Tokens.ClockSkew); expires.Before(e.until) {
		e.until = expires
	}
	j.memory.put(&k, e, now)
	return j.revoked.confirm(ctx, e)
}

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
	// jwtAge is after how long a token is checked again: a key that its issuer has
	// withdrawn is noticed then.
	jwtAge = 15 * time.Minute
	// maxLook is the most of a token that is looked into to find its issuer, in
	// bytes. A longer one that looks like a JWT is refused.
	maxLook = 64 << 10
)

// Issuer is one whose access tokens are accepted.
type Issuer struct {
	Tokens *op.AccessTokens
	Users
}

// JWTs judges access tokens that are JWTs. It is safe for concurrent use.
type JWTs struct {
	issuers []*Issuer
	revoked Revocations
	now     func() time.Time
	memory  *memory
}

// NewJWTs returns a verifier for the tokens of some issuers, no two of which have the
// same name.
func NewJWTs(issuers []*Issuer, revoked Revocations, now func() time.Time) *JWTs {
	return &JWTs{issuers, revoked, now, newMemory(jwtAge)}
}

// Kind implements program.Verifier.
func (j *JWTs) Kind() program.Kind { return program.JWT }

// Recognizes reports whether a token is a JWT of one of the issuers, by what it says
// itself.
func (j *JWTs) Recognizes(token string) bool {
	return j.memory.knows(token) || j.issuerOf(token) != nil
}

// issuerOf returns the issuer that a token names; nil if it names none of ours. The
// one that it names judges it, and no other.
func (j *JWTs) issuerOf(token string) *Issuer {
	first, rest, _ := strings.Cut(token, ".")
	parts := strings.Count(rest, ".") + 1
	if rest == "" || parts != 2 && parts != 4 {
		return nil
	}
	if len(token) > maxLook {
		return j.issuers[0]
	}
	named := first // an encrypted token may repeat its issuer in the header (RFC 7519 5.3)
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

// issuersIn returns the values of iss in an encoded object, as any reader may
// understand it.
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

// Verify returns the session that a token stands for.
func (j *JWTs) Verify(ctx context.Context, token string) (*sessionstore.Loaded, error) {
	now := j.now()
	k := j.memory.keyOf(token)
	if e := j.memory.get(&k, now); e != nil {
		return j.revoked.confirm(ctx, e)
	}
	issuer := j.issuerOf(token)
	if issuer == nil { // it was remembered a moment ago
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

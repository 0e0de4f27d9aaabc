// Package bearer judges the bearer tokens that issuers give to programs: access
// tokens that are JWTs, by the issuer's keys, and others by asking a provider. What
// was found out is remembered for a while by a keyed hash of the token.
//
// It knows which issuer judges a token, and makes the session that it stands for.
// The checks of tokens are those of package op, users are made by package identity,
// and what follows for a request is decided by package flow. It knows nothing of
// requests and of configurations.
package bearer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// Users creates the sessions of the tokens of one issuer.
type Users struct {
	Mapping *identity.Mapping
	Binding session.Binding
	// Needs returns what instances need from a session.
	Needs func() *identity.Needs
	// Lifetime returns the lifetime of sessions of tokens without an expiry.
	Lifetime func() time.Duration
	// Disabled reports whether the provider is disabled.
	Disabled bool
}

// Revocations reports whether the user of a token, or their session at the
// provider, was revoked since the token was issued.
type Revocations func(context.Context, *revocation.Target) (bool, error)

// retryAfter is the Retry-After if revocations are unknown or too many tokens are
// being verified.
const retryAfter = time.Second

var errDisabled = &program.Refusal{Reason: "disabled: the provider is switched off"}

// accept returns the cache entry of a verified token.
func (u *Users) accept(key key, raw string, token *op.AccessToken, now time.Time) (*entry, error) {
	if u.Disabled {
		return nil, errDisabled
	}
	e := &entry{sum: key.sum, token: token}
	s, err := u.Mapping.NewBearerSession(u.Needs(), identity.Bearer{
		Token: token, Raw: raw, ID: session.ID(key.sum[:16]), Binding: u.Binding, Now: now, Lifetime: u.Lifetime(),
	})
	if err != nil {
		return nil, &program.Refusal{Reason: fmt.Sprintf("%s: %v", op.ReasonName, err)}
	}
	e.loaded.Session, e.loaded.Resources = *s, token.Resources
	e.target = revocation.TargetOf(s, u.Mapping.IssuerOf(s))
	return e, nil
}

// confirm returns the session of an entry, unless it has been revoked.
func (revoked Revocations) confirm(ctx context.Context, e *entry) (*sessionstore.Loaded, error) {
	is, err := revoked(ctx, &e.target)
	if err != nil {
		return nil, &program.UnavailableError{Err: err, RetryAfter: retryAfter}
	}
	if is {
		return nil, &program.Refusal{Reason: string(op.ReasonRevoked) + ": the user was signed out since the token was issued", Session: &e.loaded.Session}
	}
	return &e.loaded, nil
}

// failure returns the error of package program for one of package op.
func failure(err error) error {
	var bad *op.TokenError
	if errors.As(err, &bad) {
		return &program.Refusal{Reason: fmt.Sprintf("%s: %v", bad.Reason, bad.Err)}
	}
	after := retryAfter
	var unavailable *op.UnavailableError
	if errors.As(err, &unavailable) {
		after = max(after, unavailable.RetryAfter)
	}
	return &program.UnavailableError{Err: err, RetryAfter: after}
}

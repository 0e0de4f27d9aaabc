package siteconfig

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/assertion"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// Assertion configures a signed statement about the user: a JWT of the type
// `oidc-rp+jwt`, signed with ES256. The keys are published at
// `/@app/auth/assertion-keys`.
type Assertion struct {
	// The header that carries it. Default: `X-Identity-Assertion`.
	Header string `json:"header,omitempty"`

	// The audience (`aud`): a name for the application, which must accept no
	// other. Required. Placeholders are resolved when the configuration is
	// loaded.
	Audience string `json:"audience,omitempty"`

	// Additional claims to include, by their paths. `groups` are the user's
	// groups, and `email` is the verified address. Default: none.
	Claims []string `json:"claims,omitempty"`

	// How long an assertion is valid, at most `5m`, and never longer than the
	// session. Default: `60s`.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`
}

// HeaderName returns the name of the header.
func (a *Assertion) HeaderName() string {
	if a.Header == "" {
		return assertion.DefaultHeader
	}
	return a.Header
}

// ValidFor returns how long an assertion is valid.
func (a *Assertion) ValidFor() time.Duration {
	if a.Lifetime == 0 {
		return assertion.DefaultLifetime
	}
	return time.Duration(a.Lifetime)
}

// check returns an error for invalid options.
func (a *Assertion) check() error {
	if a.Audience == "" {
		return errors.New("upstream: assertion needs an audience, so that no application can use it at another")
	}
	if d := a.ValidFor(); d < time.Second || d > assertion.MaxLifetime {
		return fmt.Errorf("upstream: assertion: lifetime is from 1s to %s", assertion.MaxLifetime)
	}
	for i, claim := range a.Claims {
		switch {
		case claim == "" || slices.Contains(a.Claims[:i], claim):
			return fmt.Errorf("upstream: assertion: claims: item %d is empty or a duplicate", i+1)
		case assertion.Reserved(claim) || assertion.Reserved(identity.BareClaim(claim)):
			return fmt.Errorf("upstream: assertion: claims: %s is not for further claims", claim)
		}
	}
	return nil
}

// assertionBlock is the kind of the block of assertion.
var assertionBlock = &caddyargs.Kind{Name: "of assertion", Place: "of assertion", Options: assertionOptions.Names()}

// assertionOptions lists the options of assertion.
var assertionOptions = caddyargs.Table[*Assertion]{
	"audience": func(d *caddyfile.Dispenser, a *Assertion) error { return caddyargs.StringArg(d, &a.Audience) },
	"claims":   func(d *caddyfile.Dispenser, a *Assertion) error { return caddyargs.ListArg(d, &a.Claims) },
	"lifetime": func(d *caddyfile.Dispenser, a *Assertion) error {
		return caddyargs.PositiveDurationArg(d, &a.Lifetime)
	},
}

// parseAssertion parses the option assertion.
func parseAssertion(d *caddyfile.Dispenser, u *Upstream) error {
	a := new(Assertion)
	if args := d.RemainingArgs(); len(args) > 1 {
		return d.ArgErr()
	} else if len(args) == 1 {
		if args[0] == "" {
			return d.Err("the header's name is empty")
		}
		a.Header = http.CanonicalHeaderKey(args[0])
	}
	u.Assertion = a
	_, err := assertionOptions.ReadBlock(d, assertionBlock, a)
	return err
}

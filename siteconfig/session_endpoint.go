package siteconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// SessionEndpoint configures what scripts can learn about the session.
type SessionEndpoint struct {
	// The claims that the endpoint returns, as claim paths. Default: none besides
	// the user's name, email address and groups.
	Claims []string `json:"claims,omitempty"`

	// The other origins whose pages may read the endpoint, exactly as browsers
	// write them: `https`, host, and port unless it is 443. Default: only pages of
	// the site itself.
	Origins []string `json:"origins,omitempty"`
}

// Check returns an error for a claim that no session can have, or an invalid
// origin.
func (e *SessionEndpoint) Check() error {
	for i, path := range e.Claims {
		if flaw := identity.PathFlaw(path); flaw != "" {
			return fmt.Errorf("session_endpoint: claims: '%s': %s", path, flaw)
		}
		if slices.Contains(e.Claims[:i], path) {
			return fmt.Errorf("session_endpoint: claims: %s appears twice", path)
		}
	}
	for _, origin := range e.Origins {
		if strings.Contains(origin, "{") {
			continue // checked when it is resolved
		}
		if _, err := ParseReader(origin); err != nil {
			return err
		}
	}
	return nil
}

var errPlainReader = errors.New("session_endpoint: origin: only https origins may read about sessions")

// ParseReader parses an origin whose pages may read the endpoint.
func ParseReader(text string) (address.Origin, error) {
	origin, err := address.ParseOrigin(text)
	if err != nil {
		return origin, fmt.Errorf("session_endpoint: origin: %w", err)
	}
	if origin.Scheme != "https" {
		return origin, errPlainReader
	}
	return origin, nil
}

// Needs returns the claims that the endpoint returns.
func (e *SessionEndpoint) Needs() []string {
	needs := []string{"name", "email", "groups"}
	for _, path := range e.Claims {
		needs = append(needs, identity.NeedOf(path))
	}
	return needs
}

// SessionEndpointBlock is the kind of the block of session_endpoint.
var SessionEndpointBlock = &caddyargs.Kind{Name: "of session_endpoint", Place: "of session_endpoint", Options: sessionEndpointOptions.Names()}

// sessionEndpointOptions lists the options of session_endpoint.
var sessionEndpointOptions = caddyargs.Table[*SessionEndpoint]{
	"claims": func(d *caddyfile.Dispenser, e *SessionEndpoint) error { return caddyargs.ListArg(d, &e.Claims) },
	"origin": func(d *caddyfile.Dispenser, e *SessionEndpoint) error { return caddyargs.ListArg(d, &e.Origins) },
}

// ParseSessionEndpoint parses session_endpoint, whose block is optional.
func ParseSessionEndpoint(d *caddyfile.Dispenser, field **SessionEndpoint) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	e := new(SessionEndpoint)
	*field = e
	seen := make(caddyargs.Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := sessionEndpointOptions.Read(d, SessionEndpointBlock, e, seen); err != nil {
			return err
		}
		if err := e.Check(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

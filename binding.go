package oidcrp

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file says what a session is bound to beside the provider and our client
// id there: how the configuration reads who the user is. A session opens only
// where that is read in the same way, so that a name or claim that one site
// makes is not taken by another.

const defaultGroupsClaim = "groups"

// expandIdentity resolves the placeholders of the options that say who a user
// is.
func (p *ProviderConfig) expandIdentity() (err error) {
	p.UsernameClaim = slices.Clone(p.UsernameClaim)
	for i, path := range p.UsernameClaim {
		if p.UsernameClaim[i], err = expand(path); err != nil {
			return fmt.Errorf("username_claim: %w", err)
		}
	}
	if p.GroupsClaim, err = expand(p.GroupsClaim); err != nil {
		return fmt.Errorf("groups_claim: %w", err)
	}
	p.Claims = maps.Clone(p.Claims)
	for local, path := range p.Claims {
		if p.Claims[local], err = expand(path); err != nil {
			return fmt.Errorf("claims %s: %w", local, err)
		}
	}
	return nil
}

// identityOptions returns those options of a resolved configuration that say
// who a user is and are not at their default.
func (p *ProviderConfig) identityOptions() (options [][]string) {
	if !slices.Equal(p.UsernameClaim, defaultUsernameClaim) {
		options = append(options, append([]string{"username_claim"}, p.UsernameClaim...))
	}
	if p.GroupsClaim != defaultGroupsClaim {
		options = append(options, []string{"groups_claim", p.GroupsClaim})
	}
	for _, local := range slices.Sorted(maps.Keys(p.Claims)) {
		if path := p.Claims[local]; path != local {
			options = append(options, []string{"claims", local, path})
		}
	}
	return options
}

// bindingOf returns what sessions of a resolved configuration are bound to.
// registration is the provider and our client id there.
func bindingOf(registration session.Binding, resolved *ProviderConfig) session.Binding {
	return registration.With(resolved.identityOptions()...)
}

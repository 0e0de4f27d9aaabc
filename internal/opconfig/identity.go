package opconfig

import (
	"maps"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file is about what a session is bound to: the provider, the client id there,
// and how the configuration identifies users. A session opens only where users are
// identified in the same way, so that a name or claim made by one site does not
// count at another.

// Registration returns the binding to the provider and the client id alone, which
// logins, logouts and outages use.
func (r *Resolved) Registration() session.Binding { return session.Bind(r.issuer(), r.ClientID) }

// Binding returns what sessions are bound to. It equals Registration if the options
// that identify users have their defaults.
func (r *Resolved) Binding() session.Binding { return r.Registration().With(r.identityOptions()...) }

// identityOptions returns the options that identify users and differ from their
// default.
func (r *Resolved) identityOptions() (options [][]string) {
	if !slices.Equal(r.UsernameClaim, defaultUsernameClaim) {
		options = append(options, append([]string{"username_claim"}, r.UsernameClaim...))
	}
	if r.GroupsClaim != defaultGroupsClaim {
		options = append(options, []string{"groups_claim", r.GroupsClaim})
	}
	for _, local := range slices.Sorted(maps.Keys(r.Claims)) {
		if path := r.Claims[local]; path != local {
			options = append(options, []string{"claims", local, path})
		}
	}
	return options
}

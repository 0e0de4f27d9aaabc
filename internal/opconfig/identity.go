package opconfig

import (
	"maps"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file says what a session is bound to: the provider, our client id there,
// and how the configuration reads who the user is. A session opens only where that
// is read in the same way, so that a name or claim that one site makes is not
// taken by another.

// Registration returns the provider and our client id there, which logins,
// logouts and outages are about.
func (r *Resolved) Registration() session.Binding { return session.Bind(r.issuer(), r.ClientID) }

// Binding returns what sessions are bound to. It is the registration where all
// options that say who a user is are at their default.
func (r *Resolved) Binding() session.Binding { return r.Registration().With(r.identityOptions()...) }

// identityOptions returns the options that say who a user is and are not at their
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

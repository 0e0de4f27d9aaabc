package opconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file is about what a session is bound to: the provider, the client id there,
// and how the configuration identifies users. A session opens only where users are
// identified in the same way, so that a name or claim made by one site does not
// count at another.

// Registration returns the binding to the provider and the client id alone. Logins,
// logouts and outages use it.
func (r *Resolved) Registration() session.Binding { return session.Bind(r.issuer(), r.ClientID) }

// Binding returns what sessions are bound to. It equals Registration if the options
// that identify users have their default values.
func (r *Resolved) Binding() session.Binding { return r.Registration().With(r.identityOptions()...) }

// identityOptions returns the options that identify users and differ from their
// defaults.
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
	for _, theirs := range slices.Sorted(maps.Keys(r.GroupNames)) {
		options = append(options, []string{"group_names", theirs, r.GroupNames[theirs]})
	}
	if r.EmailTrusted {
		options = append(options, []string{"email_trusted"})
	}
	for _, option := range r.identityLists() {
		if list := *option.list; len(list) > 0 && option.bound {
			options = append(options, append([]string{option.name}, slices.Sorted(slices.Values(list))...))
		}
	}
	return options
}

// list is an option whose order has no meaning.
type list struct {
	name  string
	list  *[]string
	bound bool // sessions are bound to it
}

// identityLists returns the lists that restrict what the provider is trusted for.
func (o *Options) identityLists() []list {
	return []list{{"groups", &o.Groups, true}, {"tenants", &o.Tenants, true}, {"domains", &o.Domains, true}, {"audiences", &o.Audiences, false}}
}

// expandIdentity resolves the options that identify users.
func (r *Resolved) expandIdentity() (err error) {
	lists := append(r.identityLists(), list{name: "username_claim", list: &r.UsernameClaim})
	for _, option := range lists {
		all := slices.Clone(*option.list)
		for i, text := range all {
			if all[i], err = r.expander.Expand(text); err != nil {
				return fmt.Errorf("%s: %w", option.name, err)
			}
		}
		*option.list = all
	}
	if r.GroupsClaim, err = r.expander.Expand(r.GroupsClaim); err != nil {
		return fmt.Errorf("groups_claim: %w", err)
	}
	r.Claims = maps.Clone(r.Claims)
	for local, path := range r.Claims {
		if r.Claims[local], err = r.expander.Expand(path); err != nil {
			return fmt.Errorf("claims %s: %w", local, err)
		}
	}
	return r.expandGroupNames()
}

// expandGroupNames resolves both names of a group.
func (r *Resolved) expandGroupNames() error {
	names := make(map[string]string, len(r.GroupNames))
	for written, local := range r.GroupNames {
		theirs, err := r.expander.Expand(written)
		if err == nil {
			local, err = r.expander.Expand(local)
		}
		if err != nil {
			return fmt.Errorf("groups: %w", err)
		}
		if _, twice := names[theirs]; twice {
			return fmt.Errorf("groups: %s appears twice", theirs)
		}
		names[theirs] = local
	}
	r.GroupNames = names
	return nil
}

// dropPlaceholders removes names that are unknown until placeholders are resolved.
func (o *Options) dropPlaceholders() {
	hasPlaceholder := func(text string) bool { return strings.Contains(text, "{") }
	for _, option := range o.identityLists() {
		*option.list = slices.DeleteFunc(slices.Clone(*option.list), hasPlaceholder)
	}
	o.GroupNames = maps.Clone(o.GroupNames)
	maps.DeleteFunc(o.GroupNames, func(theirs, local string) bool { return hasPlaceholder(theirs) || hasPlaceholder(local) })
}

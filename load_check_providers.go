package oidcrp

import (
	"maps"
	"slices"
	"strings"
)

// This file checks that instances of one site mean the same by the id of a
// provider.

// idsOf are the ids of an instance's providers.
func (c *siteCheck) idsOf(i *writtenInstance) []string {
	ids := slices.Concat(i.config.Providers, slices.Sorted(maps.Keys(i.config.OwnProviders)))
	if len(ids) == 0 {
		ids = slices.Sorted(maps.Keys(c.app.Providers))
	}
	return ids
}

func (c *siteCheck) ownProvider(i *writtenInstance, id string) *ProviderConfig {
	if p := i.config.OwnProviders[id]; p != nil {
		return p
	}
	return c.app.Providers[id]
}

// equalIDs is about two instances of one site that mean different providers by
// one id, or read users of it differently: the endpoints of one serve the
// logins of both.
func (c *siteCheck) equalIDs(i, other *writtenInstance) {
	if separateEndpoints(i, other) && c.session(i).Cookie.Name != c.session(other).Cookie.Name {
		return // they have nothing in common
	}
	for _, id := range slices.Sorted(maps.Keys(i.config.OwnProviders)) {
		p, q := i.config.OwnProviders[id], other.config.OwnProviders[id]
		if p == nil || q == nil {
			continue
		}
		own, theirs := identityOf(p), identityOf(q)
		for _, option := range slices.Sorted(maps.Keys(merged(own, theirs))) {
			if own[option] != theirs[option] {
				c.refuse(i.site, "provider %s: two instances of this site have different values of %s (%q and %q): one of them would not know the other's sessions; give the providers different ids, or the same options",
					id, option, theirs[option], own[option])
				break
			}
		}
	}
}

// separateEndpoints reports whether the endpoints of two instances are at different
// addresses.
func separateEndpoints(i, other *writtenInstance) bool {
	return orDefault(i.config.Endpoints, defaultEndpoints) != orDefault(other.config.Endpoints, defaultEndpoints)
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// identityOf are the options of a provider that say who its users are, each as
// it counts.
func identityOf(p *ProviderConfig) map[string]string {
	value := func(text string) string {
		if expanded, err := expand(text); err == nil {
			return expanded
		}
		return text
	}
	list := func(texts []string) string {
		values := make([]string, len(texts))
		for n, text := range texts {
			values[n] = value(text)
		}
		return strings.Join(values, " ")
	}
	issuer := value(p.Issuer)
	if issuer == "" {
		issuer = strings.TrimSuffix(value(p.ConfigurationURL), "/.well-known/openid-configuration")
	}
	all := map[string]string{
		"issuer": issuer, "client_id": value(p.ClientID),
		"username_claim": orDefault(list(p.UsernameClaim), "preferred_username sub"),
		"groups_claim":   orDefault(value(p.GroupsClaim), "groups"),
	}
	for local, path := range p.Claims {
		if path = value(path); path != local { // else it is the claim itself
			all["claims "+local] = path
		}
	}
	return all
}

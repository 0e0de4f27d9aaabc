package identity

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file determines which of the provider's groups exist at this site, and their
// names here.

// groupsEntry is the entry of a session's claims that holds the groups, if the
// claim that contains them is not kept. No claim has such a name.
const groupsEntry = "\x01groups"

// Groups returns the user's groups by their names at this site. It is nil if they
// are absent or not a list of names. The list must not be changed.
//
// With several providers, or several tenants of a provider, group names have the
// same prefix as user names, and slashes and percent signs in them are encoded, so
// that no provider or tenant can name a group of another. Groups to which the
// configuration gives a local name have no prefix, and neither have groups of
// access keys.
func (u User) Groups() claims.List {
	if !u.SignedIn() {
		return nil
	}
	if u.GroupsCache == nil {
		return u.readGroups()
	}
	if made := u.GroupsCache.Load(); made != nil {
		return *made
	}
	made := u.readGroups()
	u.GroupsCache.Store(&made)
	return made
}

func (u User) readGroups() claims.List {
	value, ok := u.Session.Claims.Get(groupsEntry)
	if !ok && !u.Mapping.limitsGroups() {
		value, ok = u.Session.Claims.Path(u.Mapping.Groups)
	}
	if !ok {
		return nil
	}
	list, _ := value.List()
	if u.Session.Kind == session.Key || !u.Several && u.Mapping.Tenants == "" {
		return list // the operator's own names
	}
	prefix := u.prefix()
	for i, name := range list {
		list[i] = claims.Encoded(name, "%/")
		if !u.Mapping.isLocalGroup(name) {
			list[i] = prefix + list[i]
		}
	}
	return list
}

// limitsGroups reports whether only some of the provider's groups exist here.
func (m *Mapping) limitsGroups() bool { return len(m.GroupList)+len(m.GroupNames) > 0 }

// isLocalGroup reports whether a name is a local name of a group.
func (m *Mapping) isLocalGroup(name string) bool {
	return slices.Contains(slices.Collect(maps.Values(m.GroupNames)), name)
}

// localGroups returns those of the provider's groups that exist here, by their
// names here.
func (m *Mapping) localGroups(theirs claims.List) claims.List {
	ours := make(claims.List, 0, len(theirs))
	for _, name := range theirs {
		local, ok := m.GroupNames[name]
		if !ok && slices.Contains(m.GroupList, name) {
			local, ok = name, true
		}
		if ok && !slices.Contains(ours, local) {
			ours = append(ours, local)
		}
	}
	return ours
}

// keptGroups returns what a session keeps of the groups claim.
func (m *Mapping) keptGroups(value claims.Value) json.RawMessage {
	if !m.limitsGroups() {
		return value.JSON()
	}
	theirs, ok := value.List()
	if !ok {
		return json.RawMessage("null")
	}
	ours, _ := json.Marshal(m.localGroups(theirs))
	return ours
}

// cutGroups removes the claim that contains the groups if only some of them exist
// here, so that the others do not make the session large. The claim stays if
// something else names it.
func (m *Mapping) cutGroups(n *Needs, kept map[string]json.RawMessage) {
	if name := claims.SplitPath(m.Groups)[0]; m.limitsGroups() && !m.makes(name) && !n.namesClaim(name) {
		delete(kept, name)
	}
}

// CanHaveGroup reports whether a user of the provider can have the named group at
// this site, according to the configuration. The user need not be signed in.
func (u User) CanHaveGroup(name string) bool {
	m := u.Mapping
	if !m.limitsGroups() {
		return true
	}
	if !u.Several && m.Tenants == "" {
		return slices.Contains(m.GroupList, name) || m.isLocalGroup(name)
	}
	encoded := func(group string) bool { return claims.Encoded(group, "%/") == name }
	if slices.ContainsFunc(slices.Collect(maps.Values(m.GroupNames)), encoded) {
		return true
	}
	if u.Prefixed {
		rest, ok := strings.CutPrefix(name, m.Provider+"/")
		if !ok {
			return false
		}
		name = rest
	}
	if m.Tenants != "" {
		tenant, rest, ok := strings.Cut(name, "/")
		if !ok || !m.hasTenant(tenant) {
			return false
		}
		name = rest
	}
	return slices.ContainsFunc(m.GroupList, encoded)
}

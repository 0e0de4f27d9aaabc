package identity

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// withheldEntry is the entry of a session's claims that lists the paths of
// unavailable claims. No claim has such a name.
const withheldEntry = "\x01withheld"

// withheld returns the needed claims that are unavailable, which is different from
// absent: userinfo failed, the provider marks them as distributed or too many
// (OpenID Connect Core 5.6.2), or the groups are unreadable. set are all claims of
// the sources.
func (m *Mapping) withheld(n *Needs, set claims.Set, from Sources) (paths []string) {
	for _, path := range n.Claims {
		if slices.Contains(paths, path) {
			continue
		}
		name := claims.SplitPath(m.sourceOf(path))[0]
		isWithheld := from.Lost || from.IDToken.Withholds(name) || from.Userinfo.Withholds(name)
		if isWithheld && !m.isSaid(path, from) || path == "groups" && m.hasUnreadableGroups(set) {
			paths = append(paths, path)
		}
	}
	return paths
}

// withoutMarked returns the claims of a source without those that are null and
// marked as being elsewhere.
func withoutMarked(all op.Claims) op.Claims {
	known := all
	for name, raw := range all {
		if string(raw) != "null" || !all.Withholds(name) {
			continue
		}
		if len(known) == len(all) {
			known = maps.Clone(all)
		}
		delete(known, name)
	}
	return known
}

// sourceOf returns the path of the provider's claim that a path refers to.
func (m *Mapping) sourceOf(path string) string {
	switch path {
	case "groups":
		path = m.Groups
	case groupsClaim:
		return "groups"
	}
	if local, ok := m.Claims[path]; ok {
		return BareClaim(local)
	}
	return path
}

// isSaid reports whether a source has a value at a path, including null.
func (m *Mapping) isSaid(path string, from Sources) bool {
	source := m.sourceOf(path)
	return from.has(source) || from.has(BareClaim(source))
}

// hasUnreadableGroups reports whether the groups claim is present but not a list of
// names.
func (m *Mapping) hasUnreadableGroups(set claims.Set) bool {
	value, ok := set.PathEach(m.sourceOf("groups"))
	return ok && groupsForm(value) != ""
}

// keepWithheld records which of the needed claims are unavailable.
func (m *Mapping) keepWithheld(n *Needs, kept map[string]json.RawMessage, set claims.Set, from Sources) {
	if paths := m.withheld(n, set, from); len(paths) > 0 {
		kept[withheldEntry], _ = json.Marshal(paths) // strings always marshal
	}
}

// keepUnknown records which of the needed claims are unknown after a refresh: the
// session had them, or did not know them, and no source has them now. New tokens
// may contain less than those of the login (OpenID Connect Core 12.2). Claims of
// userinfo are absent if userinfo was fetched. old is the previous session, and
// next its new claims.
func (m *Mapping) keepUnknown(n *Needs, old *session.Session, next claims.Set, from Sources) claims.Set {
	before, after := User{Mapping: m, Session: old}, User{Mapping: m, Session: &session.Session{Claims: next}}
	paths := withheldPaths(after.Session)
	count := len(paths)
	for _, path := range n.Claims {
		switch {
		case slices.Contains(paths, path), after.hasClaim(path), !before.hasClaim(path) && !before.Withholds(path):
		case path != "email" && m.isSaid(path, from), from.Userinfo != nil && m.isOfUserinfo(old, path):
		default:
			paths = append(paths, path)
		}
	}
	if len(paths) == count {
		return next
	}
	unknown, _ := json.Marshal(paths) // strings always marshal
	return withEntries(next, []string{withheldEntry}, map[string]json.RawMessage{withheldEntry: unknown})
}

// isOfUserinfo reports whether the value at a path came from userinfo when the
// session got its claims, or userinfo failed.
func (m *Mapping) isOfUserinfo(s *session.Session, path string) bool {
	names := []string{path, claims.SplitPath(BareClaim(path))[0]}
	if path == "groups" {
		names = append(names, groupsEntry, claims.SplitPath(m.Groups)[0])
	}
	return slices.ContainsFunc(names, s.FromUserinfo.Has)
}

// Withholds reports whether the value at a path is unavailable, rather than absent,
// in the session of a signed-in user.
func (u User) Withholds(path string) bool { return withholds(u.Session, path) }

func withholds(s *session.Session, path string) bool {
	return slices.Contains(withheldPaths(s), NeedOf(path))
}

func withheldPaths(s *session.Session) []string {
	value, ok := s.Claims.Get(withheldEntry)
	if !ok {
		return nil
	}
	paths, _ := value.List()
	return paths
}

// WithholdsPartOf reports whether the named claim, or a part of it, is unavailable.
func (u User) WithholdsPartOf(name string) bool {
	return slices.ContainsFunc(withheldPaths(u.Session), func(path string) bool {
		return path == name || claims.SplitPath(BareClaim(path))[0] == name
	})
}

// WithholdsAny reports whether any claim is unavailable.
func (u User) WithholdsAny() bool { return len(withheldPaths(u.Session)) > 0 }

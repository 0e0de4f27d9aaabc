package identity

import (
	"encoding/json"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// withheldEntry is the name under which a session's claims hold the paths of the
// claims that could not be had. No claim has such a name.
const withheldEntry = "\x01withheld"

// withheld returns the needed claims that could not be had, which is not the same
// as absent: userinfo failed, the provider marks them as distributed or as too many
// (Core 5.6.2), or the groups are in a form that cannot be read. set are all claims
// of the sources.
func (m *Mapping) withheld(n *Needs, set claims.Set, from Sources) (paths []string) {
	for _, path := range n.Claims {
		if slices.Contains(paths, path) {
			continue
		}
		source := path
		if local, ok := m.Claims[path]; ok {
			source = BareClaim(local)
		}
		switch path {
		case "groups":
			source = m.Groups
		case groupsClaim:
			source = "groups"
		}
		name := claims.SplitPath(source)[0]
		isHad := from.has(source) || from.has(BareClaim(source))
		isWithheld := from.Lost || from.IDToken.Withholds(name) || from.Userinfo.Withholds(name)
		if !isHad && isWithheld || path == "groups" && m.hasUnreadableGroups(set) {
			paths = append(paths, path)
		}
	}
	return paths
}

// hasUnreadableGroups reports whether the groups claim is there and is not a list of
// names.
func (m *Mapping) hasUnreadableGroups(set claims.Set) bool {
	value, ok := set.PathEach(m.Groups)
	return ok && groupsForm(value) != ""
}

// keepWithheld notes which of the needed claims could not be had.
func (m *Mapping) keepWithheld(n *Needs, kept map[string]json.RawMessage, set claims.Set, from Sources) {
	if paths := m.withheld(n, set, from); len(paths) > 0 {
		kept[withheldEntry], _ = json.Marshal(paths) // strings always marshal
	}
}

// Withholds reports whether what a session does not have at a path could not be
// had when it was needed, so that it is unknown and not absent. It is for
// signed-in users.
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

// WithholdsPartOf reports whether a claim of this name, or a part of it, could not
// be had when it was needed.
func (u User) WithholdsPartOf(name string) bool {
	return slices.ContainsFunc(withheldPaths(u.Session), func(path string) bool {
		return path == name || claims.SplitPath(BareClaim(path))[0] == name
	})
}

// WithholdsAny reports whether any claim could not be had when it was needed.
func (u User) WithholdsAny() bool { return len(withheldPaths(u.Session)) > 0 }

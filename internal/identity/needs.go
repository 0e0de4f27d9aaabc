package identity

import (
	"maps"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// The names that stand for tokens among those of claims, and one that every login
// requests: so no set of names is empty, as those of earlier releases are.
const (
	needAccessToken  = "\x01access_token"
	needIDToken      = "\x01id_token"
	needRefreshToken = "\x01refresh_token"
	needSubject      = "sub"
)

// Needs is what instances need of a session: what logins request and keep. Which
// instance serves a callback is chance, so logins use the union over all instances
// that share sessions, which is made by Union.
type Needs struct {
	// Claims are the paths that upstream headers and placeholders name.
	Claims []string
	// Kept are the paths of `session { claims … }`; KeepAll is set without it.
	Kept    []string
	KeepAll bool
	// The tokens that applications receive, and that refreshes use.
	AccessToken, IDToken, RefreshToken bool

	names session.Names // of all that
	// more are names that another instance requested and this one does not know:
	// one of a newer configuration, or on another node.
	more session.Names
}

// Union returns what all these instances need together.
func Union(instances ...Needs) *Needs {
	n := new(Needs)
	for _, one := range instances {
		n.Claims = append(n.Claims, one.Claims...)
		n.Kept = append(n.Kept, one.Kept...)
		n.KeepAll = n.KeepAll || one.KeepAll
		n.AccessToken = n.AccessToken || one.AccessToken
		n.IDToken = n.IDToken || one.IDToken
		n.RefreshToken = n.RefreshToken || one.RefreshToken
	}
	n.names = session.NamesOf(n.list()...)
	return n
}

// Names returns the names of all that a login requests, for its transaction and
// its session.
func (n *Needs) Names() session.Names { return n.names }

// With returns these needs of a union together with what was requested before, by
// the transaction or the session at hand.
func (n *Needs) With(before session.Names) *Needs {
	both := *n
	both.more = before.Without(n.names)
	both.names = n.names.And(before)
	both.AccessToken = n.AccessToken || before.Has(needAccessToken)
	both.IDToken = n.IDToken || before.Has(needIDToken)
	both.RefreshToken = n.RefreshToken || before.Has(needRefreshToken)
	return &both
}

// list returns the names of all that is needed.
func (n *Needs) list() []string {
	names := []string{needSubject}
	for _, path := range n.Claims {
		names = append(names, path, claims.SplitPath(path)[0])
	}
	for name, needed := range map[string]bool{needAccessToken: n.AccessToken, needIDToken: n.IDToken, needRefreshToken: n.RefreshToken} {
		if needed {
			names = append(names, name)
		}
	}
	return names
}

// keeps reports whether a session keeps a claim: all are kept, or it is in the
// list of claims to keep, or something names it.
func (n *Needs) keeps(name string) bool {
	begins := func(path string) bool { return path == name || claims.SplitPath(path)[0] == name }
	if n.KeepAll || slices.ContainsFunc(n.Kept, begins) || n.more.Has(name) {
		return true
	}
	return slices.ContainsFunc(n.Claims, func(path string) bool {
		return begins(path) || path == "email" && name == "email_verified"
	})
}

// lacksMore reports whether another instance requested a claim that is not known
// here and not in the ID token.
func (n *Needs) lacksMore(idToken op.Claims) bool {
	if n.more == "" {
		return false
	}
	there := append(slices.Collect(maps.Keys(idToken)), needAccessToken, needIDToken, needRefreshToken)
	return n.more.Without(session.NamesOf(there...)) != ""
}

// NeedsUserinfo reports whether a claim that is needed is not in the ID token, so
// that the policy UserinfoAuto calls for userinfo. The first username claim counts
// as needed, since it comes before those that are there.
func (m *Mapping) NeedsUserinfo(n *Needs, idToken op.Claims) bool {
	lacks := func(path string) bool { return !present(idToken, path) }
	if !m.IsNamedBy(idToken) {
		return true
	}
	for _, path := range m.Claims {
		if lacks(BareClaim(path)) {
			return true
		}
	}
	lacksGroups := !presentEach(idToken, m.Groups)
	if m.GroupsNamed && lacksGroups {
		return true
	}
	for _, path := range n.Claims {
		if path == "groups" || path == m.Groups {
			if lacksGroups {
				return true
			}
			continue
		}
		if _, local := m.Claims[path]; !local && lacks(path) {
			return true
		}
	}
	return n.lacksMore(idToken)
}

// IsOutdated reports whether the login of a session did not request a claim or
// token that an instance needs. A claim that was requested and that the provider
// does not send makes no session outdated. Sessions of earlier releases, which do
// not know what was requested, are not outdated.
func (u User) IsOutdated(n *Needs) bool {
	s := u.Session
	if s.Requested == "" {
		return false
	}
	lacks := func(name string, has bool) bool { return !has && !s.Requested.Has(name) }
	for _, path := range n.Claims {
		if lacks(path, u.hasClaim(path)) {
			return true
		}
	}
	return n.AccessToken && lacks(needAccessToken, s.AccessToken != "") ||
		n.IDToken && lacks(needIDToken, s.IDToken != "") ||
		n.RefreshToken && lacks(needRefreshToken, s.Grant.RefreshToken != "")
}

// hasClaim reports whether the session holds what a path names.
func (u User) hasClaim(path string) bool {
	if path == "groups" {
		return u.Groups() != nil
	}
	_, ok := u.Session.Claims.Path(path)
	return ok
}

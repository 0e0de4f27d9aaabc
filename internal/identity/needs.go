package identity

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// The names that stand for tokens and facts of the sign-in among those of claims,
// and one that every login requests: so no set of names is empty, as those of
// earlier releases are.
const (
	needAccessToken  = "\x01access_token"
	needIDToken      = "\x01id_token"
	needRefreshToken = "\x01refresh_token"
	needRecheck      = "\x01recheck"
	needACR          = "\x01acr"
	needAMR          = "\x01amr"
	needAuthTime     = "\x01auth_time"
	needTenant       = "\x01tenant"
	needScopes       = "\x01scopes"
	needSources      = "\x01sources"
	needSubject      = "sub"
)

// groupsClaim is the claim groups as the provider sends it. The path groups alone
// stands for the user's groups.
const groupsClaim = "claims.groups"

// NeedOf returns a claim path as Needs has it: without `claims.` in front, except
// for the claim groups.
func NeedOf(path string) string {
	if path == groupsClaim {
		return path
	}
	return BareClaim(path)
}

// Needs is what instances need of a session: what logins request and keep. Which
// instance serves a callback is chance, so logins use the union over all instances
// that share sessions, which is made by Union.
type Needs struct {
	// Claims are the paths that upstream headers, placeholders and rules name. Of
	// groups and claims.groups, the first are the user's groups and the second the
	// provider's claim.
	Claims []string
	// Ruled are those of Claims that rules name. A session that may lack one of them
	// must not decide.
	Ruled []string
	// Kept are the paths of `session { claims … }`; KeepAll is set without it.
	Kept    []string
	KeepAll bool
	// The tokens that applications receive, and that refreshes use.
	AccessToken, IDToken, RefreshToken bool
	// Recheck reports whether claims are refreshed when they are old: with the
	// access token if there is no refresh token.
	Recheck bool
	// The facts of the sign-in that rules name, see the methods of User.
	ACR, AMR, AuthTime, Tenant, Scopes bool
	// Sources reports whether sessions keep the claims as the provider has sent them,
	// for the sites that they are handed over to.
	Sources bool

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
		n.Ruled = append(n.Ruled, one.Ruled...)
		n.Kept = append(n.Kept, one.Kept...)
		n.KeepAll = n.KeepAll || one.KeepAll
		theirs := one.switches()
		for i, s := range n.switches() {
			*s.on = *s.on || *theirs[i].on
		}
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
	for _, s := range both.switches() {
		*s.on = *s.on || before.Has(s.name)
	}
	return &both
}

// needSwitch is a part of what is needed that has no name of a claim.
type needSwitch struct {
	name string
	on   *bool
	// isFact reports whether it is a fact of the sign-in, and not a token.
	isFact bool
	// has reports whether a session has it.
	has func(User) bool
}

// needSwitches are all of them: an array, since each new session is looked at.
type needSwitches [10]needSwitch

// switches returns the parts of n that have no name of a claim.
func (n *Needs) switches() needSwitches {
	return needSwitches{
		{needAccessToken, &n.AccessToken, false, func(u User) bool { return u.Session.AccessToken != "" && u.Session.TokenKey == "" }},
		{needIDToken, &n.IDToken, false, func(u User) bool { return u.Session.IDToken != "" }},
		{needRefreshToken, &n.RefreshToken, false, func(u User) bool { return u.Session.Grant.RefreshToken != "" }},
		{needRecheck, &n.Recheck, false, func(User) bool { return true }}, // what is missing is noticed when it is due
		{needACR, &n.ACR, true, func(u User) bool { return len(u.ACR()) > 0 }},
		{needAMR, &n.AMR, true, func(u User) bool { return len(u.AMR()) > 0 }},
		{needAuthTime, &n.AuthTime, true, func(u User) bool { return !u.AuthTime().IsZero() }},
		{needTenant, &n.Tenant, true, func(u User) bool { return u.Tenant() != "" }},
		{needScopes, &n.Scopes, true, func(u User) bool { return len(u.Scopes()) > 0 }},
		{needSources, &n.Sources, false, func(User) bool { return true }}, // what is missing is noticed at a handover
	}
}

// list returns the names of all that is needed.
func (n *Needs) list() []string {
	names := []string{needSubject}
	for _, path := range n.Claims {
		if path == groupsClaim {
			names = append(names, path)
			path = BareClaim(path)
		}
		names = append(names, path, claims.SplitPath(path)[0])
	}
	for _, s := range n.switches() {
		if *s.on {
			names = append(names, s.name)
		}
	}
	return names
}

// keeps reports whether a session keeps a claim: all are kept, or it is in the
// list of claims to keep, or something names it.
func (n *Needs) keeps(name string) bool {
	begins := func(path string) bool {
		return path == name || claims.SplitPath(path)[0] == name || path == "email" && name == "email_verified"
	}
	if n.KeepAll || slices.ContainsFunc(n.Kept, begins) || n.more.Has(name) {
		return true
	}
	return slices.ContainsFunc(n.Claims, func(path string) bool { return begins(path) || path == groupsClaim && name == "groups" })
}

// namesClaim reports whether something names a claim, or a part of it, as the
// provider sends it.
func (n *Needs) namesClaim(name string) bool {
	if name == "groups" {
		named := func(path string) bool { return path == groupsClaim || strings.HasPrefix(path, "groups.") }
		return slices.ContainsFunc(n.Claims, named) || slices.ContainsFunc(n.Kept, named) || n.more.Has(groupsClaim)
	}
	begins := func(path string) bool { return path == name || claims.SplitPath(path)[0] == name }
	return slices.ContainsFunc(n.Claims, begins) || slices.ContainsFunc(n.Kept, begins) || n.more.Has(name)
}

// lacksMore reports whether another instance requested a claim that is not known
// here and not in the ID token.
func (n *Needs) lacksMore(idToken op.Claims) bool {
	if n.more == "" {
		return false
	}
	there := slices.Collect(maps.Keys(idToken))
	for _, s := range n.switches() {
		there = append(there, s.name)
	}
	if idToken["groups"] != nil {
		there = append(there, groupsClaim)
	}
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
		if path == groupsClaim {
			path = BareClaim(path)
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
// not know what was requested, are outdated only for facts of the sign-in and for
// claims that rules name.
func (u User) IsOutdated(n *Needs) bool {
	requested, needed := u.Session.Requested, n.Claims
	if requested == "" {
		needed = n.Ruled
	}
	for _, s := range n.switches() {
		if *s.on && !s.has(u) && !requested.Has(s.name) && (s.isFact || requested != "") {
			return true
		}
	}
	return slices.ContainsFunc(needed, func(path string) bool {
		return !u.hasClaim(path) && !requested.Has(u.Mapping.requestName(path))
	})
}

// requestName returns the name by which a login requested what a path names: one for
// both groups and the claim groups, if all of the provider's groups exist here.
func (m *Mapping) requestName(path string) string {
	if path == groupsClaim && !m.limitsGroups() {
		return BareClaim(path)
	}
	return path
}

// hasClaim reports whether the session holds what a path names; for an address, also
// whether it is verified.
func (u User) hasClaim(path string) bool {
	switch path {
	case "groups":
		return u.Groups() != nil
	case "email":
		if _, known := u.Session.Claims.Get("email_verified"); !known && !u.Mapping.EmailTrusted {
			return false
		}
	case groupsClaim:
		path = BareClaim(path)
	}
	_, ok := u.Session.Claims.Path(path)
	return ok
}

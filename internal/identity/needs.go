package identity

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Names for tokens and for facts of the sign-in, which are not claims, and one that
// every login requests. Because of the latter no set of names is empty, except for
// those of earlier releases.
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

// groupsClaim is the path of the claim groups as the provider sends it. The path
// groups means the user's groups.
const groupsClaim = "claims.groups"

// NeedOf returns a claim path in the form of Needs: without the prefix `claims.`,
// except for the claim groups.
func NeedOf(path string) string {
	if path == groupsClaim {
		return path
	}
	return BareClaim(path)
}

// Needs is what instances need from a session: what logins request and keep. Any
// instance may serve a callback, so logins use the union of all instances that
// share sessions; see Union.
type Needs struct {
	// Claims are the claim paths in upstream headers, placeholders and rules.
	// groups means the user's groups, and claims.groups the provider's claim.
	Claims []string
	// Ruled are those of Claims that are in rules. A session that may lack one of
	// them must not decide.
	Ruled []string
	// Kept are the paths of `session { claims … }`. Without that option, KeepAll is
	// set.
	Kept    []string
	KeepAll bool
	// The tokens for applications and refreshes.
	AccessToken, IDToken, RefreshToken bool
	// Recheck reports whether claims are rechecked, which needs the access token if
	// there is no refresh token.
	Recheck bool
	// Facts of the sign-in that rules use; see the methods of User.
	ACR, AMR, AuthTime, Tenant, Scopes bool
	// Sources reports whether sessions keep the claims as the provider sent them,
	// for sites that they are handed over to.
	Sources bool

	names session.Names // all of the above
	// more are names that another instance requested, of a newer configuration or
	// on another node, and that this one does not know.
	more session.Names
}

// Union returns the combined needs of instances.
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

// Names returns the names of everything that a login requests, for its transaction
// and session.
func (n *Needs) Names() session.Names { return n.names }

// With returns these needs and what was requested before, by the transaction or the
// session at hand.
func (n *Needs) With(before session.Names) *Needs {
	both := *n
	both.more = before.Without(n.names)
	both.names = n.names.And(before)
	for _, s := range both.switches() {
		*s.on = *s.on || before.Has(s.name)
	}
	return &both
}

// needSwitch is a need that is not a claim.
type needSwitch struct {
	name string
	on   *bool
	// isFact reports whether it is a fact of the sign-in, and not a token.
	isFact bool
	// has reports whether a session has it.
	has func(User) bool
}

// needSwitches is an array, to avoid allocations for each new session.
type needSwitches [10]needSwitch

// switches returns the needs that are not claims.
func (n *Needs) switches() needSwitches {
	return needSwitches{
		{needAccessToken, &n.AccessToken, false, func(u User) bool { return u.Session.AccessToken != "" && u.Session.TokenKey == "" }},
		{needIDToken, &n.IDToken, false, func(u User) bool { return u.Session.IDToken != "" }},
		{needRefreshToken, &n.RefreshToken, false, func(u User) bool { return u.Session.Grant.RefreshToken != "" }},
		{needRecheck, &n.Recheck, false, func(User) bool { return true }}, // checked when it is due
		{needACR, &n.ACR, true, func(u User) bool { return len(u.ACR()) > 0 }},
		{needAMR, &n.AMR, true, func(u User) bool { return len(u.AMR()) > 0 }},
		{needAuthTime, &n.AuthTime, true, func(u User) bool { return !u.AuthTime().IsZero() }},
		{needTenant, &n.Tenant, true, func(u User) bool { return u.Tenant() != "" }},
		{needScopes, &n.Scopes, true, func(u User) bool { return len(u.Scopes()) > 0 }},
		{needSources, &n.Sources, false, func(User) bool { return true }}, // checked at a handover
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

// keeps reports whether a session keeps a claim: because all are kept, it is in the
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

// namesClaim reports whether something names a claim of the provider, or a part of
// it.
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

// NeedsUserinfo reports whether the ID token lacks a needed claim, so that the
// policy UserinfoAuto calls userinfo. The first username claim is needed, since it
// takes precedence over others.
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
// token that an instance needs. Claims that were requested but not sent do not make
// a session outdated. Sessions of earlier releases, which do not record what was
// requested, are outdated only for facts of the sign-in and for claims in rules.
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

// requestName returns the name by which a login requests a path. It is the same for
// groups and the claim groups if all groups exist here.
func (m *Mapping) requestName(path string) string {
	if path == groupsClaim && !m.limitsGroups() {
		return BareClaim(path)
	}
	return path
}

// hasClaim reports whether the session has the claim at a path; for email, also
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

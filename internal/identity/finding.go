package identity

import (
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Finding is something that the configuration names and the provider did not send
// as expected. Callers log it; it does not fail the login.
type Finding struct {
	Kind FindingKind
	Name string // the claim or scope, or the path of the groups
	// Detail is what was found instead, for some kinds.
	Detail string
}

// FindingKind is the kind of a finding.
type FindingKind int

// The kinds of findings.
const (
	// ClaimAbsent means that neither the ID token nor userinfo has a claim.
	ClaimAbsent FindingKind = iota
	// EmailUnverified means that the e-mail address does not count as verified.
	// Detail is why.
	EmailUnverified
	// GroupsUnreadable means that the groups claim is not a list of names. Detail
	// is its form.
	GroupsUnreadable
	// GroupsWithheld means that the provider omitted the groups because there are
	// too many. They remain absent, so that unknown groups grant nothing, but rules
	// such as «not in this group» must not fail silently.
	GroupsWithheld
	// ScopeNotGranted means that the provider did not grant a requested scope.
	ScopeNotGranted
	// ClaimGone means that a recheck by userinfo did not find a claim that the
	// session had.
	ClaimGone
	// SessionExpiryUnreadable means that session_expiry is not a number of seconds.
	SessionExpiryUnreadable
)

// Missing returns what a login did not bring although the configuration names it:
// claims, a verified address, and scopes, of those that were requested besides
// openid.
func (m *Mapping) Missing(n *Needs, scopes []string, tokens op.Tokens, from Sources) (findings []Finding) {
	named := slices.Clone(n.Claims)
	for local, path := range m.Claims {
		named = append(slices.DeleteFunc(named, func(name string) bool { return name == local }), path)
	}
	if m.GroupsNamed {
		named = append(named, "groups")
	}
	for _, path := range named {
		if path == "groups" {
			path = m.Groups
		}
		switch {
		case !from.has(path) && !from.has(BareClaim(path)):
			findings = append(findings, Finding{Kind: ClaimAbsent, Name: BareClaim(path)})
		case path == "email":
			findings = append(findings, m.unverifiedEmail(from)...)
		}
	}
	return append(findings, scopesNotGranted(scopes, tokens)...)
}

// unverifiedEmail returns a finding if the e-mail address does not count as
// verified. Like for kept claims, the source is the one that has an address.
func (m *Mapping) unverifiedEmail(from Sources) []Finding {
	source := from.Userinfo
	if present(from.IDToken, "email") {
		source = from.IDToken
	}
	flaw := m.emailFlaw(source)
	if flaw == "" {
		return nil
	}
	return []Finding{{Kind: EmailUnverified, Name: "email", Detail: flaw}}
}

// groupsForm describes a value that cannot be read as groups; "" for a list of
// names and for null.
func groupsForm(value claims.Value) string {
	raw := value.JSON()
	if _, ok := value.List(); ok || string(raw) == "null" {
		return ""
	}
	switch {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "a list with other members than names"
	case raw[0] == 't', raw[0] == 'f':
		return "a boolean"
	}
	return "a single value"
}

// scopesNotGranted returns the requested scopes that were not granted. A token
// response without scope grants all (RFC 6749, section 5.1).
func scopesNotGranted(requested []string, tokens op.Tokens) (findings []Finding) {
	granted := strings.Fields(tokens.Scope)
	if len(granted) == 0 {
		return nil
	}
	for _, scope := range requested {
		// Some providers answer with other names: Google's email becomes
		// https://www.googleapis.com/auth/userinfo.email.
		isGranted := slices.ContainsFunc(granted, func(name string) bool {
			return name == scope || strings.HasSuffix(name, "/"+scope) || strings.HasSuffix(name, "/userinfo."+scope)
		})
		if !isGranted && (scope != "offline_access" || tokens.RefreshToken == "") {
			findings = append(findings, Finding{Kind: ScopeNotGranted, Name: scope})
		}
	}
	return findings
}

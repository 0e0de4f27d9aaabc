package identity

import (
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Finding is something that a configuration names and that a provider did not
// send as the configuration counts on. Callers log it: no login fails for it.
type Finding struct {
	Kind FindingKind
	Name string // of the claim or scope, or the path of the groups
	// Detail is what was there instead, for the kinds that say so.
	Detail string
}

// FindingKind is what kind of thing is missing.
type FindingKind int

// The kinds of findings.
const (
	// ClaimAbsent: neither the ID token nor userinfo has a claim.
	ClaimAbsent FindingKind = iota
	// EmailUnverified: the e-mail address does not count as verified. Detail is why.
	EmailUnverified
	// GroupsUnreadable: the groups claim is not a list of names. Detail is its form.
	GroupsUnreadable
	// GroupsWithheld: the provider left the groups out because they are too many.
	// They stay absent, so that nothing is granted for a group that is not known.
	// But a rule such as «not in this group» must not fail silently.
	GroupsWithheld
	// ScopeNotGranted: the provider did not grant a scope that was requested.
	ScopeNotGranted
	// ClaimGone: a recheck by userinfo does not find a claim that the session had.
	ClaimGone
	// SessionExpiryUnreadable: session_expiry is not a number of seconds. Detail
	// says so.
	SessionExpiryUnreadable
)

// Missing returns what a login did not bring although the configuration names it:
// claims, a verified address, and scopes, of those that were requested beside
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

// unverifiedEmail finds out whether the e-mail address counts. Its source is
// chosen by whether the address is present, as for the claims that are kept.
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

// groupsForm returns what a value is, in words, if it cannot be read as groups;
// empty for a list of names and for null.
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

// scopesNotGranted returns which of the requested scopes were not granted. A token
// response that names none grants all (RFC 6749 5.1).
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

package identity

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// protocolClaims are about the token rather than the user. They are not kept.
var protocolClaims = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash",
	"sid", "_claim_names", "_claim_sources",
}

// signInClaims are about the sign-in. Only an ID token can have them.
var signInClaims = []string{"acr", "acrs", "amr", "auth_time", "tid"}

// DropSignInClaims removes from userinfo the claims about the sign-in, for which it
// cannot vouch.
func DropSignInClaims(info op.Claims) {
	for _, name := range signInClaims {
		delete(info, name)
	}
}

// selection is what a session keeps of the claims.
type selection struct {
	claims       claims.Set
	fromUserinfo session.Names // the kept claims whose values come from userinfo
	findings     []Finding
}

// selectClaims returns the claims of a session: those of userinfo, overridden by
// those of the ID token, which is signed, and those that the configuration derives.
// putFacts adds the facts of the sign-in.
func (m *Mapping) selectClaims(n *Needs, from Sources, putFacts func(kept map[string]json.RawMessage)) (selected selection, err error) {
	from.IDToken, from.Userinfo = withoutMarked(from.IDToken), withoutMarked(from.Userinfo)
	all := make(map[string]json.RawMessage, len(from.IDToken)+len(from.Userinfo))
	maps.Copy(all, from.Userinfo)
	maps.Copy(all, from.IDToken)
	delete(all, "email_verified")
	if raw, ok := from.ofEmail()["email_verified"]; ok {
		all["email_verified"] = raw
	}
	set, err := claims.Encode(all)
	if err != nil {
		return selected, err
	}
	kept := make(map[string]json.RawMessage, len(all))
	for name, raw := range all {
		if isKeepable(name) {
			kept[name] = raw
		}
	}
	for local, path := range m.Claims {
		m.setLocal(kept, local, path, set)
	}
	if !n.KeepAll {
		maps.DeleteFunc(kept, func(name string, _ json.RawMessage) bool { return !n.keeps(name) })
	}
	selected.findings = m.selectGroups(n, kept, set, from)
	m.keepWithheld(n, kept, set, from)
	putFacts(kept)
	if selected.claims, err = claims.Encode(kept); err != nil {
		return selected, err
	}
	selected.fromUserinfo = m.namesFromUserinfo(n, kept, from)
	return selected, nil
}

// isKeepable reports whether a session can hold a claim of this name.
func isKeepable(name string) bool {
	return !slices.Contains(protocolClaims, name) && !strings.ContainsFunc(name, isControl)
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// setLocal sets a claim that the configuration derives from another one. If that is
// absent, so is this one, even if the provider sends a claim of its name.
func (m *Mapping) setLocal(kept map[string]json.RawMessage, local, path string, set claims.Set) {
	if local == path {
		return
	}
	if value, ok := m.valueAt(set, path); ok {
		kept[local] = value.JSON()
	} else {
		delete(kept, local)
	}
	if local == "email" {
		delete(kept, "email_verified") // it vouches for another claim
	}
}

// selectGroups keeps the user's groups separately if the claim that contains them
// is not kept. It reports groups that are withheld or unreadable.
func (m *Mapping) selectGroups(n *Needs, kept map[string]json.RawMessage, set claims.Set, from Sources) (findings []Finding) {
	source := m.sourceOf("groups")
	name := claims.SplitPath(source)[0]
	value, ok := set.PathEach(source)
	m.cutGroups(n, kept)
	switch {
	case ok && n.keeps("groups") && (m.limitsGroups() || !present(kept, m.Groups)):
		kept[groupsEntry] = m.keptGroups(value) // without the claim that contains them
	case !ok && (n.keeps("groups") || n.keeps(name)) && (from.IDToken.Withholds(name) || from.Userinfo.Withholds(name)):
		findings = append(findings, Finding{Kind: GroupsWithheld, Name: name})
	}
	if ok {
		if form := groupsForm(value); form != "" {
			findings = append(findings, Finding{Kind: GroupsUnreadable, Name: source, Detail: form})
		}
	}
	return findings
}

// namesFromUserinfo returns the names of the kept claims whose values come from
// userinfo. If userinfo failed, these are the needed ones that only it could have.
func (m *Mapping) namesFromUserinfo(n *Needs, kept map[string]json.RawMessage, from Sources) session.Names {
	var names []string
	if from.Lost {
		for _, path := range n.Claims {
			if name := claims.SplitPath(m.sourceOf(path))[0]; !m.isSaid(path, from) && !from.IDToken.Withholds(name) {
				names = append(names, path)
			}
		}
		return session.NamesOf(names...)
	}
	if len(from.Userinfo) == 0 {
		return ""
	}
	for name := range kept {
		source := name
		if path, local := m.Claims[name]; local {
			source = BareClaim(path)
		}
		switch name {
		case groupsEntry:
			source = m.Groups
		case "email_verified":
			source = "email"
		}
		if !presentEach(from.IDToken, source) && presentEach(from.Userinfo, source) {
			names = append(names, name)
		}
	}
	return session.NamesOf(names...)
}

// LargestClaims returns the names of a session's largest claims, at most count,
// each with its size. m may be nil.
func (m *Mapping) LargestClaims(s *session.Session, count int) []string {
	largest := s.Claims.Largest(count)
	if m == nil {
		return largest
	}
	for i, claim := range largest {
		if size, isGroups := strings.CutPrefix(claim, groupsEntry); isGroups {
			largest[i] = m.Groups + size
		}
		if size, isSources := strings.CutPrefix(claim, sourcesEntry); isSources {
			largest[i] = "all that login_for hands over" + size
		}
	}
	return largest
}

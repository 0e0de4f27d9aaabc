package identity

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file updates a session after a token refresh. The session's user never
// changes, and its lifetime is never extended.

// ApplyTokens stores verified tokens in a session, and removes the facts of the
// sign-in that a new ID token does not repeat. idToken is nil if the refresh
// brought none, which is allowed (OpenID Connect Core 12.2).
func ApplyTokens(n *Needs, fresh *session.Session, tokens op.Tokens, idToken op.Claims) {
	fresh.AccessTokenExpires = tokens.Expires
	reduceFacts(fresh, tokens, idToken)
	// Replace an existing token even if it is not needed, so that it does not
	// become stale.
	if fresh.AccessToken != "" || n.AccessToken && tokens.Key == nil { // see User.AccessToken
		fresh.AccessToken = tokens.AccessToken
	}
	if idToken == nil {
		return
	}
	if fresh.IDToken != "" || n.IDToken {
		fresh.IDToken = tokens.IDToken
	}
}

// Replace replaces the claims of a session by those of a new ID token and userinfo,
// as a login does. If it fails, the session is unchanged.
func (m *Mapping) Replace(n *Needs, fresh *session.Session, from Sources) ([]Finding, error) {
	selected, err := m.selectClaims(n, from, func(kept map[string]json.RawMessage) {
		copyFacts(kept, fresh)
		replaceSources(n, kept, fresh, from)
	})
	if err != nil {
		return selected.findings, err
	}
	fresh.Claims, fresh.FromUserinfo = m.keepUnknown(n, fresh, selected.claims, from), selected.fromUserinfo
	if name, err := m.Username(from); err == nil {
		fresh.Username = name
	}
	return selected.findings, nil
}

// ReplaceByUserinfo replaces the claims of a session by those of userinfo, for a
// recheck without an ID token. Claims that userinfo does not have are removed,
// whatever their source, except for those about the sign-in, which only an ID token
// can have. The user's name changes only with the first of the claims that can name
// users. If it fails, the session is unchanged.
func (m *Mapping) ReplaceByUserinfo(n *Needs, fresh *session.Session, info op.Claims) ([]Finding, error) {
	from := Sources{Userinfo: info}
	selected, err := m.selectClaims(n, from, func(kept map[string]json.RawMessage) {
		copyFacts(kept, fresh)
		fresh.Claims.Each(func(name string, value claims.Value) bool {
			if m.isOfSignIn(name) {
				kept[name] = value.JSON()
			}
			return true
		})
		replaceSources(n, kept, fresh, from)
	})
	if err != nil {
		return selected.findings, err
	}
	findings := append(selected.findings, m.gone(n, fresh, from)...)
	fresh.Claims, fresh.FromUserinfo = m.keepUnknown(n, fresh, selected.claims, from), selected.fromUserinfo
	if m.IsNamedBy(info) {
		if name, err := m.Username(from); err == nil {
			fresh.Username = name
		}
	}
	return findings, nil
}

// isOfSignIn reports whether a kept claim is about the sign-in, under its own name
// or a local one.
func (m *Mapping) isOfSignIn(name string) bool {
	if path, local := m.Claims[name]; local {
		name = claims.SplitPath(BareClaim(path))[0]
	}
	return slices.Contains(signInClaims, name)
}

// gone returns the claims in the configuration that a session has and its next
// claims do not have.
func (m *Mapping) gone(n *Needs, old *session.Session, next Sources) (findings []Finding) {
	u := User{Mapping: m, Session: old}
	for _, f := range m.Missing(n, nil, op.Tokens{}, next) {
		name := f.Name
		if name == m.Groups {
			name = "groups"
		}
		if f.Kind == ClaimAbsent && u.hasClaim(name) && !m.isOfSignIn(name) {
			findings = append(findings, Finding{Kind: ClaimGone, Name: f.Name})
		}
	}
	return findings
}

// Merge merges new userinfo into the claims of a session, for a refresh without an
// ID token. Of the claims that it does not have, those that came from userinfo are
// removed; those of the ID token remain, as does the user's name. If it fails, the
// session is unchanged.
func (m *Mapping) Merge(n *Needs, fresh *session.Session, info op.Claims) error {
	old := make(map[string]json.RawMessage)
	fresh.Claims.Each(func(name string, value claims.Value) bool {
		old[name] = value.JSON()
		return true
	})
	info = withoutMarked(info)
	kept, fromUserinfo, err := m.merge(n, old, fresh.FromUserinfo, info)
	if err != nil {
		return err
	}
	mergeSources(kept, fresh, info)
	set, err := claims.Encode(kept)
	if err != nil {
		return err
	}
	fresh.Claims, fresh.FromUserinfo = m.keepUnknown(n, fresh, set, Sources{Userinfo: info}), fromUserinfo
	return nil
}

// merge returns the claims of old updated by userinfo, and the names of those that
// come from it. wasUserinfo are those that came from userinfo before.
func (m *Mapping) merge(n *Needs, old map[string]json.RawMessage, wasUserinfo session.Names, info op.Claims) (map[string]json.RawMessage, session.Names, error) {
	set, err := claims.Encode(info)
	if err != nil {
		return nil, "", err
	}
	kept := maps.Clone(old)
	maps.DeleteFunc(kept, func(name string, _ json.RawMessage) bool { return wasUserinfo.Has(name) })
	var names []string
	put := func(name string, raw json.RawMessage) {
		kept[name] = raw
		names = append(names, name)
	}
	if _, ok := info["email"]; ok {
		delete(kept, "email_verified") // it vouched for the old address
	}
	for name, raw := range info {
		path, local := m.Claims[name]
		_, was := old[name]
		switch {
		case local && path != name, !isKeepable(name), !n.keeps(name):
		case name == "email_verified" && info["email"] == nil:
		case was, wasUserinfo != "", n.names.Has(name), name == claims.SplitPath(m.Groups)[0]:
			put(name, raw)
		}
	}
	for local, path := range m.Claims {
		if value, ok := m.valueAt(set, path); ok && local != path && n.keeps(local) {
			put(local, value.JSON())
			if local == "email" {
				delete(kept, "email_verified")
			}
		}
	}
	m.cutGroups(n, kept)
	if value, ok := set.PathEach(m.sourceOf("groups")); ok {
		delete(kept, groupsEntry)
		if n.keeps("groups") && (m.limitsGroups() || !present(kept, m.Groups)) {
			put(groupsEntry, m.keptGroups(value))
		}
	}
	delete(kept, withheldEntry)
	m.keepWithheld(n, kept, set, Sources{Userinfo: info})
	names = slices.DeleteFunc(names, func(name string) bool { return kept[name] == nil })
	return kept, session.NamesOf(names...), nil
}

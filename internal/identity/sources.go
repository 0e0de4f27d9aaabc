package identity

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file keeps the claims of a sign-in as the provider sent them, in the
// sessions of login hosts. Sites that such a session is handed over to apply their
// own mapping.

// sourcesEntry is the entry of a session's claims that holds them. No claim has
// such a name.
const sourcesEntry = "\x01sources"

// unkeptInSources are the claims about a token, rather than the user or the
// sign-in.
var unkeptInSources = []string{"aud", "exp", "nbf", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash"}

// KeptSources are the claims of a sign-in, or of what has replaced them.
type KeptSources struct {
	IDToken  op.Claims `json:"id_token"`
	Userinfo op.Claims `json:"userinfo,omitempty"`
	Lost     bool      `json:"lost,omitempty"`
	// Scopes are the granted scopes.
	Scopes []string `json:"scopes,omitempty"`
}

// SourcesOf returns the sources that a session keeps; ok is false if it keeps none.
func SourcesOf(s *session.Session) (kept KeptSources, ok bool) {
	value, ok := s.Claims.Get(sourcesEntry)
	if !ok || json.Unmarshal(value.JSON(), &kept) != nil || kept.IDToken == nil {
		return KeptSources{}, false
	}
	return kept, true
}

// Sources returns the claims of the sign-in.
func (k *KeptSources) Sources() Sources {
	return Sources{IDToken: k.IDToken, Userinfo: k.Userinfo, Lost: k.Lost}
}

// Lacks reports whether the sign-in did not request a claim that a site needs, and
// another one may bring it. requested is what the sign-in requested.
func (k *KeptSources) Lacks(needed, requested session.Names) bool {
	if k.Userinfo != nil {
		return false // there is nothing else to ask
	}
	return needed.Without(requested).Without(session.NamesOf(slices.Collect(maps.Keys(k.IDToken))...)) != ""
}

// put sets the entry of a session's claims.
func (k KeptSources) put(kept map[string]json.RawMessage) {
	k.IDToken = maps.Clone(k.IDToken)
	for _, name := range unkeptInSources {
		delete(k.IDToken, name)
	}
	if raw, err := json.Marshal(k); err == nil { // it was read from JSON
		kept[sourcesEntry] = raw
	}
}

// replaceSources sets the entry to the result of a refresh. Without an ID token,
// only the claims about the sign-in remain of the previous one.
func replaceSources(n *Needs, kept map[string]json.RawMessage, old *session.Session, from Sources) {
	if !n.Sources {
		return
	}
	before, _ := SourcesOf(old)
	next := KeptSources{IDToken: from.IDToken, Userinfo: from.Userinfo, Lost: from.Lost, Scopes: before.Scopes}
	if next.IDToken == nil {
		next.IDToken = make(op.Claims)
		for name, raw := range before.IDToken {
			if slices.Contains(signInClaims, name) || slices.Contains(protocolClaims, name) {
				next.IDToken[name] = raw
			}
		}
	}
	next.put(kept)
}

// mergeSources merges new userinfo into the entry.
func mergeSources(kept map[string]json.RawMessage, old *session.Session, info op.Claims) {
	if before, ok := SourcesOf(old); ok {
		before.Userinfo, before.Lost = info, false
		before.put(kept)
	}
}

// reduceSources removes the claims about the sign-in that a new ID token does not
// repeat.
func reduceSources(s *session.Session, idToken op.Claims) {
	kept, ok := SourcesOf(s)
	if !ok {
		return
	}
	reduced := false
	for _, name := range []string{"acr", "acrs", "amr", "tid"} {
		if raw, was := kept.IDToken[name]; was && string(raw) != string(idToken[name]) {
			delete(kept.IDToken, name)
			reduced = true
		}
	}
	if reduced {
		entry := make(map[string]json.RawMessage)
		kept.put(entry)
		s.Claims = withEntries(s.Claims, []string{sourcesEntry}, entry)
	}
}

// RequestedOf returns the names of the provider's claims that a site needs from a
// sign-in elsewhere.
func (m *Mapping) RequestedOf(n *Needs) session.Names {
	var names []string
	add := func(path string) { names = append(names, claims.SplitPath(BareClaim(path))[0]) }
	for _, path := range n.Claims {
		add(m.sourceOf(path))
	}
	for _, path := range m.Usernames[:1] {
		add(path)
	}
	for _, path := range m.Claims {
		add(path)
	}
	if m.GroupsNamed {
		add(m.Groups)
	}
	return session.NamesOf(names...)
}

package oidcrp

import (
	"encoding/json"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file tells an operator, once for each configuration, what a provider does
// not send although the configuration names it.

// warnAbsentClaims looks at what a sign-in brought.
func (h *Handler) warnAbsentClaims(p *provider, w *needs, tokens op.Tokens, idToken, info op.Claims) {
	has := func(path string) bool { return presentEach(idToken, path) || presentEach(info, path) }
	named := slices.Clone(w.claims)
	for local, path := range p.claims {
		named = append(slices.DeleteFunc(named, func(name string) bool { return name == local }), path)
	}
	if p.namesGroups {
		named = append(named, "groups")
	}
	for _, path := range named {
		if path == "groups" {
			path = p.groups
		}
		if has(path) || has(bareClaim(path)) {
			if path == "email" {
				h.warnUnverifiedEmail(p, idToken, info)
			}
			continue
		}
		name := bareClaim(path)
		h.warnOnce(p, "claim", name, "the configuration names a claim that the provider did not send with a sign-in; see whether it needs another scope, or has to be released for this client there",
			zap.String("claim", name), zap.Strings("scopes", append([]string{"openid"}, p.client.Scopes...)))
	}
	h.warnDroppedScopes(p, tokens)
}

// warnUnverifiedEmail says why a verified address is empty.
func (h *Handler) warnUnverifiedEmail(p *provider, idToken, info op.Claims) {
	source := info
	if present(idToken, "email") {
		source = idToken
	}
	if !verified(source) {
		h.warnOnce(p, "unverified", "email", "the claim email is there, but does not count as the user's address: email_verified is "+verifiedAs(source)+"; claims.email names the claim as it is, which proves nothing")
	}
}

// warnGroupsType says why a user has no groups although their claim is there.
func (h *Handler) warnGroupsType(p *provider, value claims.Value) {
	if _, ok := value.List(); ok || string(value.JSON()) == "null" {
		return
	}
	h.warnOnce(p, "groups", p.groups, "the groups claim is there but is not a list of names; of a list of objects groups_claim can name a member, such as groups.name",
		zap.String("claim", p.groups), zap.String("form", formOf(value.JSON())))
}

// formOf says what a JSON value is.
func formOf(raw json.RawMessage) string {
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

// warnDroppedScopes says which scopes were asked for and not granted. An answer that
// names none grants all (RFC 6749 5.1).
func (h *Handler) warnDroppedScopes(p *provider, tokens op.Tokens) {
	granted := strings.Fields(tokens.Scope)
	if len(granted) == 0 {
		return
	}
	for _, scope := range p.client.Scopes {
		// Some providers answer with other names: Google's email becomes
		// https://www.googleapis.com/auth/userinfo.email.
		isGranted := slices.ContainsFunc(granted, func(name string) bool {
			return name == scope || strings.HasSuffix(name, "/"+scope) || strings.HasSuffix(name, "/userinfo."+scope)
		})
		if isGranted || scope == "offline_access" && tokens.RefreshToken != "" {
			continue
		}
		h.warnOnce(p, "scope", scope, "the provider did not grant a scope that was asked for; see whether this client may have it",
			zap.String("scope", scope))
	}
}

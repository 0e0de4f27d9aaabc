package oidcrp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file makes of what a provider said who the user is, and what of it is
// kept.

// newSession takes from the claims what is to be kept.
func (h *Handler) newSession(p *provider, w *needs, t *session.Transaction, tokens op.Tokens, idToken, info op.Claims) (*session.Session, error) {
	now := h.now()
	fresh := &session.Session{
		ID: session.NewID(), Binding: p.binding, Provider: p.id,
		SignedIn: now, Seen: now, Expires: now.Add(time.Duration(h.session.Lifetime)),
		Login: session.HashState(t.State), Return: shortReturn(t.Return),
		Began: t.Began, IDTokenIssued: idToken.Issued(),
	}
	var err error
	text := func(name string) (value string) {
		if raw, ok := idToken[name]; ok && err == nil && string(raw) != "null" {
			err = json.Unmarshal(raw, &value)
		}
		return value
	}
	fresh.Subject, fresh.SID = text("sub"), text("sid")
	if err != nil {
		return nil, fmt.Errorf("sid is not a string: %w", err)
	}
	fresh.AuthTime, fresh.ACR = op.AuthOf(idToken)
	if fresh.Username, err = username(p.usernames, idToken, info); err != nil {
		return nil, err
	}
	var fromInfo session.Names
	if fresh.Claims, fromInfo, err = h.selectClaims(p, w, idToken, info); err != nil {
		return nil, err
	}
	fresh.Requested = w.names
	if w.accessToken {
		fresh.AccessToken, fresh.AccessTokenExpires = tokens.AccessToken, tokens.Expires
	}
	if w.idToken {
		fresh.IDToken = tokens.IDToken
	}
	if err := saveGrant(w, fresh, tokens, idToken); err != nil {
		return nil, err
	}
	if fresh.Grant.RefreshToken != "" {
		fresh.FromUserinfo = fromInfo
	}
	return fresh, nil
}

// shortReturn keeps a return address in the session only if it is short: the
// browser sends it with every request.
func shortReturn(location string) string {
	if len(location) > 200 {
		return ""
	}
	return location
}

// protocolClaims are about the token and not the user; they are not kept.
var protocolClaims = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash",
	"sid", "_claim_names", "_claim_sources",
}

// selectClaims makes the session's claims: those of userinfo under those of the
// ID token, which is signed, then the configured names. It also returns the names
// of those that userinfo gave.
func (h *Handler) selectClaims(p *provider, w *needs, idToken, info op.Claims) (set claims.Set, fromInfo session.Names, err error) {
	all := make(map[string]json.RawMessage, len(idToken)+len(info))
	maps.Copy(all, info)
	maps.Copy(all, idToken)
	// An address and what vouches for it come from one source.
	source := info
	if _, ok := idToken["email"]; ok {
		source = idToken
	}
	delete(all, "email_verified")
	if raw, ok := source["email_verified"]; ok {
		all["email_verified"] = raw
	}
	if set, err = claims.Encode(all); err != nil {
		return "", "", err
	}
	kept := make(map[string]json.RawMessage, len(all))
	for name, raw := range all {
		if isKeepable(name) {
			kept[name] = raw
		}
	}
	for local, path := range p.claims {
		p.setLocal(kept, local, path, set)
	}
	if !w.keepAll {
		maps.DeleteFunc(kept, func(name string, _ json.RawMessage) bool { return !w.keeps(name) })
	}
	h.selectGroups(p, w, kept, set, idToken, info)
	if tenant := p.tenantOf(idToken); tenant != "" {
		kept[tenantEntry], _ = json.Marshal(tenant)
	}
	if set, err = claims.Encode(kept); err != nil {
		return "", "", err
	}
	return set, p.namesFromInfo(kept, idToken, info), nil
}

// isKeepable reports whether a session can hold a claim of this name.
func isKeepable(name string) bool {
	return !slices.Contains(protocolClaims, name) && !strings.ContainsFunc(name, isControl)
}

// setLocal sets a claim that the configuration makes of another one. Where that
// is absent it is absent too, whatever the provider sends under its name.
func (p *provider) setLocal(kept map[string]json.RawMessage, local, path string, set claims.Set) {
	if local == path {
		return
	}
	if value, ok := pathIn(set, path); ok {
		kept[local] = value.JSON()
	} else {
		delete(kept, local)
	}
	if local == "email" {
		delete(kept, "email_verified") // it vouches for another claim
	}
}

// pathIn returns the value of a claim path: email alone is the verified address,
// claims.email the claim.
func pathIn(set claims.Set, path string) (claims.Value, bool) {
	if path == "email" {
		if verified, _ := set.Get("email_verified"); !verified.True() {
			return claims.Value{}, false
		}
	}
	if value, ok := set.Path(path); ok {
		return value, true
	}
	return set.Path(bareClaim(path))
}

// bareClaim is a claim path without `claims.` before it, by which placeholders
// name claims.
func bareClaim(path string) string { return strings.TrimPrefix(path, "claims.") }

// selectGroups keeps the user's groups apart where the claim that they are part of
// is not kept, and warns where they are not known.
func (h *Handler) selectGroups(p *provider, w *needs, kept map[string]json.RawMessage, set claims.Set, idToken, info op.Claims) {
	name := claims.SplitPath(p.groups)[0]
	value, ok := set.PathEach(p.groups)
	switch {
	case ok && w.keeps("groups") && !isPlainPath(kept, p.groups):
		kept[groupsEntry] = value.JSON() // without all that they are part of
	case !ok && (w.keeps("groups") || w.keeps(name)) && (idToken.Withholds(name) || info.Withholds(name)):
		// They stay absent, so that nobody gets in by a group that is not known;
		// but a rule such as «not in this group» must not fail unseen.
		h.logger.Warn("the groups of a user are not known: the provider left them out because they are too many; assign groups to the application there and have it send only those, or use app roles (groups_claim roles)",
			zap.String("provider", p.id), zap.String("issuer", p.issuer), zap.String("claim", name))
	}
	if ok {
		h.warnGroupsType(p, value)
	}
}

// isPlainPath reports whether the session's claims have a value at a path.
func isPlainPath(kept map[string]json.RawMessage, path string) bool {
	return present(op.Claims(kept), path)
}

// namesFromInfo returns those names of kept claims whose values come from
// userinfo.
func (p *provider) namesFromInfo(kept map[string]json.RawMessage, idToken, info op.Claims) session.Names {
	if len(info) == 0 {
		return ""
	}
	var names []string
	for name := range kept {
		source := name
		if path, local := p.claims[name]; local {
			source = bareClaim(path)
		}
		switch name {
		case groupsEntry:
			source = p.groups
		case "email_verified":
			source = "email"
		}
		if !presentEach(idToken, source) && presentEach(info, source) {
			names = append(names, name)
		}
	}
	return session.NamesOf(names...)
}

// tenantOf is the tenant of a checked ID token where the provider has several.
func (p *provider) tenantOf(idToken op.Claims) string {
	var issuer, tenant string
	if p.tenants == "" || json.Unmarshal(idToken["tid"], &tenant) != nil || json.Unmarshal(idToken["iss"], &issuer) != nil || issuer != p.issuerIn(tenant) {
		return ""
	}
	return tenant
}

func (p *provider) issuerIn(tenant string) string {
	return strings.Replace(p.tenants, op.TenantPart, tenant, 1)
}

// issuerOf is the issuer of a session: with sub it says who the user is
// (Core 5.7), so that users of two tenants are two.
func (p *provider) issuerOf(s *session.Session) string {
	if tenant := p.tenantIn(s); tenant != "" {
		return p.issuerIn(tenant)
	}
	return p.issuer
}

// issuerNamed is the issuer that revocations are kept under, of one that was checked
// to be the provider's: a tenant's is one of its own.
func (p *provider) issuerNamed(name string) string {
	if p.tenants != "" && (&op.Metadata{Issuer: p.tenants}).IsIssuer(name) {
		return name
	}
	return p.issuer
}

func (p *provider) tenantIn(s *session.Session) string {
	if p.tenants != "" {
		if value, ok := s.Claims.Get(tenantEntry); ok {
			return value.Plain()
		}
	}
	return ""
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

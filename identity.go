package oidcrp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file makes of what a provider said who the user is, and what of it is
// kept.

// userinfo asks the userinfo endpoint where the configuration wants it.
func (h *Handler) userinfo(ctx context.Context, p *party, idToken provider.Claims, accessToken string) (provider.Claims, error) {
	if p.userinfo == "never" || p.userinfo == "auto" && !h.lacks(p, idToken) {
		return nil, nil
	}
	if p.userinfo == "auto" {
		if has, err := p.client.HasUserinfo(ctx); err != nil || !has {
			return nil, err
		}
	}
	var subject string
	if err := json.Unmarshal(idToken["sub"], &subject); err != nil {
		return nil, err
	}
	return p.client.Userinfo(ctx, accessToken, subject)
}

// lacks says whether a claim that the configuration names is not in the ID
// token. Of the names for the user the first one that is there will do, but an
// earlier one may be in userinfo.
func (h *Handler) lacks(p *party, idToken provider.Claims) bool {
	has := func(path string) bool { return present(idToken, path) }
	if first := p.usernames[0]; !has(first) || first == "email" && !verified(idToken) {
		return true
	}
	for _, path := range p.claims {
		if !has(path) {
			return true
		}
	}
	return p.config.GroupsClaim != "" && !has(p.groups) ||
		slices.ContainsFunc(h.neededClaims, func(path string) bool {
			if path == "groups" {
				path = p.groups
			}
			_, local := p.claims[path]
			return !local && !has(path)
		})
}

func present(members provider.Claims, path string) bool {
	set, err := claims.Encode(claimsAlong(members, path))
	if err != nil {
		return false
	}
	_, ok := set.Path(path)
	return ok
}

// claimsAlong are the claims that a path can begin with.
func claimsAlong(members provider.Claims, path string) map[string]json.RawMessage {
	along := make(map[string]json.RawMessage, 2)
	for _, name := range []string{path, claims.SplitPath(path)[0]} {
		if raw, ok := members[name]; ok {
			along[name] = raw
		}
	}
	return along
}

// newSession takes from the claims what is to be kept.
func (h *Handler) newSession(p *party, t *session.Transaction, tokens provider.Tokens, idToken, info provider.Claims) (*session.Session, error) {
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
	fresh.AuthTime, fresh.ACR = provider.AuthOf(idToken)
	if fresh.Username, err = username(p.usernames, idToken, info); err != nil {
		return nil, err
	}
	if fresh.Claims, err = h.keepClaims(p, idToken, info); err != nil {
		return nil, err
	}
	if h.Upstream != nil && h.Upstream.AccessToken != "" {
		fresh.AccessToken, fresh.AccessTokenExpires = tokens.AccessToken, tokens.Expires
	}
	if h.Upstream != nil && h.Upstream.IDToken != "" {
		fresh.IDToken = tokens.IDToken
	}
	if err := h.keepGrant(fresh, tokens, idToken); err != nil {
		return nil, err
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

// username finds the user's name: claim by claim, in the ID token, then in
// userinfo, and only then the next. An e-mail address counts only if the same
// source says that it is the user's.
func username(names []string, idToken, info provider.Claims) (string, error) {
	for _, path := range names {
		for _, source := range []provider.Claims{idToken, info} {
			set, err := claims.Encode(claimsAlong(source, path))
			if err != nil {
				return "", err
			}
			value, ok := set.Path(path)
			if !ok || path == "email" && !verified(source) {
				continue
			}
			if name := value.Plain(); name != "" {
				return name, nil
			}
		}
	}
	return "", errors.New("no claim names the user; see username_claim")
}

func verified(source provider.Claims) bool {
	value, err := claims.FromJSON(source["email_verified"])
	return err == nil && value.True()
}

// protocolClaims are about the token and not the user; they are not kept.
var protocolClaims = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash",
	"sid", "_claim_names", "_claim_sources",
}

// keepClaims makes the session's claims: those of userinfo under those of the
// ID token, which is signed, then the configured names.
func (h *Handler) keepClaims(p *party, idToken, info provider.Claims) (claims.Set, error) {
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
	set, err := claims.Encode(all)
	if err != nil {
		return "", err
	}
	kept := make(map[string]json.RawMessage, len(all))
	for name, raw := range all {
		if !slices.Contains(protocolClaims, name) && !strings.ContainsFunc(name, isControl) {
			kept[name] = raw
		}
	}
	for local, path := range p.claims {
		if value, ok := set.Path(path); ok {
			kept[local] = value.JSON()
		}
		if local == "email" {
			delete(kept, "email_verified") // it vouches for another claim
		}
	}
	if h.session.Claims != nil {
		maps.DeleteFunc(kept, func(name string, _ json.RawMessage) bool { return !h.isKept(name) })
	}
	value, ok := set.Path(p.groups)
	if ok && h.isKept("groups") && len(claimsAlong(kept, p.groups)) == 0 {
		kept[groupsEntry] = value.JSON() // without all that they are part of
	}
	if name := claims.SplitPath(p.groups)[0]; !ok && (h.isKept("groups") || h.isKept(name)) && (idToken.Withholds(name) || info.Withholds(name)) {
		// They stay absent, so that nobody gets in by a group that is not known;
		// but a rule such as «not in this group» must not fail unseen.
		h.logger.Warn("the groups of a user are not known: the provider left them out because they are too many; assign groups to the application there and have it send only those, or use app roles (groups_claim roles)",
			zap.String("provider", p.id), zap.String("issuer", p.issuer), zap.String("claim", name))
	}
	if tenant := p.tenantOf(idToken); tenant != "" {
		kept[tenantEntry], _ = json.Marshal(tenant)
	}
	return claims.Encode(kept)
}

// tenantOf is the tenant of a checked ID token where the provider has several.
func (p *party) tenantOf(idToken provider.Claims) string {
	var issuer, tenant string
	if p.tenants == "" || json.Unmarshal(idToken["tid"], &tenant) != nil || json.Unmarshal(idToken["iss"], &issuer) != nil || issuer != p.issuerIn(tenant) {
		return ""
	}
	return tenant
}

func (p *party) issuerIn(tenant string) string {
	return strings.Replace(p.tenants, provider.TenantPart, tenant, 1)
}

// issuerOf is the issuer of a session: with sub it says who the user is
// (Core 5.7), so that users of two tenants are two.
func (p *party) issuerOf(s *session.Session) string {
	if tenant := p.tenantIn(s); tenant != "" {
		return p.issuerIn(tenant)
	}
	return p.issuer
}

// issuerNamed is the issuer that facts are kept under, of one that was checked
// to be the provider's: a tenant's is one of its own.
func (p *party) issuerNamed(name string) string {
	if p.tenants != "" && (&provider.Metadata{Issuer: p.tenants}).IsIssuer(name) {
		return name
	}
	return p.issuer
}

func (p *party) tenantIn(s *session.Session) string {
	if p.tenants != "" {
		if value, ok := s.Claims.Get(tenantEntry); ok {
			return value.Plain()
		}
	}
	return ""
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// isKept reports whether a claim is in the list, if there is one, or is named by
// what the application is told.
func (h *Handler) isKept(name string) bool {
	begins := func(path string) bool { return path == name || claims.SplitPath(path)[0] == name }
	if h.session.Claims == nil || slices.ContainsFunc(h.session.Claims, begins) {
		return true
	}
	return slices.ContainsFunc(h.neededClaims, func(path string) bool {
		return begins(path) || path == "email" && name == "email_verified"
	})
}

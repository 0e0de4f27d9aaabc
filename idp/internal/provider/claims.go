package provider

import (
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const (
	scopeOpenID  = "openid"
	scopeOffline = "offline_access"
)

// scopes are the supported scopes.
var scopes = []string{scopeOpenID, "profile", "email", "groups", scopeOffline}

// prompts are the values of the parameter prompt.
var prompts = []string{"none", "login", "consent", "select_account"}

// userClaims are the claims about users, with their scopes. Nil values are omitted.
var userClaims = []struct {
	name, scope string
	value       func(*store.User) any
}{
	{"name", "profile", func(u *store.User) any { return text(displayName(u)) }},
	{"given_name", "profile", func(u *store.User) any { return text(u.GivenName) }},
	{"family_name", "profile", func(u *store.User) any { return text(u.FamilyName) }},
	{"preferred_username", "profile", func(u *store.User) any { return text(u.Name) }},
	{"locale", "profile", func(u *store.User) any { return text(u.Language) }},
	{"email", "email", func(u *store.User) any { return text(u.Email) }},
	{"email_verified", "email", func(u *store.User) any {
		if u.Email == "" {
			return nil
		}
		return u.EmailVerified
	}},
	{"groups", "groups", func(u *store.User) any {
		if u.Groups == nil {
			return []string{}
		}
		return u.Groups
	}},
}

func text(value string) any {
	if value == "" {
		return nil
	}
	return value
}

func displayName(u *store.User) string {
	if u.DisplayName != "" {
		return u.DisplayName
	}
	return strings.TrimSpace(u.GivenName + " " + u.FamilyName)
}

// claimsOf returns the claims of a user for the granted scopes and requested names.
func claimsOf(u *store.User, granted, names []string) map[string]any {
	claims := make(map[string]any)
	for _, claim := range userClaims {
		if !slices.Contains(granted, claim.scope) && !slices.Contains(names, claim.name) {
			continue
		}
		if value := claim.value(u); value != nil {
			claims[claim.name] = value
		}
	}
	return claims
}

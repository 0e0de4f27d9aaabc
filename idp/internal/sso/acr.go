package sso

import "github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"

// Authentication context class references: values of the acr claim.
const (
	ACRPassword = "urn:oidc-idp:pwd"
	ACRMFA      = builtin.MFA
	ACRExternal = "urn:oidc-idp:external" // an external provider authenticated the user
)

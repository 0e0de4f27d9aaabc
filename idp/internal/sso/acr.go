package sso

import "github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"

// Authentication context classes: the values of the claim acr.
const (
	ACRPassword = "urn:oidc-idp:pwd"
	ACRMFA      = builtin.MFA
	ACRExternal = "urn:oidc-idp:external" // an external provider authenticated the user
)

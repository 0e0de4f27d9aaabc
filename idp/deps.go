//go:build deps

package oidcidp

import (
	_ "github.com/descope/virtualwebauthn"
	_ "github.com/go-webauthn/webauthn/webauthn"
	_ "github.com/luikyv/go-oidc/pkg/provider"
	_ "github.com/trustelem/zxcvbn"
	_ "github.com/wneessen/go-mail"
	_ "golang.org/x/crypto/argon2"
)

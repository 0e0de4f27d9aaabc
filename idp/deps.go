//go:build deps

package oidcidp

import (
	_ "github.com/crewjam/saml"
	_ "github.com/trustelem/zxcvbn"
	_ "github.com/wneessen/go-mail"
	_ "golang.org/x/crypto/argon2"
)

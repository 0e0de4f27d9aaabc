//go:build deps

package oidcidp

import (
	_ "github.com/crewjam/saml"
	_ "github.com/wneessen/go-mail"
)

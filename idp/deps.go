//go:build deps

package oidcidp

import (
	_ "github.com/crewjam/saml"
)

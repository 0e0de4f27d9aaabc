//go:build deps

package oidcidp

import (
	_ "github.com/wneessen/go-mail"
)

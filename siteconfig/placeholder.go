package siteconfig

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// Placeholders resolves the placeholders of options, when a configuration is loaded.
var Placeholders = placeholder.Expander{Replace: func(text string) (string, error) {
	return caddy.NewReplacer().ReplaceOrErr(text, true, true)
}}

// Expand resolves an operator's placeholders; an unknown or empty one is an error,
// which repeats nothing of the text but the name of a variable or file.
func Expand(text string) (string, error) { return Placeholders.Expand(text) }

package siteconfig

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// Placeholders expands the placeholders of options when a configuration is loaded.
var Placeholders = placeholder.Expander{Replace: func(text string) (string, error) {
	return caddy.NewReplacer().ReplaceOrErr(text, true, true)
}}

// Expand expands an operator's placeholders. Unknown and empty ones are an error,
// which repeats only the name of a variable or file.
func Expand(text string) (string, error) { return Placeholders.Expand(text) }

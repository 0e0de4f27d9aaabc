package oidcidp

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// placeholders resolves the placeholders of options, when a configuration is
// loaded.
var placeholders = placeholder.Expander{Replace: func(text string) (string, error) {
	return caddy.NewReplacer().ReplaceOrErr(text, true, true)
}}

// text is an option that may contain placeholders.
type text struct {
	option string
	field  *string
}

// texts returns the options that may contain placeholders.
func (a *App) texts() []text {
	all := []text{
		{"issuer", &a.IssuerURL}, {"pages", &a.Pages}, {"name", &a.Name}, {"logo", &a.Logo}, {"contact", &a.Contact},
	}
	if d := a.Database; d != nil {
		all = append(all, text{"database: file", &d.File}, text{"database: url", &d.URL})
	}
	if m := a.Mail; m != nil {
		all = append(all, text{"mail: server", &m.Server}, text{"mail: from", &m.From}, text{"mail: username", &m.Username}, text{"mail: password", &m.Password})
	}
	for _, id := range slices.Sorted(maps.Keys(a.Clients)) {
		if c := a.Clients[id]; c != nil {
			all = append(all, c.texts("client "+id+": ")...)
		}
	}
	return all
}

func (c *Client) texts(prefix string) []text {
	all := []text{
		{prefix + "secret", &c.Secret}, {prefix + "backchannel_logout_uri", &c.BackchannelLogoutURI},
		{prefix + "initiate", &c.InitiateLoginURI}, {prefix + "name", &c.Name},
	}
	for n := range c.RedirectURIs {
		all = append(all, text{prefix + "redirect_uri", &c.RedirectURIs[n]})
	}
	for n := range c.PostLogoutRedirectURIs {
		all = append(all, text{prefix + "post_logout_redirect_uri", &c.PostLogoutRedirectURIs[n]})
	}
	for n := range c.Resources {
		all = append(all, text{prefix + "resources", &c.Resources[n]})
	}
	return all
}

// expand resolves all placeholders. Errors name the option and the placeholder, and
// do not repeat secrets.
func (a *App) expand() error {
	for _, t := range a.texts() {
		expanded, err := placeholders.Expand(*t.field)
		if err != nil {
			return fmt.Errorf("%s: %w", t.option, err)
		}
		*t.field = expanded
	}
	return nil
}

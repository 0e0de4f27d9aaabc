package siteconfig

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// Builtin makes a provider the identity provider of this Caddy, the app `oidc_idp`.
type Builtin struct {
	// The host names where users may sign in, each with its port unless that is the
	// site's. They are required if the site has a wildcard, a placeholder or no
	// name, and no `base_url`. Default: the host names of the site.
	Hosts []string `json:"hosts,omitempty"`
}

// checkExactHost returns an error for a text that is not a host name, or has a
// wildcard. Hosts are never taken from requests: whoever can point a name to this
// server would otherwise get the codes of others.
func checkExactHost(text string) error {
	if strings.Contains(text, "*") {
		return fmt.Errorf("'%s': a wildcard is not an exact host name", text)
	}
	if strings.Contains(text, "{") {
		return placeholder.CheckFixed(text)
	}
	if _, ok := address.FromRequest("https", text); !ok {
		return fmt.Errorf("'%s' is not a host name such as app.example.com", text)
	}
	return nil
}

// BuiltinBlock is the kind of the block of builtin.
var BuiltinBlock = &caddyargs.Kind{Name: "of builtin", Place: "of builtin", Options: builtinOptions.Names(), Repeats: []string{"host"}}

// builtinOptions lists the options of builtin.
var builtinOptions = caddyargs.Table[*Builtin]{
	"host": func(d *caddyfile.Dispenser, b *Builtin) error {
		var hosts []string
		if err := caddyargs.CheckedListArg(d, &hosts, checkExactHost); err != nil {
			return err
		}
		b.Hosts = append(b.Hosts, hosts...)
		return nil
	},
}

// ParseBuiltin parses builtin, whose block may be left out. Syntax:
//
//	builtin {
//		host <names...>
//	}
func ParseBuiltin(d *caddyfile.Dispenser, field **Builtin) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	b := new(Builtin)
	*field = b
	_, err := builtinOptions.ReadBlock(d, BuiltinBlock, b)
	return err
}

// ExpandHosts returns the hosts with expanded placeholders.
func (b *Builtin) ExpandHosts() (hosts []string, err error) {
	for _, host := range b.Hosts {
		expanded, err := Expand(host)
		if err == nil {
			err = checkExactHost(expanded)
		}
		if err != nil {
			return nil, fmt.Errorf("builtin: host: %w", err)
		}
		hosts = append(hosts, expanded)
	}
	return hosts, nil
}

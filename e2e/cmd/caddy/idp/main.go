// Command idp is Caddy with its standard modules, this plugin, and the identity
// provider.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-oidc-rp/caddy-oidc-rp"
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/idp"
)

func main() {
	caddycmd.Main()
}

// Command caddy is Caddy with its standard modules, this plugin, and the session stores
// that are separate modules.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-oidc-rp/caddy-oidc-rp"
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis"
)

func main() {
	caddycmd.Main()
}

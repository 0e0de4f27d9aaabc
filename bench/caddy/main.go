// Command caddy is the Caddy to be measured, with its standard modules, this
// plugin and all of its session stores.
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

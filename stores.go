package oidcrp

// The stores that need no more than Caddy itself. Others are linked by who
// imports them.
import (
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/store/memory"
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/store/storage"
)

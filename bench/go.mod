module github.com/caddy-oidc-rp/caddy-oidc-rp/bench

go 1.26.0

require github.com/caddy-oidc-rp/caddy-oidc-rp v0.0.0-00010101000000-000000000000

require github.com/go-jose/go-jose/v4 v4.1.8 // indirect

replace github.com/caddy-oidc-rp/caddy-oidc-rp => ../

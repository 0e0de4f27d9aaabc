package siteconfig

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
)

// dpopFields are the fields that the options of dpop set.
type dpopFields struct{ key, alg *string }

var dpopBlock = &caddyargs.Kind{Name: "of dpop", Place: "of dpop", Options: dpopOptions.Names()}

// dpopOptions lists the options of dpop.
var dpopOptions = caddyargs.Table[dpopFields]{
	"key": func(d *caddyfile.Dispenser, f dpopFields) error {
		return caddyargs.EnumArg(d, f.key, opconfig.DPoPKeys...)
	},
	"alg": func(d *caddyfile.Dispenser, f dpopFields) error {
		return caddyargs.EnumArg(d, f.alg, dpop.Algorithms()...)
	},
}

// ParseDPoP parses the option dpop of a provider, whose block may be left out.
// Syntax:
//
//	dpop auto|on|off {
//		key session|process
//		alg ES256|EdDSA
//	}
func ParseDPoP(d *caddyfile.Dispenser, mode, key, alg *string) error {
	if err := caddyargs.EnumArg(d, mode, opconfig.DPoPModes...); err != nil {
		return err
	}
	_, err := dpopOptions.ReadBlock(d, dpopBlock, dpopFields{key, alg})
	return err
}

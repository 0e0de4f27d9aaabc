package opconfig

import (
	"cmp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// dpop returns when tokens are bound to a key of the client, the algorithm of the
// key, and whether the key changes with the process.
func (o *Options) dpop() op.DPoP {
	modes := map[string]op.DPoPMode{DPoPAuto: op.DPoPAuto, DPoPOn: op.DPoPOn}
	return op.DPoP{
		Mode: modes[o.DPoP], Alg: cmp.Or(o.DPoPAlg, dpop.ES256), PerProcess: o.DPoPKey == DPoPKeyProcess,
	}
}

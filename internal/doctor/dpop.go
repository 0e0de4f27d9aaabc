package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// checkDPoP reports whether the provider can bind tokens to our key (RFC 9449), unless
// DPoP is off.
func (e *Examination) checkDPoP(i *op.Inspection, c *op.Client) {
	const name = "DPoP"
	offered := i.Metadata.DPoPAlgs
	lists := "the provider offers proofs by " + strings.Join(offered, ", ")
	switch isOn := c.DPoP.Mode == op.DPoPOn; {
	case c.DPoP.Mode == op.DPoPOff:
	case slices.Contains(offered, c.DPoP.Alg):
		e.ok(name, lists)
	case isOn && i.Address == "":
		e.info(name, "it is on; without discovery, the provider does not say whether it offers it")
	case isOn && len(offered) == 0:
		e.fail(name, "it is on, and the provider does not offer it", "Write dpop auto, or have the provider offer it: its metadata has no dpop_signing_alg_values_supported.")
	case isOn:
		e.fail(name, fmt.Sprintf("%s, and not by %s", lists, c.DPoP.Alg), "Name one of those with alg in dpop { }.")
	case len(offered) == 0:
		e.info(name, "the provider does not offer it: tokens are bearer tokens")
	default:
		e.info(name, fmt.Sprintf("%s, and not by %s: tokens are bearer tokens", lists, c.DPoP.Alg))
	}
}

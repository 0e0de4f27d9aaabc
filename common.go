package oidcrp

import (
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
)

// ownSiteHeaders is the filter of one instance: what it adds to that of its site.
func (h *Handler) ownSiteHeaders() *headers.Filter {
	removed := slices.Clone(h.identityHeaders)
	if h.decidesByAddress() {
		removed = append(removed, headers.Rewriting...)
	}
	return headers.NewFilter(removed, h.Upgrades)
}

// decidesByAddress reports whether requests to one site are treated
// differently by their address: by routes, by the directive's matcher, or by
// several instances, as inside handle blocks.
func (h *Handler) decidesByAddress() bool {
	return len(h.Routes) > 0 || len(h.guard) > 0 || h.Mode == modeEndpoints || h.sharesHost
}

package oidcrp

import "slices"

// common is what the instances of one site share. It is made once, when all of
// them are provisioned.
type siteHeaders struct {
	stripped []string // headers that no client may send
	lengths  uint64   // of their names, a bit each; most others are told apart by that
	upgrades []string // protocols that any of them names
}

// rewriteHeaders name another address or method than the request has.
// Applications that obey them would serve what no route was asked about.
var rewriteHeaders = []string{"X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override"}

// ownSiteHeaders is what an instance adds to what its site shares.
func (h *Handler) ownSiteHeaders() *siteHeaders {
	c := &siteHeaders{stripped: slices.Clone(h.identityHeaders), upgrades: h.Upgrades}
	if h.decidesByAddress() {
		c.stripped = append(c.stripped, rewriteHeaders...)
	}
	c.measure()
	return c
}

func (c *siteHeaders) measure() {
	for _, name := range c.stripped {
		c.lengths |= 1 << min(len(name), 63)
	}
}

// strips reports whether no client may send a header of a name.
func (c *siteHeaders) strips(name string) bool {
	return c.lengths&(1<<min(len(name), 63)) != 0 &&
		slices.ContainsFunc(c.stripped, func(own string) bool { return sameHeader(name, own) })
}

// decidesByAddress reports whether requests to one site are treated
// differently by their address: by routes, by the directive's matcher, or by
// several instances, as inside handle blocks.
func (h *Handler) decidesByAddress() bool {
	return len(h.Routes) > 0 || len(h.guard) > 0 || h.Mode == modeEndpoints || h.sharesHost
}

func appendMissing(list, more []string) []string {
	for _, item := range more {
		if !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

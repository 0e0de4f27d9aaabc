package oidcrp

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/ruleconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
)

// setIdentityHeaders sets the request headers that tell the application about the
// user. Headers of these names from the client have been removed before.
func (h *Handler) setIdentityHeaders(st *requestState, r *http.Request) {
	if h.Upstream == nil || !st.SignedIn() {
		return
	}
	lasting := h.upstreamHeaders.lastingValues(st)
	// Each header gets a slice of its own, because handlers may change it in place.
	values := make([]string, len(h.upstreamHeaders), len(h.upstreamHeaders)+2)
	for i, header := range h.upstreamHeaders {
		if values[i] = lasting[i]; !header.lasting {
			values[i] = headerValue(r, header.value)
		}
		st.set(r.Header, header.name, values[i:i+1:i+1])
	}
	if name := h.Upstream.AccessToken; name != "" {
		token := st.User().AccessToken(h.now())
		if token != "" && name == "Authorization" {
			token = "Bearer " + token
		}
		st.set(r.Header, name, []string{token})
	}
	if name := h.Upstream.IDToken; name != "" {
		st.set(r.Header, name, []string{st.User().Session.IDToken})
	}
	if config := h.Upstream.Assertion; config != nil {
		x := h.instance.At(nil, r, &st.State)
		st.set(r.Header, config.HeaderName(), []string{x.Assertion()})
	}
}

// resolveUpstream determines the identity headers, and the claims that they need.
func (h *Handler) resolveUpstream(caddy.Context) (err error) {
	if h.Upstream == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(h.Upstream.Headers)) {
		value := h.Upstream.Headers[name]
		h.neededClaims = append(h.neededClaims, identity.ClaimsIn(value)...)
		h.upstreamHeaders = append(h.upstreamHeaders, upstreamHeader{name, value, identity.FollowsFromSession(value)})
	}
	if h.identityHeaders, err = h.Upstream.Names(); err != nil || h.Upstream.Assertion == nil {
		return err
	}
	config := h.Upstream.Assertion
	audience, err := siteconfig.Expand(config.Audience)
	if err != nil {
		return fmt.Errorf("upstream: assertion: audience: %w", err)
	}
	for _, claim := range config.Claims {
		h.neededClaims = append(h.neededClaims, identity.NeedOf(claim))
	}
	h.instance.Assertions = &flow.Assertions{
		Keys: h.app.storageState.assertionKeys, Audience: audience, Claims: config.Claims, Lifetime: config.ValidFor(),
	}
	return nil
}

// parseUpgrades parses the protocols that requests may upgrade to.
func parseUpgrades(d *caddyfile.Dispenser, h *Handler) error {
	protocols := d.RemainingArgs()
	if len(protocols) == 0 {
		return d.Err("upgrades takes at least one argument")
	}
	if err := headers.CheckUpgrades(protocols); err != nil {
		return d.WrapErr(err)
	}
	for _, protocol := range protocols {
		if !headers.NamesProtocol(h.Upgrades, protocol) {
			h.Upgrades = append(h.Upgrades, protocol)
		}
	}
	return nil
}

// ownSiteHeaders returns the filter of one instance. The filter of its site
// combines those of all instances.
func (h *Handler) ownSiteHeaders() *headers.Filter {
	removed := slices.Clone(h.identityHeaders)
	if h.decidesByAddress() {
		removed = append(removed, headers.Rewriting...)
	}
	own := headers.NewFilter(removed, h.Upgrades)
	if h.Application == nil {
		return own
	}
	return own.WithCredentials(h.Application.Headers, program.HoldsKey)
}

// decidesByAddress reports whether requests to one site are treated
// differently by their address: by routes, by the directive's matcher, by
// expressions, or by several instances, as inside handle blocks.
func (h *Handler) decidesByAddress() bool {
	return len(h.Routes) > 0 || len(h.guard) > 0 || h.Mode == modeEndpoints || h.sharesHost || ruleconfig.ReadsPath(h.allRules)
}

// upstreamHeader is a header that tells the application about the user.
type upstreamHeader struct {
	name, value string
	lasting     bool // its value depends on the session only
}

// upstreamHeaders are the identity headers of an instance.
type upstreamHeaders []upstreamHeader

// lastingValues returns the values that depend on the session only. They are cached
// with the loaded session: formatting a list of groups takes longer than the rest
// of a request.
func (u upstreamHeaders) lastingValues(st *requestState) []string {
	cache := st.HeaderCache()
	if cache == nil {
		return u.makeLasting(st)
	}
	if made := cache.Load(); made != nil {
		return *made
	}
	made := u.makeLasting(st)
	cache.Store(&made)
	return made
}

func (u upstreamHeaders) makeLasting(st *requestState) []string {
	values := make([]string, len(u))
	repl := caddy.NewEmptyReplacer() // not that of the request, to which other handlers add values
	repl.Map(st.Placeholder)
	for i, header := range u {
		switch {
		case !header.lasting:
		case identity.HasPlaceholders(header.value):
			values[i] = claims.Printable(repl.ReplaceAll(header.value, ""))
		default:
			values[i] = st.User().ClaimText(header.value)
		}
	}
	return values
}

// headerValue expands the placeholders in a text once. Placeholders in claims are
// not expanded.
func headerValue(r *http.Request, value string) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	return claims.Printable(repl.ReplaceAll(value, ""))
}

// siteHeadersOf returns the filter of the site of an instance.
func siteHeadersOf(h *Handler) *headers.Filter {
	if h.siteHeaders == nil {
		h.siteHeaders = h.ownSiteHeaders() // no site was linked
	}
	return h.siteHeaders
}

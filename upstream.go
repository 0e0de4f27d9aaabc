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

// setIdentityHeaders puts what the application is to know into the request's header. What a
// client said under these names has been taken out before.
func (h *Handler) setIdentityHeaders(st *requestState, r *http.Request) {
	if h.Upstream == nil || !st.SignedIn() {
		return
	}
	lasting := h.upstreamHeaders.lastingValues(st)
	// Each has a list of its own: handlers change values in place.
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

// resolveUpstream finds the headers that only we may set, and the claims that
// they need.
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

// ownSiteHeaders is the filter of one instance: what it adds to that of its site.
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

// upstreamHeader is a header with what the application receives about the user.
type upstreamHeader struct {
	name, value string
	lasting     bool // what it says follows from the session alone
}

// upstreamHeaders are those of an instance.
type upstreamHeaders []upstreamHeader

// lastingValues are the values of those headers that say the same on every
// request, made once for an opened session: to read a list of groups takes
// longer than all else that is done for a request.
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
	repl := caddy.NewEmptyReplacer() // not the request's, which others have put something into
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

// headerValue is a text with placeholders, expanded once. What a claim says is
// never expanded.
func headerValue(r *http.Request, value string) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	return claims.Printable(repl.ReplaceAll(value, ""))
}

// siteHeadersOf returns what no client may send to the site of an instance.
func siteHeadersOf(h *Handler) *headers.Filter {
	if h.siteHeaders == nil {
		h.siteHeaders = h.ownSiteHeaders() // no site was looked at
	}
	return h.siteHeaders
}

package oidcrp

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/ruleconfig"
)

// This file determines the policy of a request: its mode, route and rules.

// policy returns the policy of a request. It matches every reading of the path that
// an application could make, because the application may read it differently than
// the matchers do. A request is public only if all readings are, and guarded if any
// is. If a matcher fails, the caller responds with the error.
func (h *Handler) policy(r *http.Request, original *url.URL) (authz.Policy, error) {
	if len(h.guard) == 0 && len(h.Routes) == 0 {
		return h.sitePolicy(), nil
	}
	if address.HasOneReading(original, r.URL) {
		return h.policyAsRead(r)
	}
	all := authz.Policy{Public: true, Named: true}
	var failed error
	complete := address.EachReading(original, r.URL, func() bool {
		one, err := h.policyAsRead(r)
		if failed = err; err == nil {
			all.Restrict(one)
		}
		return err == nil
	})
	if !complete && failed == nil {
		return authz.Policy{Guarded: true, Unauthenticated: authz.Unauthenticated(h.Unauthenticated), Rules: h.allRules}, nil
	}
	return all, failed
}

// sitePolicy returns the policy of requests that match no route.
func (h *Handler) sitePolicy() authz.Policy {
	return authz.Policy{
		Guarded: true, Public: h.Mode == modePublic, Unauthenticated: authz.Unauthenticated(h.Unauthenticated),
		Rules: h.rules, Explain: explains(h, nil),
	}
}

// policyAsRead returns the policy for the path as it stands in the request. HEAD is
// treated as GET, because both return the same resource, but a matcher may name
// only one of them: a route that matches either method applies to both.
func (h *Handler) policyAsRead(r *http.Request) (authz.Policy, error) {
	if r.Method != http.MethodHead {
		policy, _, err := routePolicy(h, r)
		return policy, err
	}
	r.Method = http.MethodGet
	asGet, getNamed, err := routePolicy(h, r)
	r.Method = http.MethodHead
	if err != nil {
		return asGet, err
	}
	asHead, headNamed, err := routePolicy(h, r)
	switch {
	case err != nil || headNamed && !getNamed:
		return asHead, err
	case getNamed && !headNamed:
		return asGet, nil
	}
	both := authz.Policy{Public: true, Named: true}
	both.Restrict(asGet)
	both.Restrict(asHead)
	return both, nil
}

// routePolicy returns the policy of a request as it stands, and whether a route
// matches it.
func routePolicy(h *Handler, r *http.Request) (policy authz.Policy, named bool, err error) {
	covered, route, err := routeAsRead(h, r)
	switch {
	case err != nil || !covered:
		return authz.Policy{}, false, err
	case route == nil:
		return h.sitePolicy(), false, nil
	}
	public := route.Mode == modePublic
	return authz.Policy{
		Guarded: true, Public: public, Named: public, Unauthenticated: authz.Unauthenticated(cmp.Or(route.Unauthenticated, h.Unauthenticated)),
		Rules: route.rules, Explain: explains(h, route),
	}, true, nil
}

// routeAsRead reports whether the guard covers the path as it stands in the
// request, and returns the first route that matches it, or nil.
func routeAsRead(h *Handler, r *http.Request) (covered bool, first *Route, err error) {
	if len(h.guard) > 0 {
		if covered, err := h.guard.AnyMatchWithError(r); err != nil || !covered {
			return false, nil, err
		}
	}
	for _, route := range h.Routes {
		matched, err := route.matchers.AnyMatchWithError(r)
		if err != nil {
			return false, nil, err
		}
		if matched {
			return true, route, nil
		}
	}
	return true, nil, nil
}

// explains reports whether refused users are shown the rule, on a route or, if it
// is nil, elsewhere.
func explains(h *Handler, route *Route) bool {
	if route != nil && route.Explain != nil {
		return *route.Explain
	}
	return h.Explain != nil && *h.Explain
}

// resolveRulesOf compiles the rules of an instance and its routes, and collects
// what they need from sessions.
func resolveRulesOf(h *Handler) error {
	h.instance.Admits = func(x *flow.Exchange) (bool, error) { return admits(h, x) }
	with := h.app.rules
	own, err := with.Lines(h.Require, h.Deny)
	if err != nil {
		return err
	}
	add := func(places ...authz.Lines) ([]*authz.Set, error) {
		set, err := authz.Compile(h.app.profiles, places...)
		if err != nil {
			return nil, err
		}
		if set.IsEmpty() {
			return nil, nil
		}
		if err := ruleconfig.CheckKept(set, h.session.Claims); err != nil {
			return nil, err
		}
		h.ruleNeeds = append(h.ruleNeeds, set.Needs())
		return []*authz.Set{set}, nil
	}
	if h.rules, err = add(own); err != nil {
		return err
	}
	h.allRules = h.rules
	for _, route := range h.Routes {
		if route.Mode == modePublic {
			if len(route.Require)+len(route.Deny) > 0 {
				return errors.New("routes: require and deny mean nothing on a public route")
			}
			route.rules = h.rules
			continue
		}
		lines, err := with.Lines(route.Require, route.Deny)
		if err == nil {
			route.rules, err = add(own, lines)
		}
		if err != nil {
			return fmt.Errorf("routes: %w", err)
		}
		h.allRules = slices.Concat(h.allRules, route.rules)
	}
	return nil
}

// admits reports whether the signed-in user of a request satisfies the rules of the
// instance itself. A user who counts as anonymous on its public pages does so
// elsewhere as well.
func admits(h *Handler, x *flow.Exchange) (bool, error) {
	st := h.stateOf(x.R, originalURL(x.R))
	policy := h.sitePolicy()
	policy.Public = true
	decision := h.decide(x, st, policy)
	return decision.Action == authz.Serve, st.tooEarly
}

package oidcrp

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
)

// This file finds out what the configuration says about a request.

// policy returns what the configuration says about a request. It asks the matchers
// about every reading of the path that an application could make, since it need
// not read the path as the matchers do. A request is public only if every reading
// is, and guarded if any is. A matcher's error never opens anything: the caller
// responds with it.
func (h *Handler) policy(r *http.Request, original *url.URL) (authz.Policy, error) {
	if len(h.guard) == 0 && len(h.Routes) == 0 {
		return h.sitePolicy(), nil
	}
	if isPlain(r, original) {
		return h.policyAsRead(r)
	}
	all := authz.Policy{Public: true, Named: true}
	var failed error
	complete := eachReading(r, original, func() bool {
		one, err := h.policyAsRead(r)
		if failed = err; err == nil {
			all.Restrict(one)
		}
		return err == nil
	})
	if !complete && failed == nil {
		return authz.Policy{Guarded: true, Unauthenticated: authz.Unauthenticated(h.Unauthenticated), Rules: h.rules.everything}, nil
	}
	return all, failed
}

// eachReading puts every reading of the path into a request, one after the other,
// until visit returns false. It returns false if there are too many readings, or one
// was not visited.
func eachReading(r *http.Request, original *url.URL, visit func() bool) bool {
	var buffer [8]address.Reading
	readings, complete := address.Readings(buffer[:0],
		address.Path{Path: original.Path, RawPath: original.EscapedPath()},
		address.Path{Path: r.URL.Path, RawPath: r.URL.EscapedPath()})
	if !complete {
		return false
	}
	current, sent := *r.URL, *original
	defer func() {
		original.Path, original.RawPath = sent.Path, sent.RawPath
		r.URL.Path, r.URL.RawPath = current.Path, current.RawPath
	}()
	// The current path is the first reading, and looked at last: what matchers
	// leave behind for placeholders is of that.
	for _, reading := range slices.Backward(readings) {
		original.Path, original.RawPath = reading.Path, reading.RawPath
		r.URL.Path, r.URL.RawPath = reading.Path, reading.RawPath
		if !visit() {
			return false
		}
	}
	return true
}

// isPlain reports whether the path of a request has one reading.
func isPlain(r *http.Request, original *url.URL) bool {
	return original.Path == r.URL.Path && original.RawPath == r.URL.RawPath && r.URL.RawPath == "" && address.Plain(r.URL.Path)
}

// sitePolicy returns the policy for requests that no route names.
func (h *Handler) sitePolicy() authz.Policy {
	return authz.Policy{
		Guarded: true, Public: h.Mode == modePublic, Unauthenticated: authz.Unauthenticated(h.Unauthenticated),
		Rules: h.rules.instance, Explain: explains(h, nil),
	}
}

// policyAsRead returns the policy for the path as it stands in the request.
func (h *Handler) policyAsRead(r *http.Request) (authz.Policy, error) {
	covered, route, err := routeAsRead(h, r)
	switch {
	case err != nil || !covered:
		return authz.Policy{}, err
	case route == nil:
		return h.sitePolicy(), nil
	}
	public := route.Mode == modePublic
	return authz.Policy{
		Guarded: true, Public: public, Named: public, Unauthenticated: authz.Unauthenticated(cmp.Or(route.Unauthenticated, h.Unauthenticated)),
		Rules: route.rules, Explain: explains(h, route),
	}, nil
}

// routeAsRead returns whether the guard covers the path as it stands in the request,
// and the first route that matches it, or nil.
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

// explains reports whether refused users read which rule they do not satisfy, on a
// route, or elsewhere if it is nil.
func explains(h *Handler, route *Route) bool {
	if route != nil && route.Explain != nil {
		return *route.Explain
	}
	return h.Explain != nil && *h.Explain
}

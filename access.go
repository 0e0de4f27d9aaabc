package oidcrp

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
)

// This file gathers the facts of package authz about a request: what the
// configuration says, what the session lacks, and what the request shows.

// access asks the matchers for every reading of the path that an application
// could make, since what decides here is not what is sent there. A request is
// public only if every reading is, and guarded if any is. A matcher's error is
// the caller's to answer with: it never opens anything.
func (h *Handler) access(r *http.Request, original *url.URL) (authz.Policy, error) {
	if len(h.guard) == 0 && len(h.Routes) == 0 {
		return authz.Policy{Guarded: true, Public: h.Mode == modePublic, Unauthenticated: authz.Response(h.Unauthenticated)}, nil
	}
	if original.Path == r.URL.Path && original.RawPath == r.URL.RawPath && r.URL.RawPath == "" && address.Plain(r.URL.Path) {
		return h.accessAsRead(r)
	}
	var buffer [8]address.Reading
	readings, complete := address.Readings(buffer[:0],
		address.Path{Path: original.Path, RawPath: original.EscapedPath()},
		address.Path{Path: r.URL.Path, RawPath: r.URL.EscapedPath()})
	if !complete {
		return authz.Policy{Guarded: true, Unauthenticated: authz.Response(h.Unauthenticated)}, nil
	}
	current, sent := *r.URL, *original
	defer func() {
		original.Path, original.RawPath = sent.Path, sent.RawPath
		r.URL.Path, r.URL.RawPath = current.Path, current.RawPath
	}()
	all := authz.Policy{Public: true, Named: true}
	// The current path is the first reading, and looked at last: what matchers
	// leave behind for placeholders is of that.
	for _, reading := range slices.Backward(readings) {
		original.Path, original.RawPath = reading.Path, reading.RawPath
		r.URL.Path, r.URL.RawPath = reading.Path, reading.RawPath
		one, err := h.accessAsRead(r)
		if err != nil {
			return all, err
		}
		all.Restrict(one)
	}
	return all, nil
}

// accessAsRead is the verdict on the path as it stands in the request.
func (h *Handler) accessAsRead(r *http.Request) (authz.Policy, error) {
	if len(h.guard) > 0 {
		if covered, err := h.guard.AnyMatchWithError(r); err != nil || !covered {
			return authz.Policy{}, err
		}
	}
	for _, route := range h.Routes {
		matched, err := route.matchers.AnyMatchWithError(r)
		if err != nil {
			return authz.Policy{}, err
		}
		if matched {
			public := route.Mode == modePublic
			return authz.Policy{Guarded: true, Public: public, Named: public, Unauthenticated: authz.Response(orDefault(route.Unauthenticated, h.Unauthenticated))}, nil
		}
	}
	return authz.Policy{Guarded: true, Public: h.Mode == modePublic, Unauthenticated: authz.Response(h.Unauthenticated)}, nil
}

func orDefault(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}

// decide gathers the facts about a guarded request, and makes the decision.
func (h *Handler) decide(r *http.Request, st *requestState, policy authz.Policy) authz.Decision {
	policy.PassPreflights = h.Preflight == "pass"
	facts := authz.Facts{User: st.user(), Policy: policy}
	if st.signedIn() {
		facts.Shortfall = h.shortfallOf(st)
	}
	st.shortfall = facts.Shortfall
	if facts.DependOnRequest() {
		facts.Request = authz.Request{
			PageLoad: navigation.IsPageLoad(r), Read: navigation.IsRead(r), Preflight: navigation.IsPreflight(r),
			KnownError: r.URL.RawQuery != "" && queryErrorCodeOf(r) != "",
		}
	}
	return authz.Decide(&facts)
}

// shortfallOf returns what the session of a signed-in user lacks at this instance.
func (h *Handler) shortfallOf(st *requestState) authz.Shortfall {
	p := st.provider
	if p.demanding && p.client.Demands.Check(st.session.AuthTime, st.session.ACR, h.now(), p.client.ClockSkew) != nil {
		return authz.ShortOfProof
	}
	if h.isOutdated(st) {
		return authz.ShortOfClaims
	}
	return authz.Enough
}

// isOutdated reports whether the login of a session did not request a claim or
// token that this instance needs. It is found out once for a loaded session.
func (h *Handler) isOutdated(st *requestState) bool {
	if !st.asLoaded() {
		needs := h.ownNeeds()
		return st.user().IsOutdated(&needs)
	}
	const current, outdated = 1, 2
	known := st.loaded.Outdated.Load()
	if known == 0 {
		known = current
		needs := h.ownNeeds()
		if st.user().IsOutdated(&needs) {
			known = outdated
		}
		st.loaded.Outdated.Store(known)
	}
	return known == outdated
}

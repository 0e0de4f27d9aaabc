package flow

import "github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"

// This file finds out what a session lacks at an instance.

// Shortfall returns why the session of the request is not enough at this instance.
func (x *sessions) Shortfall() authz.Shortfall {
	x.State.shortfall = authz.Enough
	if x.State.SignedIn() {
		x.State.shortfall = x.findShortfall()
	}
	return x.State.shortfall
}

func (x *sessions) findShortfall() authz.Shortfall {
	p, s := x.State.provider, x.State.session
	if p.Demanding && p.Client.Demands.Check(s.AuthTime, s.ACR, x.Now(), p.Client.ClockSkew) != nil {
		return authz.ShortOfProof
	}
	if x.isOutdated() {
		return authz.ShortOfClaims
	}
	return authz.Enough
}

// isOutdated reports whether only another login brings what this instance needs: the
// login of the session did not request a claim or token, which is found out once for
// a loaded session, or its claims are too old.
func (x *sessions) isOutdated() bool {
	st := x.State
	if st.unconfirmed {
		return true
	}
	if !st.isAsLoaded() {
		return st.User().IsOutdated(&x.Needs)
	}
	const current, outdated = 1, 2
	known := st.loaded.Outdated.Load()
	if known == 0 {
		known = current
		if st.User().IsOutdated(&x.Needs) {
			known = outdated
		}
		st.loaded.Outdated.Store(known)
	}
	return known == outdated
}

package flow

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// This file finds out what a session lacks at an instance, and what rules make of
// its user.

// EvaluateRules returns what rules say about the user, who is signed in. request is
// what their expressions get.
func (x *sessions) EvaluateRules(sets []*authz.Set, request any) authz.Outcome {
	st := x.State
	if outcome, known := st.rulesMemory().Recall(sets); known {
		return outcome
	}
	subject := st.Subject(request)
	return authz.Evaluate(sets, &subject, st.rulesMemory())
}

// Subject returns what rules are evaluated for, where a user is signed in. request is
// what their expressions get.
func (st *State) Subject(request any) authz.Subject {
	return authz.Subject{User: st.User(), Now: st.at.Now(), Skew: st.provider.Client.ClockSkew, Request: request}
}

// rulesMemory remembers what rules say about the user, for as long as the session is
// remembered as loaded; nil for a session that is not.
func (st *State) rulesMemory() *authz.Memory {
	if !st.isAsLoaded() {
		return nil
	}
	memory, ok := st.loaded.Rules.Load().(*authz.Memory)
	if !ok {
		st.loaded.Rules.CompareAndSwap(nil, new(authz.Memory))
		memory, _ = st.loaded.Rules.Load().(*authz.Memory)
	}
	return memory
}

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
	unproved := p.Demanding && p.Client.Demands.Check(s.AuthTime, s.ACR, x.Now(), p.Client.ClockSkew) != nil
	switch outdated := x.isOutdated(); {
	case unproved && outdated:
		return authz.ShortOfBoth
	case unproved:
		return authz.ShortOfProof
	case outdated:
		return authz.ShortOfClaims
	}
	return authz.Enough
}

// Lacks reports whether the login of a signed-in user did not request something that is
// needed. No login requested what a program brings: what is not there is absent.
func (st *State) Lacks(n *identity.Needs) bool {
	return !st.IsProgram() && st.User().IsOutdated(n)
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
		return st.Lacks(&x.Needs)
	}
	const current, outdated = 1, 2
	known := st.loaded.Outdated.Load()
	if known == 0 {
		known = current
		if st.Lacks(&x.Needs) {
			known = outdated
		}
		st.loaded.Outdated.Store(known)
	}
	return known == outdated
}

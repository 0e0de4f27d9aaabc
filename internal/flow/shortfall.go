package flow

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// This file determines what a session lacks at an instance, and evaluates rules.

// EvaluateRules evaluates rules for the signed-in user. request is passed to their
// expressions.
func (x *sessions) EvaluateRules(sets []*authz.Set, request any) authz.Outcome {
	st := x.State
	if outcome, known := st.rulesMemory().Recall(sets); known {
		return outcome
	}
	subject := st.Subject(request)
	return authz.Evaluate(sets, &subject, st.rulesMemory())
}

// Subject returns what rules are evaluated against, for a signed-in user. request
// is passed to their expressions.
func (st *State) Subject(request any) authz.Subject {
	return authz.Subject{User: st.User(), Now: st.at.Now(), Skew: st.provider.Client.ClockSkew, Request: request}
}

// rulesMemory returns the cache of results of rules, which lives as long as the
// loaded session; nil if the session is not the loaded one.
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

// Shortfall returns why the session is not sufficient at this instance.
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

// Lacks reports whether the user's login did not request some of the needs.
// Programs have no login; their claims are either present or absent.
func (st *State) Lacks(n *identity.Needs) bool {
	return !st.IsProgram() && st.User().IsOutdated(n)
}

// isOutdated reports whether only another login can bring what this instance needs,
// because the session's login did not request it, or because the claims are too
// old. The former is cached with the loaded session.
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

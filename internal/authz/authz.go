// Package authz decides what happens to a request that the guard covers: it is
// served, becomes a login, or is refused. Evaluate says what the rules of a
// configuration, require and deny, make of a user. Decide takes one struct of facts
// and returns a decision with its reason.
//
// It is pure: the facts are gathered by the caller, and the decision is carried
// out by the caller. It does not know matchers, handlers, cookies, providers or
// responses. Who a user is comes from package identity.
package authz

import (
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// Facts are all that a decision depends on.
type Facts struct {
	// User is who makes the request: name, claims, groups, provider and session.
	// The zero value is an unauthenticated user.
	User identity.User
	// Shortfall is what the session of a signed-in user lacks.
	Shortfall Shortfall
	// Outcome is what the rules of the policy say about a signed-in user.
	Outcome Outcome
	// Request is what the request itself shows. It may be left empty if
	// DependsOnRequest reports false.
	Request Request
	// Policy is what the configuration says about the request.
	Policy Policy
}

// Shortfall is why a session is not enough for an instance.
type Shortfall uint8

const (
	// Enough: the session lacks nothing.
	Enough Shortfall = iota
	// ShortOfProof: auth_time or acr are not what authorization_params demand.
	ShortOfProof
	// ShortOfClaims: the session is outdated. Its login did not request all that
	// is needed.
	ShortOfClaims
	// ShortOfBoth: of proof and of claims.
	ShortOfBoth
)

// Request is what a request shows about itself. A browser can be made to send any
// of it, so that none of it grants access.
type Request struct {
	// PageLoad reports whether a person opens a page. Only that begins a login, as
	// a redirect serves nothing else and each login costs a cookie.
	PageLoad bool
	// Read reports whether the method is GET or HEAD.
	Read bool
	// Preflight reports whether the request is a CORS preflight without a body.
	Preflight bool
	// KnownError reports whether the query names one of the error codes, because a
	// login that began here has failed.
	KnownError bool
}

// Policy is what the configuration says about a request.
type Policy struct {
	Guarded bool // the guard covers it
	Public  bool // it needs no session
	// Named reports whether a public route names it, so that its responses are the
	// same for everyone.
	Named bool
	// Unauthenticated is how to respond to unauthenticated requests.
	Unauthenticated Unauthenticated
	// PassPreflights reports whether CORS preflights need no session.
	PassPreflights bool
	// Rules are the sets of rules that users have to satisfy. Those of a public
	// address refuse no request: users who do not satisfy them are anonymous there.
	Rules []*Set
	// Matchers reports whether matchers behind the guard are about users. They must
	// not see one whose session lacks what they are about.
	Matchers bool
	// Explain reports whether refused users read which rule they do not satisfy.
	Explain bool
}

// Unauthenticated is how to respond to unauthenticated requests, as a configuration
// writes it. Anything else than these is UnauthenticatedAuto.
type Unauthenticated string

const (
	UnauthenticatedAuto     Unauthenticated = "auto"     // log in page loads, and deny the rest
	UnauthenticatedRedirect Unauthenticated = "redirect" // log in everything that reads
	UnauthenticatedDeny     Unauthenticated = "deny"     // deny everything with 401
)

// Restrict makes a policy that is at least as strict as both, for a request that
// applications could understand in several ways.
func (p *Policy) Restrict(other Policy) {
	if !other.Guarded {
		return
	}
	p.Guarded = true
	p.Named = p.Named && other.Named
	if other.Public {
		if p.Public {
			p.addRules(other.Rules)
		}
		return
	}
	if p.Public { // the rules of a route include those of its instance
		p.Rules = nil
	}
	p.addRules(other.Rules)
	p.Explain = other.Explain && (p.Public || p.Explain)
	if p.Public || other.Unauthenticated == UnauthenticatedDeny {
		p.Unauthenticated = other.Unauthenticated
	}
	p.Public = false
}

func (p *Policy) addRules(sets []*Set) {
	for _, set := range sets {
		if !slices.Contains(p.Rules, set) {
			p.Rules = append(p.Rules[:len(p.Rules):len(p.Rules)], set)
		}
	}
}

// Action is what happens to a request.
type Action int

const (
	// Serve: the request goes on, with the user's identity if there is one.
	Serve Action = iota
	// PassAnonymous: the request goes on without an identity.
	PassAnonymous
	// Login: an unauthenticated user goes to the login.
	Login
	// StepUp: a signed-in user goes to the login again, since the session is not
	// enough.
	StepUp
	// Forbidden: a signed-in user is refused with 403.
	Forbidden
	// Unauthorized: the response is 401.
	Unauthorized
	// ShowError: the response is the page for the error that the query names.
	ShowError
)

// Reason is why a decision was made.
type Reason string

const (
	ReasonPublic          Reason = "public"
	ReasonSignedIn        Reason = "signed_in"
	ReasonPreflight       Reason = "preflight"
	ReasonKnownError      Reason = "known_error"
	ReasonUnauthenticated Reason = "unauthenticated"
	ReasonShortOfProof    Reason = "short_of_proof"
	ReasonShortOfClaims   Reason = "short_of_claims"
	ReasonRefused         Reason = "refused"
	ReasonUnproved        Reason = "unproved"
)

// Decision is what happens to a request, and why.
type Decision struct {
	Action Action
	Reason Reason
	// Rule is the rule that is not satisfied, if the reason is ReasonRefused or
	// ReasonUnproved.
	Rule *Line
}

// Package authz decides what happens to a guarded request: it is served, begins a login,
// or is refused. Evaluate evaluates the rules of a configuration, require and deny, for a
// user. Decide takes facts and returns a decision with its reason.
//
// It is pure: the facts are gathered by the caller, and the decision is carried
// out by the caller. It does not know matchers, handlers, cookies, providers or
// responses. Who a user is comes from package identity.
package authz

import (
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// Facts is everything that a decision depends on.
type Facts struct {
	// User is the user of the request; the zero value if it is unauthenticated.
	User identity.User
	// Shortfall is what the session of a signed-in user lacks.
	Shortfall Shortfall
	// Outcome is the result of the policy's rules for a signed-in user.
	Outcome Outcome
	// Request has the relevant properties of the request. It may be empty if
	// DependsOnRequest returns false.
	Request Request
	// Policy is the configured policy for the request.
	Policy Policy
}

// Shortfall is why a session is not sufficient for an instance.
type Shortfall uint8

const (
	// Enough means that the session lacks nothing.
	Enough Shortfall = iota
	// ShortOfProof means that auth_time or acr do not satisfy authorization_params.
	ShortOfProof
	// ShortOfClaims means that the session is outdated: its login did not request
	// everything that is needed.
	ShortOfClaims
	// ShortOfBoth means both.
	ShortOfBoth
)

// Request has properties of a request. A browser can be made to send any of them,
// so none grants access.
type Request struct {
	// PageLoad reports whether a user opens a page. Only then a login begins: a
	// redirect would not help other requests, and each login costs a cookie.
	PageLoad bool
	// Read reports whether the method is GET or HEAD.
	Read bool
	// Preflight reports whether the request is a CORS preflight without a body.
	Preflight bool
	// KnownError reports whether the query has one of our error codes, because a
	// login that began here has failed.
	KnownError bool
}

// Policy is the configured policy for a request.
type Policy struct {
	Guarded bool // whether the guard covers the request
	Public  bool // whether no session is needed
	// Named reports whether a public route matches the request, so that the
	// response is the same for all users.
	Named bool
	// Unauthenticated is how to respond to unauthenticated requests.
	Unauthenticated Unauthenticated
	// PassPreflights reports whether CORS preflights need no session.
	PassPreflights bool
	// Rules are the sets of rules to satisfy. On a public address they refuse no
	// request: users who do not satisfy them are anonymous there.
	Rules []*Set
	// Matchers reports whether there are matchers about users behind the guard.
	// They must not see users whose session may lack what they match.
	Matchers bool
	// Explain reports whether refused users are shown the rule.
	Explain bool
}

// Unauthenticated is how to respond to unauthenticated requests, in the form of the
// configuration. Other values mean UnauthenticatedAuto.
type Unauthenticated string

const (
	UnauthenticatedAuto     Unauthenticated = "auto"     // log in page loads, and deny the rest
	UnauthenticatedRedirect Unauthenticated = "redirect" // log in everything that reads
	UnauthenticatedDeny     Unauthenticated = "deny"     // deny everything with 401
)

// Restrict makes p at least as strict as both policies, for a request that
// applications could interpret in several ways.
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
	// Serve forwards the request, with the user's identity if there is one.
	Serve Action = iota
	// PassAnonymous forwards the request without an identity.
	PassAnonymous
	// Login begins a login for an unauthenticated user.
	Login
	// StepUp begins another login for a signed-in user whose session is not
	// sufficient.
	StepUp
	// Forbidden refuses a signed-in user with 403.
	Forbidden
	// Unauthorized responds with 401.
	Unauthorized
	// ShowError shows the error in the query.
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

package authz

// DependsOnRequest reports whether the decision depends on Facts.Request. For most
// requests it does not, which saves looking at their header.
func (f *Facts) DependsOnRequest() bool {
	return !f.Policy.Public && !f.isEnough()
}

// isEnough reports whether the user is signed in with a sufficient session and
// satisfies all rules.
func (f *Facts) isEnough() bool {
	return f.User.SignedIn() && f.Shortfall == Enough && f.Outcome.Allowed()
}

// isRefused reports whether a rule refuses the user regardless of proof. An
// outdated session is updated first, since it may lack what the rule is about.
func (f *Facts) isRefused() bool {
	return f.User.SignedIn() && (f.Shortfall == Enough || f.Shortfall == ShortOfProof) && f.Outcome.Refused != nil
}

// isShortOfProof reports whether the session does not satisfy authorization_params.
func (f *Facts) isShortOfProof() bool {
	return f.Shortfall == ShortOfProof || f.Shortfall == ShortOfBoth
}

// Decide decides about a guarded request.
func Decide(f *Facts) Decision {
	switch {
	case f.Policy.Public:
		return f.decidePublic()
	case f.isEnough():
		return Decision{Action: Serve, Reason: ReasonSignedIn}
	case f.Request.Preflight && f.Policy.PassPreflights:
		return Decision{Action: PassAnonymous, Reason: ReasonPreflight}
	case f.isRefused():
		return Decision{Forbidden, ReasonRefused, f.Outcome.Refused}
	case f.Request.KnownError && f.Request.PageLoad:
		return Decision{Action: ShowError, Reason: ReasonKnownError} // do not begin another login right after a failed one
	}
	d := f.missing()
	switch {
	case f.Policy.Unauthenticated == UnauthenticatedDeny:
		d.Action = Unauthorized
	case f.User.SignedIn() && f.Request.PageLoad:
		d.Action = StepUp
	case f.User.SignedIn():
		d.Action = Unauthorized
	case f.Request.PageLoad, f.Policy.Unauthenticated == UnauthenticatedRedirect && f.Request.Read && !f.Request.KnownError:
		d.Action = Login
	default:
		d.Action = Unauthorized
	}
	return d
}

// decidePublic decides about a public address. It refuses no request, but users
// whose sign-in is not sufficient are anonymous there.
func (f *Facts) decidePublic() Decision {
	switch {
	case f.User.SignedIn() && f.isShortOfProof():
		return Decision{Action: PassAnonymous, Reason: ReasonShortOfProof}
	case f.User.SignedIn() && f.Shortfall == ShortOfClaims && (len(f.Policy.Rules) > 0 || f.Policy.Matchers):
		return Decision{Action: PassAnonymous, Reason: ReasonShortOfClaims} // rules and matchers may be about the missing claims
	case f.User.SignedIn() && f.Outcome.Refused != nil:
		return Decision{PassAnonymous, ReasonRefused, f.Outcome.Refused}
	case f.User.SignedIn() && f.Outcome.Unproved != nil:
		return Decision{PassAnonymous, ReasonUnproved, f.Outcome.Unproved}
	}
	return Decision{Action: Serve, Reason: ReasonPublic}
}

// missing returns the decision for a request without a sufficient session.
func (f *Facts) missing() Decision {
	switch {
	case !f.User.SignedIn():
		return Decision{Reason: ReasonUnauthenticated}
	case f.isShortOfProof():
		return Decision{Reason: ReasonShortOfProof}
	case f.Shortfall == ShortOfClaims:
		return Decision{Reason: ReasonShortOfClaims}
	}
	return Decision{Reason: ReasonUnproved, Rule: f.Outcome.Unproved}
}

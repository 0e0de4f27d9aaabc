package authz

// DependsOnRequest reports whether the decision depends on Facts.Request. It does
// not for most requests, which are spared the look at their header.
func (f *Facts) DependsOnRequest() bool {
	return !f.Policy.Public && !f.isEnough()
}

// isEnough reports whether the user is signed in with a session that is enough,
// and satisfies all rules.
func (f *Facts) isEnough() bool {
	return f.User.SignedIn() && f.Shortfall == Enough && f.Outcome.Allowed()
}

// isRefused reports whether a rule refuses the user, whom no proof would help. An
// outdated session is updated first, since it may lack what the rule is about.
func (f *Facts) isRefused() bool {
	return f.User.SignedIn() && (f.Shortfall == Enough || f.Shortfall == ShortOfProof) && f.Outcome.Refused != nil
}

// isShortOfProof reports whether authorization_params demand more than the session has.
func (f *Facts) isShortOfProof() bool {
	return f.Shortfall == ShortOfProof || f.Shortfall == ShortOfBoth
}

// Decide makes the whole decision about a request that the guard covers, from the
// facts alone.
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
		return Decision{Action: ShowError, Reason: ReasonKnownError} // a login that just failed does not begin again by itself
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

// decidePublic makes the decision about a public address. It refuses no request,
// but users whose sign-in is not enough are anonymous there.
func (f *Facts) decidePublic() Decision {
	switch {
	case f.User.SignedIn() && f.isShortOfProof():
		return Decision{Action: PassAnonymous, Reason: ReasonShortOfProof}
	case f.User.SignedIn() && f.Shortfall == ShortOfClaims && (len(f.Policy.Rules) > 0 || f.Policy.Matchers):
		return Decision{Action: PassAnonymous, Reason: ReasonShortOfClaims} // which rules and matchers may be about
	case f.User.SignedIn() && f.Outcome.Refused != nil:
		return Decision{PassAnonymous, ReasonRefused, f.Outcome.Refused}
	case f.User.SignedIn() && f.Outcome.Unproved != nil:
		return Decision{PassAnonymous, ReasonUnproved, f.Outcome.Unproved}
	}
	return Decision{Action: Serve, Reason: ReasonPublic}
}

// missing returns what the request lacks: a session, or enough of one.
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

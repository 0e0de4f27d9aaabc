package authz

// DependsOnRequest reports whether the decision depends on Facts.Request. It does
// not for most requests, which are spared the look at their header.
func (f *Facts) DependsOnRequest() bool {
	return !f.Policy.Public && !f.isEnough()
}

// isEnough reports whether the user is signed in with a session that is enough.
func (f *Facts) isEnough() bool { return f.User.SignedIn() && f.Shortfall == Enough }

// Decide makes the whole decision about a request that the guard covers, from the
// facts alone.
func Decide(f *Facts) Decision {
	switch {
	case f.Policy.Public && f.User.SignedIn() && f.Shortfall == ShortOfProof:
		return Decision{PassAnonymous, ReasonShortOfProof}
	case f.Policy.Public:
		return Decision{Serve, ReasonPublic}
	case f.isEnough():
		return Decision{Serve, ReasonSignedIn}
	case f.Request.Preflight && f.Policy.PassPreflights:
		return Decision{PassAnonymous, ReasonPreflight}
	case f.Request.KnownError && f.Request.PageLoad:
		return Decision{ShowError, ReasonKnownError} // a login that just failed does not begin again by itself
	}
	reason := f.missing()
	switch {
	case f.Policy.Unauthenticated == UnauthenticatedDeny:
		return Decision{Unauthorized, reason}
	case f.User.SignedIn() && f.Request.PageLoad:
		return Decision{StepUp, reason}
	case f.User.SignedIn():
		return Decision{Unauthorized, reason}
	case f.Request.PageLoad, f.Policy.Unauthenticated == UnauthenticatedRedirect && f.Request.Read && !f.Request.KnownError:
		return Decision{Login, reason}
	}
	return Decision{Unauthorized, reason}
}

// missing returns what the request lacks: a session, or enough of one.
func (f *Facts) missing() Reason {
	switch {
	case !f.User.SignedIn():
		return ReasonUnauthenticated
	case f.Shortfall == ShortOfProof:
		return ReasonShortOfProof
	}
	return ReasonShortOfClaims
}

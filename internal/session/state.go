package session

import "time"

// This file orders the states of one session. A refresh brings new tokens, and a
// recheck new claims; each makes a newer state.

// Updated returns when the session got its latest tokens or claims: of two states
// of one session the later one counts. It is zero for a session that is as its
// sign-in made it and has no grant.
func (s *Session) Updated() time.Time {
	if s.Confirmed.After(s.Grant.Issued) {
		return s.Confirmed
	}
	return s.Grant.Issued
}

// DateAfter dates a newer state after an older one, since clocks differ, and yet
// the order of states is certain.
func (s *Session) DateAfter(older time.Time) {
	if s.Updated().After(older) {
		return
	}
	if later := older.Add(time.Millisecond); s.Grant.RefreshToken != "" {
		s.Grant.Issued = later
	} else {
		s.Confirmed = later
	}
}

// ClaimsAsOf returns when the provider last said what the claims are: at the
// sign-in, with the latest tokens, or at a time of its own.
func (s *Session) ClaimsAsOf() time.Time {
	switch {
	case !s.Confirmed.IsZero():
		return s.Confirmed
	case s.Grant.Issued.After(s.SignedIn):
		return s.Grant.Issued
	}
	return s.SignedIn
}

// DropGrant takes away what a refresh needs. The claims stay as old as they are.
func (s *Session) DropGrant() {
	if asOf := s.ClaimsAsOf(); asOf.After(s.SignedIn) {
		s.Confirmed = asOf
	}
	s.Grant = Grant{}
	if s.AccessToken == "" {
		s.TokenKey = ""
	}
}

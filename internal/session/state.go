package session

import "time"

// This file orders the states of one session. A refresh of tokens and a recheck of
// claims each create a newer state.

// Updated returns when the session got its latest tokens or claims. Of two states
// of one session the later one is the newer. It is zero for a session without a
// grant that was not updated since its login.
func (s *Session) Updated() time.Time {
	if s.Confirmed.After(s.Grant.Issued) {
		return s.Confirmed
	}
	return s.Grant.Issued
}

// DateAfter makes sure that a newer state is dated after an older one, even if
// clocks differ.
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

// ClaimsAsOf returns when the provider last confirmed the claims: at the login,
// with the latest tokens, or by a recheck.
func (s *Session) ClaimsAsOf() time.Time {
	switch {
	case !s.Confirmed.IsZero():
		return s.Confirmed
	case s.Grant.Issued.After(s.SignedIn):
		return s.Grant.Issued
	}
	return s.SignedIn
}

// DropGrant removes what a refresh needs. It preserves ClaimsAsOf.
func (s *Session) DropGrant() {
	if asOf := s.ClaimsAsOf(); asOf.After(s.SignedIn) {
		s.Confirmed = asOf
	}
	s.Grant = Grant{}
	if s.AccessToken == "" {
		s.TokenKey = ""
	}
}

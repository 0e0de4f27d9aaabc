package session

import "time"

// LastLifetime is how long a session is remembered after its end.
const LastLifetime = 72 * time.Hour

// AfterItsEnd returns what is kept of a session after its end: whose it was, and
// what is needed to find out whether it was revoked.
func (s *Session) AfterItsEnd() Session {
	return Session{
		ID: s.ID, Binding: s.Binding, Provider: s.Provider, SignedIn: s.SignedIn, Expires: s.Expires, Seen: s.SignedIn,
		Subject: s.Subject, Username: s.Username, SID: s.SID, IDTokenIssued: s.IDTokenIssued, Spared: s.Spared, Parent: s.Parent,
	}
}

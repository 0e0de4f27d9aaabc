package session

import "time"

// LastLifetime is for how long after its end a session is remembered.
const LastLifetime = 72 * time.Hour

// AfterItsEnd returns what has to be known of a session after its end: whose it was,
// and whether it was revoked.
func (s *Session) AfterItsEnd() Session {
	return Session{
		ID: s.ID, Binding: s.Binding, Provider: s.Provider, SignedIn: s.SignedIn, Expires: s.Expires, Seen: s.SignedIn,
		Subject: s.Subject, Username: s.Username, SID: s.SID, IDTokenIssued: s.IDTokenIssued, Spared: s.Spared, Parent: s.Parent,
	}
}

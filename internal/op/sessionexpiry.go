package op

import "time"

// SessionExpiry returns when a session that is made of a checked ID token has to
// end (OpenID Connect Enterprise Extensions 1.0), to the second; zero if the token
// does not say. The error is about the form of the claim.
func SessionExpiry(claims Claims) (time.Time, error) {
	t, ok, err := object(claims).moment("session_expiry")
	if !ok || err != nil {
		return time.Time{}, err
	}
	return t.Truncate(time.Second), nil
}

package op

import "time"

// SessionExpiry returns when the session of a verified ID token has to end (OpenID
// Connect Enterprise Extensions 1.0), to the second; zero if the token has no
// session_expiry. It returns an error if the claim is not valid.
func SessionExpiry(claims Claims) (time.Time, error) {
	t, ok, err := object(claims).moment("session_expiry")
	if !ok || err != nil {
		return time.Time{}, err
	}
	return t.Truncate(time.Second), nil
}

package op

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Demands are what authorization requests ask for such that an ID token without it
// is not valid (OpenID Connect Core 3.1.3.7, 12 and 13). acr_values is not a
// demand: providers may ignore it (OpenID Connect Core 3.1.2.1).
type Demands struct {
	// MaxAge is how long ago the user may have authenticated.
	MaxAge *time.Duration
	// ACR reports whether acr must be present, and be one of ACRs if there are any.
	ACR  bool
	ACRs []string
	// Proof is what one login has to prove in addition.
	Proof Proof
	// LoginIsAuthTime reports whether the login asks the user to authenticate
	// again, so that its time replaces a missing auth_time.
	LoginIsAuthTime bool
	// Began is when a login with LoginIsAuthTime began. It is not encoded.
	Began time.Time

	hashes [][8]byte // replace ACRs in decoded demands
}

const (
	// MaxACRs is the maximum number of acr values in one list, as transactions carry them.
	MaxACRs = 32
	// maxProofACRs is the maximum for all lists of a proof. Further lists are not checked
	// when the user comes back, but by the rules themselves.
	maxProofACRs = 64
)

// Any reports whether the fixed parameters demand anything of ID tokens.
func (d *Demands) Any() bool { return d.MaxAge != nil || d.ACR }

// AuthTime returns when the user authenticated, by the auth_time of an ID token or
// what replaces it; zero if it is unknown.
func (d *Demands) AuthTime(said time.Time) time.Time {
	if said.IsZero() && d.LoginIsAuthTime {
		return d.Began
	}
	return said
}

// Check checks a login against the demands. authTime and acr are those of the ID
// token, or zero.
func (d *Demands) Check(authTime time.Time, acr string, now time.Time, skew time.Duration) error {
	if d.MaxAge != nil {
		if err := checkAge(*d.MaxAge, authTime, now, skew); err != nil {
			return err
		}
	}
	if d.ACR && !d.allows(acr) {
		return errors.New("acr is not one that claims asks for as essential")
	}
	return nil
}

// checkAge checks the time of an authentication, zero if it is unknown, against
// max_age.
func checkAge(maxAge time.Duration, authTime, now time.Time, skew time.Duration) error {
	ago := now.Sub(authTime)
	switch {
	case authTime.IsZero():
		return errors.New("auth_time is missing, which max_age asks for")
	case IsTooOld(maxAge, authTime, now, skew):
		return fmt.Errorf("auth_time is %s ago, which is more than max_age (clock_skew is %s)", ago.Round(time.Second), skew)
	case ago < -skew:
		return fmt.Errorf("auth_time is %s in the future (clock_skew is %s); check the clocks here and at the provider", -ago.Round(time.Second), skew)
	}
	return nil
}

// IsTooOld reports whether an authentication is older than max_age. It counts whole
// seconds, like auth_time and providers. Otherwise an authentication could be too
// old here but, for up to a second, recent enough for the provider, which would
// then not ask the user again.
func IsTooOld(maxAge time.Duration, authTime, now time.Time, skew time.Duration) bool {
	return now.Truncate(time.Second).Sub(authTime) > maxAge+skew
}

func (d *Demands) allows(acr string) bool {
	if acr == "" {
		return false
	}
	if len(d.ACRs)+len(d.hashes) == 0 {
		return true
	}
	return slices.Contains(d.ACRs, acr) || len(d.hashes) > 0 && slices.Contains(d.hashes, hashTexts(acr))
}

// checkRequested checks auth_time and acr against the request.
func (c *idTokenCheck) checkRequested(claims object) error {
	if !c.demands.Any() {
		return nil
	}
	authTime, acr, err := authOf(claims)
	if err != nil {
		return err
	}
	return c.demands.Check(c.demands.AuthTime(authTime), acr, c.now, c.skew)
}

// authOf returns auth_time and acr; zero if they are absent.
func authOf(claims object) (authTime time.Time, acr string, err error) {
	authTime, ok, err := claims.moment("auth_time")
	if err != nil {
		return time.Time{}, "", err
	}
	if !ok {
		authTime = time.Time{}
	}
	acr, err = claims.text("acr")
	return authTime, acr, err
}

// AuthOf returns auth_time and acr of a verified ID token; zero if they are absent
// or not valid.
func AuthOf(claims Claims) (authTime time.Time, acr string) {
	authTime, acr, _ = authOf(object(claims))
	return authTime, acr
}

// ParseClaimsRequest parses a claims parameter (OpenID Connect Core 5.5), and
// returns what it demands of acr.
func ParseClaimsRequest(text string) (d Demands, err error) {
	top, err := parseObject([]byte(text))
	if err != nil {
		return d, err
	}
	for place, raw := range top {
		if place != "userinfo" && place != "id_token" {
			return d, fmt.Errorf("has the unknown member %q; it knows userinfo and id_token", clip(place))
		}
		if string(raw) == "null" {
			continue
		}
		names, err := parseObject(raw)
		if err != nil {
			return d, fmt.Errorf("has a member %s that %w", place, err)
		}
		for name, raw := range names {
			wish, err := parseWish(raw)
			if err != nil {
				return d, fmt.Errorf("asks for %q in a way that is none: %w", clip(name), err)
			}
			if place == "id_token" && name == "acr" && wish.essential {
				if len(wish.values) > MaxACRs {
					return d, fmt.Errorf("asks for more than %d values of acr", MaxACRs)
				}
				d.ACR, d.ACRs = true, wish.values
			}
		}
	}
	return d, nil
}

// wish is the request for a claim (OpenID Connect Core 5.5.1).
type wish struct {
	essential bool
	values    []string // only strings
}

func parseWish(raw json.RawMessage) (w wish, err error) {
	if string(raw) == "null" {
		return w, nil
	}
	o, err := parseObject(raw)
	if err != nil {
		return w, errors.New("it is neither null nor an object")
	}
	if o.has("essential") && json.Unmarshal(o["essential"], &w.essential) != nil {
		return w, errors.New("essential is neither true nor false")
	}
	var values []any
	if o.has("values") && json.Unmarshal(o["values"], &values) != nil {
		return w, errors.New("values is not a list")
	}
	if o.has("value") {
		var value any
		if err := json.Unmarshal(o["value"], &value); err != nil {
			return w, errors.New("value is not valid JSON")
		}
		values = append(values, value)
	}
	for _, value := range values {
		if text, ok := value.(string); ok {
			w.values = append(w.values, text)
		}
	}
	return w, nil
}

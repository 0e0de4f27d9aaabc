package op

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Proof is what a login has to prove about how and when the user signed in, beyond
// what the fixed parameters make of ID tokens: rules and login links demand it. An ID
// token that proves less is valid, but no session is made of it.
type Proof struct {
	// MaxAge is how long ago the user may have signed in at the provider; nil for any
	// time.
	MaxAge *time.Duration
	// ACR are lists of authentication context class references. Of each list, one
	// value must be there.
	ACR [][]string

	hashes [][][8]byte // stand for ACR in a decoded proof
}

// IsZero reports whether nothing is to be proved.
func (p *Proof) IsZero() bool { return p.MaxAge == nil && len(p.ACR)+len(p.hashes) == 0 }

// Add makes a proof at least as strict as both.
func (p *Proof) Add(other Proof) {
	p.MaxAge = shorter(p.MaxAge, other.MaxAge)
	for _, list := range other.ACR {
		if !slices.ContainsFunc(p.ACR, func(known []string) bool { return slices.Equal(known, list) }) {
			p.ACR = append(p.ACR[:len(p.ACR):len(p.ACR)], list)
		}
	}
}

// maxAgeSeconds bounds max_age.
const maxAgeSeconds = 1 << 31

// ParseMaxAge reads max_age as authorization requests have it, in seconds.
func ParseMaxAge(text string) (*time.Duration, error) {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return nil, errors.New("max_age is not a number of seconds")
	}
	maxAge := time.Duration(seconds) * time.Second
	return &maxAge, nil
}

// shorter returns the shorter one of two durations; nil is none.
func shorter(a, b *time.Duration) *time.Duration {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}

// Check holds a sign-in to the proof. authTime is zero if the ID token has none, and
// acr are all values that it has.
func (p *Proof) Check(authTime time.Time, acr []string, now time.Time, skew time.Duration) error {
	if p.MaxAge != nil {
		if err := checkAge(*p.MaxAge, authTime, now, skew); err != nil {
			return err
		}
	}
	for _, list := range p.ACR {
		if !slices.ContainsFunc(acr, func(value string) bool { return slices.Contains(list, value) }) {
			return missingACR(acr)
		}
	}
	for _, list := range p.hashes {
		if !slices.ContainsFunc(acr, func(value string) bool { return slices.Contains(list, hashTexts(value)) }) {
			return missingACR(acr)
		}
	}
	return nil
}

func missingACR(acr []string) error {
	if len(acr) == 0 {
		return errors.New("the ID token has no acr; does the provider send one for this client")
	}
	return fmt.Errorf("acr is not one that was demanded: it is %q", clip(acr[0]))
}

// Acceptable returns the values of acr that a provider is asked for, in order of
// preference: those that satisfy all lists alone. If no value does, only several
// values together can, as the acrs of Entra ID, and all are returned. A value with a
// space cannot be asked for.
func (p *Proof) Acceptable() (values []string) {
	satisfiesAll := func(value string) bool {
		return !slices.ContainsFunc(p.ACR, func(list []string) bool { return !slices.Contains(list, value) })
	}
	var all []string
	for _, list := range p.ACR {
		for _, value := range list {
			if isOneWord(value) && !slices.Contains(all, value) {
				all = append(all, value)
			}
		}
	}
	for _, value := range all {
		if satisfiesAll(value) {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		values = all
	}
	return values[:min(len(values), MaxACRs)]
}

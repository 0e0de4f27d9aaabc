package op

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Proof is what rules and login links demand of a login, in addition to the fixed
// parameters: how and when the user authenticated. An ID token that does not
// satisfy it is valid, but no session is created.
type Proof struct {
	// MaxAge is how long ago the user may have authenticated; nil for no limit.
	MaxAge *time.Duration
	// ACR are lists of authentication context class references. One value of each
	// list is required.
	ACR [][]string

	hashes [][][8]byte // replace ACR in a decoded proof
}

// IsZero reports whether nothing has to be proved.
func (p *Proof) IsZero() bool { return p.MaxAge == nil && len(p.ACR)+len(p.hashes) == 0 }

// Add makes p at least as strict as both.
func (p *Proof) Add(other Proof) {
	p.MaxAge = shorter(p.MaxAge, other.MaxAge)
	for _, list := range other.ACR {
		if !slices.ContainsFunc(p.ACR, func(known []string) bool { return slices.Equal(known, list) }) {
			p.ACR = append(p.ACR[:len(p.ACR):len(p.ACR)], list)
		}
	}
}

// maxAgeSeconds limits max_age.
const maxAgeSeconds = 1 << 31

// ParseMaxAge parses max_age, in seconds.
func ParseMaxAge(text string) (*time.Duration, error) {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return nil, errors.New("max_age is not a number of seconds")
	}
	maxAge := time.Duration(seconds) * time.Second
	return &maxAge, nil
}

// shorter returns the shorter of two durations; nil means none.
func shorter(a, b *time.Duration) *time.Duration {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}

// Check checks a login against the proof. authTime is that of the ID token, or
// zero, and acr are all its values.
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

// Acceptable returns the acr values to request, in order of preference: those that
// satisfy all lists by themselves. If none does, only a combination can, as with
// Entra ID's acrs, and all are returned. Values with spaces cannot be requested.
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

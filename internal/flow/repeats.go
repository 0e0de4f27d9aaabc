package flow

import (
	"encoding/binary"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// This file limits how often one browser begins logins although it has a session
// that opens. It counts them in a sealed cookie of the host. Otherwise sites whose
// instances contradict each other would send a browser in circles.

const (
	// maxRepeats is the maximum number of such logins within repeatWindow.
	maxRepeats   = 2
	repeatWindow = time.Minute
)

// countLogin counts a login that is about to begin, and reports whether it may.
func (x *sessions) countLogin() bool {
	s := x.Scope()
	ring, err := x.Keys.Ring(x.R.Context())
	if s == nil || err != nil {
		return true // the login itself reports what is wrong
	}
	now := x.Now()
	var begun []int64
	for _, c := range cookie.WithPrefix(x.State.Cookies, s.Repeats, 4) {
		plain, _, err := ring.Open(seal.ForTransaction, s.RepeatsAAD, c.Value)
		if times := readRepeats(plain, now); err == nil && c.Name == s.Repeats && len(times) > len(begun) {
			begun = times
		}
	}
	if len(begun) >= maxRepeats {
		return false
	}
	plain := []byte{}
	for _, at := range append(begun, now.Unix()) {
		plain = binary.AppendVarint(plain, at)
	}
	s.Set(x.header(), s.Repeats, ring.Seal(seal.ForTransaction, s.RepeatsAAD, plain), int(repeatWindow.Seconds()))
	return true
}

// readRepeats returns the recent login times.
func readRepeats(plain []byte, now time.Time) (begun []int64) {
	for len(plain) > 0 && len(begun) < maxRepeats {
		at, size := binary.Varint(plain)
		if size <= 0 {
			return nil
		}
		plain = plain[size:]
		if age := now.Sub(time.Unix(at, 0)); age < repeatWindow && age > -repeatWindow {
			begun = append(begun, at)
		}
	}
	return begun
}

// forgetRepeats clears the count at a logout.
func (x *sessions) forgetRepeats(s *cookiescope.Scope) {
	if len(cookie.WithPrefix(x.State.Cookies, s.Repeats, 1)) > 0 {
		s.Expire(x.header(), s.Repeats)
	}
}

// Package lockout counts wrong attempts and decides when no more are accepted.
//
// An account has a counter that passwords and codes share, since they are judged
// together, and one for recovery codes. After as many wrong attempts as its login
// authenticator allows it is locked for a while, twice as long each time, up to a
// day. Only a complete sign-in resets that. A browser that signed in to the account
// before has counters of its own, so that strangers cannot lock it out. Wrong codes
// are counted beside that: after 30 of them no code is accepted until an operator
// unlocks them, or a reset by mail and then a sign-in with another factor. Addresses
// are counted by block, for browsers that are not known.
//
// All functions work in the caller's transaction: an attempt has to be judged and
// counted in the same one. Of many guesses at once, those that come after the lock
// are refused, whatever they are.
//
// The package knows counters and the time. What an attempt was is for the caller.
package lockout

import (
	"net/netip"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
)

// Kind is a kind of attempts.
type Kind string

const (
	Password Kind = "password" // a wrong password, or none that is right
	Code     Kind = "code"     // a wrong code beside the right password
	Recovery Kind = "recovery" // a wrong recovery code
)

// Attempt is an attempt to prove who one is.
type Attempt struct {
	// UserID is empty if there is no such user.
	UserID string
	// Rule is that of the user's login authenticator.
	Rule authenticator.Lockout
	Kind Kind
	// Device names a browser that signed in to this account before.
	Device  string
	Address netip.Addr
}

const (
	// maxCodes is how many wrong codes lock all codes of an account.
	maxCodes = 30
	// mailProvenFor is how long a reset by mail counts as one half of a recovery.
	mailProvenFor = 24 * time.Hour
	// deviceLasts is how long the counter of a device is kept.
	deviceLasts = 200 * 24 * time.Hour
)

// blockRule is the rule of address blocks. Their counters forget: an office shares
// one address, and no sign-in shows that the guessing has stopped.
var blockRule = authenticator.Lockout{Attempts: 100, Duration: time.Minute}

const (
	blockMaxWait = time.Hour
	blockForgets = time.Hour
)

// Package lockout counts wrong attempts and decides when to refuse further ones.
//
// Each account has one counter for passwords and codes, which are judged together, and
// one for recovery codes. When a counter reaches the limit of the user's login
// authenticator, the account is locked for a while; each lock lasts twice as long as the
// one before, up to a day. Time alone does not reset the counters; only a complete
// sign-in does, or an operator who unlocks the account. A browser that has signed in to
// the account before has its own counters, so strangers cannot lock its user out. Wrong
// codes are also counted separately: after 30 of them, no code is accepted until an
// operator unlocks codes, or the user resets the password by mail and then signs in with
// another factor. Attempts from unknown browsers are also counted for each address block.
//
// All functions work in the caller's transaction. An attempt must be judged and counted
// in the same transaction; then, of many simultaneous guesses, all that come after the
// lock are refused, even correct ones.
//
// The package knows only counters and times. What an attempt consists of is up to the
// caller.
package lockout

import (
	"net/netip"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
)

// Kind is the kind of an attempt.
type Kind string

const (
	Password Kind = "password" // a wrong password, or a missing one
	Code     Kind = "code"     // a wrong code after a correct password
	Recovery Kind = "recovery" // a wrong recovery code
)

// Attempt is an attempt to authenticate as a user.
type Attempt struct {
	// UserID is empty if the user does not exist.
	UserID string
	// Rule is the rule of the user's login authenticator.
	Rule authenticator.Lockout
	Kind Kind
	// Device identifies a browser that has signed in to this account before. It is empty
	// for other browsers.
	Device  string
	Address netip.Addr
}

const (
	// maxCodes is the number of wrong codes that locks all codes of an account.
	maxCodes = 30
	// mailProvenFor is how long a password reset by mail counts towards unlocking codes.
	mailProvenFor = 24 * time.Hour
	// deviceLasts is how long the counters of a device are kept.
	deviceLasts = 200 * 24 * time.Hour
)

// blockRule is the rule for address blocks. Their counters expire, because users may
// share an address, and a sign-in by one of them does not show that guessing has stopped.
var blockRule = authenticator.Lockout{Attempts: 100, Duration: time.Minute}

const (
	blockMaxWait = time.Hour
	blockForgets = time.Hour
)

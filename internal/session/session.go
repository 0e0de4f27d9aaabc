// Package session has the values that sign-ins leave behind, and how they become
// bytes: Session, what one sign-in came to; Transaction, one login in flight;
// and the small values beside them, Mark and Names.
//
// It knows nothing of where sessions are kept, sealed, refreshed or revoked:
// see packages seal, refresh and revocation.
package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
)

// ID names a session. It is random, new at each sign-in, and never leaves the
// sealed cookie except in the revocation of the session.
type ID [16]byte

// NewID returns a random id.
func NewID() (id ID) {
	rand.Read(id[:])
	return id
}

// Binding stands for the provider that vouched for the user: its issuer and our
// client id there. A session is valid only for that provider.
type Binding [12]byte

// Bind returns the binding of a provider.
func Bind(issuer, clientID string) (b Binding) {
	h := sha256.New()
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(issuer)))
	h.Write(size[:])
	h.Write([]byte(issuer))
	h.Write([]byte(clientID))
	copy(b[:], h.Sum(nil))
	return b
}

// With returns the binding for a configuration that reads identities in its own
// way. Each option is a list of texts, its name first. Leave out options at their
// default: then the binding stays the same, and sessions of earlier releases
// remain valid.
func (b Binding) With(options ...[]string) Binding {
	if len(options) == 0 {
		return b
	}
	h := sha256.New()
	h.Write(b[:])
	size := func(n int) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(n))
		h.Write(size[:])
	}
	for _, option := range options {
		size(len(option))
		for _, text := range option {
			size(len(text))
			h.Write([]byte(text))
		}
	}
	copy(b[:], h.Sum(nil))
	return b
}

// What revocations that spare later sessions are about: the indexes of
// Session.Spared.
const (
	SparedEverything = iota
	SparedSubject
	SparedSID
	Aspects
)

// Session is what one sign-in came to. It is a value: a session that is shared is
// never changed.
type Session struct {
	ID       ID
	Binding  Binding
	Provider string // the provider's id in our configuration
	// Kind is what the session stands for. It is not encoded: what browsers keep are
	// sessions of people.
	Kind Kind

	SignedIn time.Time // to the millisecond: revocations are compared with it
	Expires  time.Time // the end of its lifetime, to the second
	Seen     time.Time // for the idle timeout, to the second

	Subject  string // sub
	Username string // by the configured claims, without the provider's prefix
	SID      string // the provider's name for its own session, may be empty

	// Login and Return distinguish a second use of the same callback from another
	// login, and say where it was to lead.
	Login  StateHash
	Return string

	AccessToken        string    // only if the application gets it
	AccessTokenExpires time.Time // zero if the provider did not say
	IDToken            string    // only if the application gets it

	// IDTokenIssued is the iat of the sign-in's ID token, by the provider's
	// clock, to the second; zero in sessions of earlier releases.
	IDTokenIssued time.Time
	// AuthTime and ACR are auth_time and acr of the latest ID token; zero and
	// empty if it had none.
	AuthTime time.Time
	ACR      string
	// Requested are the names of what the sign-in requested; empty in sessions of
	// earlier releases.
	Requested Names
	// FromUserinfo are the names of the claims that came from userinfo, if a
	// refresh may have to replace them.
	FromUserinfo Names

	// Spared are the times of the newest revocations of everything, the subject
	// and the provider's session that were known when the session began, in
	// milliseconds, if they are not before SignedIn: they do not end the session.
	// Zero for none.
	Spared [Aspects]int64
	// Began is when the login began, to the second. It is not encoded.
	Began time.Time

	// Grant is what a refresh needs; empty if there is none to make.
	Grant Grant
	// TokenKey is the private key that the tokens are bound to (DPoP, RFC 9449); empty
	// if they are bearer tokens, or none of them is kept.
	TokenKey string

	// Confirmed is when the provider last said what Claims are, to the millisecond,
	// where that is not when the tokens were received; see ClaimsAsOf.
	Confirmed time.Time

	// Parent is the session at the login host that this one was handed over from; nil
	// for one that its own site has made.
	Parent *Parent

	Claims claims.Set
}

// Grant is what a session needs to get new tokens.
type Grant struct {
	RefreshToken string
	// Issued is when the tokens were received.
	Issued time.Time
	// What a new ID token is compared with (Core 12.2): hashes of the first
	// one's nonce, and of its iss, aud and azp together, and its auth_time,
	// in seconds, zero if it had none.
	Nonce, Parties Print
	AuthTime       int64
	// Key is the private key that the refresh token may be bound to where the access
	// token is a bearer token (RFC 9449 5); empty if it is bound to none, or to TokenKey.
	Key string
}

// Print is a hash of a value that is only compared.
type Print [8]byte

// ErrNone is returned for anything that is not a session of this version.
var ErrNone = errors.New("not a session")

// Size is about how many bytes of memory the session's texts take.
func (s *Session) Size() int {
	parent := 0
	if s.Parent != nil {
		parent = 100 + len(s.Parent.Key) + len(s.Parent.Provider) + len(s.Parent.Username)
	}
	return parent + len(s.Provider) + len(s.Subject) + len(s.Username) + len(s.SID) + len(s.Return) +
		len(s.AccessToken) + len(s.IDToken) + len(s.ACR) + len(s.Requested) + len(s.FromUserinfo) + len(s.Grant.RefreshToken) + len(s.Grant.Key) + len(s.TokenKey) + len(s.Claims)
}

// Over reports whether the session has expired: by its lifetime, or by the idle
// timeout if there is one (zero is none).
func (s *Session) Over(now time.Time, idle time.Duration) bool {
	return !now.Before(s.Expires) || idle > 0 && !now.Before(s.Seen.Add(idle))
}

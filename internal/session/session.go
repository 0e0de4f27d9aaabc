// Package session defines the state of logins and its encoding: Session, the state of a
// signed-in user; Transaction, a login in progress; and the smaller Mark and Names.
//
// Sessions are kept, sealed, refreshed and revoked by packages sessionstore, seal, refresh
// and revocation.
package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
)

// ID identifies a session. It is random, and new at each login. It only occurs in
// the sealed cookie and in the session's revocation.
type ID [16]byte

// NewID returns a random id.
func NewID() (id ID) {
	rand.Read(id[:])
	return id
}

// Binding is a hash of the provider that vouched for the user: its issuer and our
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

// With returns the binding for options that affect how identities are read. Each
// option is a list of strings that begins with its name. Options at their default
// must be left out: the binding then stays the same, and sessions of earlier
// releases remain valid.
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

// Indexes of Session.Spared.
const (
	SparedEverything = iota
	SparedSubject
	SparedSID
	Aspects
)

// Session is the state of a signed-in user. It is a value: shared sessions must not
// be changed.
type Session struct {
	ID       ID
	Binding  Binding
	Provider string // the provider's id in our configuration
	// Kind is what the session stands for. It is not encoded, since browsers only have
	// sessions of persons.
	Kind Kind

	SignedIn time.Time // to the millisecond: revocations are compared with it
	Expires  time.Time // the end of its lifetime, to the second
	Seen     time.Time // for the idle timeout, to the second

	Subject  string // sub
	Username string // by the configured claims, without the provider's prefix
	SID      string // sid, the id of the provider's session; may be empty

	// Login and Return identify the login that created the session, and where it led,
	// to recognize when the same callback is used again.
	Login  StateHash
	Return string

	AccessToken        string    // only if the application gets it
	AccessTokenExpires time.Time // zero if the provider did not say
	IDToken            string    // only if the application gets it

	// IDTokenIssued is the iat of the login's ID token, by the provider's clock, to
	// the second; zero in sessions of earlier releases.
	IDTokenIssued time.Time
	// AuthTime and ACR are auth_time and acr of the latest ID token; zero and
	// empty if it had none.
	AuthTime time.Time
	ACR      string
	// Requested are the claims and tokens that the login requested; empty in
	// sessions of earlier releases.
	Requested Names
	// FromUserinfo are the claims that came from userinfo, if a refresh may have to
	// replace them.
	FromUserinfo Names

	// Spared are the times, in Unix milliseconds, of the newest revocations that
	// were known when the session began and are not before SignedIn: of everything,
	// of the subject, and of the provider's session. They do not end this session.
	// Zero for none.
	Spared [Aspects]int64
	// Began is when the login began, to the second. It is not encoded.
	Began time.Time

	// Grant is what a refresh needs; empty if the session cannot be refreshed.
	Grant Grant
	// TokenKey is the private key that the tokens are bound to (DPoP, RFC 9449);
	// empty if they are bearer tokens, or no tokens are kept.
	TokenKey string

	// Confirmed is when the provider last confirmed Claims, to the millisecond, if
	// that is not when the tokens were received; see ClaimsAsOf.
	Confirmed time.Time

	// Parent is the session at the login host that this one was handed over from;
	// nil if it was created by this site.
	Parent *Parent

	Claims claims.Set
}

// Grant is what a session needs to get new tokens.
type Grant struct {
	RefreshToken string
	// Issued is when the tokens were received.
	Issued time.Time
	// What a new ID token is compared with (OpenID Connect Core 12.2): hashes of
	// the first one's nonce and of its iss, aud and azp, and its auth_time in
	// seconds, or zero if it had none.
	Nonce, Parties Print
	AuthTime       int64
	// Key is the private key that the refresh token may be bound to where the access
	// token is a bearer token (RFC 9449, section 5); empty if it is bound to none, or to TokenKey.
	Key string
}

// Print is a hash of a value that is only compared.
type Print [8]byte

// ErrNone means that the bytes are not valid, or of an unknown version.
var ErrNone = errors.New("not a session")

// Size returns the approximate size in bytes of the session's strings.
func (s *Session) Size() int {
	parent := 0
	if s.Parent != nil {
		parent = 100 + len(s.Parent.Key) + len(s.Parent.Provider) + len(s.Parent.Username)
	}
	return parent + len(s.Provider) + len(s.Subject) + len(s.Username) + len(s.SID) + len(s.Return) +
		len(s.AccessToken) + len(s.IDToken) + len(s.ACR) + len(s.Requested) + len(s.FromUserinfo) + len(s.Grant.RefreshToken) + len(s.Grant.Key) + len(s.TokenKey) + len(s.Claims)
}

// Over reports whether the session has reached its lifetime, or the idle timeout
// unless that is zero.
func (s *Session) Over(now time.Time, idle time.Duration) bool {
	return !now.Before(s.Expires) || idle > 0 && !now.Before(s.Seen.Add(idle))
}

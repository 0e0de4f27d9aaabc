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
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/compact"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// ID names a session. It is random, made anew at each sign-in, and never
// leaves the sealed cookie except in the revocation of the session.
type ID [16]byte

// NewID returns a random id.
func NewID() (id ID) {
	rand.Read(id[:])
	return id
}

// Binding stands for the provider that vouched: its issuer and our client id
// there. A session is of no use for any other.
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
// way. Options at their default are left out: the binding then stays as it is,
// and sessions of earlier releases open. Each option is a list of texts, its
// name first.
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

// Session is what one sign-in left behind. It is a value: nobody changes one
// that another has.
type Session struct {
	ID       ID
	Binding  Binding
	Provider string // the provider's id in our configuration

	SignedIn time.Time // to the millisecond: revocations are compared with it
	Expires  time.Time // the end of its lifetime, to the second
	Seen     time.Time // for the idle timeout, to the second

	Subject  string // sub
	Username string // by the configured claims, without the provider's prefix
	SID      string // the provider's name for its own session, may be empty

	// Login and Return tell a second use of the same callback from another
	// login, and where it was to lead.
	Login  StateHash
	Return string

	AccessToken        string    // only where the application is to get it
	AccessTokenExpires time.Time // zero if the provider did not say
	IDToken            string    // only where the application is to get it

	// IDTokenIssued is the iat of the sign-in's ID token, by the provider's
	// clock, to the second; zero in sessions of earlier releases.
	IDTokenIssued time.Time
	// AuthTime and ACR are auth_time and acr of the latest ID token; zero and
	// empty where it had none.
	AuthTime time.Time
	ACR      string
	// Requested are the names of what the sign-in was asked for; empty in
	// sessions of earlier releases.
	Requested Names
	// FromUserinfo are the names of the claims that userinfo gave. They are kept
	// where a refresh may have to replace them.
	FromUserinfo Names

	// Spared are the times of the newest revocations of everything, the subject
	// and the provider's session that were known when the session began, in
	// milliseconds, where they are not before SignedIn: they do not end it. Zero
	// for none.
	Spared [Aspects]int64
	// Began is when the login began, to the second. It is not kept.
	Began time.Time

	// Grant is what a refresh needs; it is empty where none is to be made.
	Grant Grant

	Claims claims.Set
}

// Grant is what the session keeps of the provider's leave to get new tokens.
type Grant struct {
	RefreshToken string
	// Issued is when the tokens were got: of two states of one session the
	// later one counts.
	Issued time.Time
	// What a new ID token is compared with (Core 12.2): hashes of the first
	// one's nonce, and of its iss, aud and azp together, and its auth_time,
	// in seconds, zero where it had none.
	Nonce, Parties Print
	AuthTime       int64
}

// Print stands for a value that is only ever compared.
type Print [8]byte

// ErrNone is returned for anything that is not a session of this version.
var ErrNone = errors.New("not a session")

// Version 2 has a grant. Version 3 has tagged fields in the place of the grant;
// unknown tags are skipped, so that later releases can add some. A session that
// needs no later version is written as an earlier one, which instances of an
// earlier release can read as well.
const (
	sessionVersion       = 1
	sessionGrantVersion  = 2
	sessionTaggedVersion = 3
)

// The tags of fields in version 3. A number is never used again for another
// field.
const (
	tagEnd           = 0
	tagGrant         = 1
	tagIDTokenIssued = 2 // seconds
	tagAuthTime      = 3 // seconds
	tagACR           = 4
	tagRequested     = 5
	tagFromUserinfo  = 10
	tagSpared        = 16 // one number for each aspect
)

// The forms of the claims in version 3. Compressed, the subject and the username
// come before the claims, and are empty at their usual place. Tokens are never
// part of what is compressed: the size would tell something of them to who
// chooses some of the claims.
const (
	claimsPlain      = 0
	claimsCompressed = 1
)

// leastCompressed is the size in bytes below which claims stay as they are.
const leastCompressed = 100

// Encode makes bytes of a session.
func (s *Session) Encode() []byte {
	packed := s.compress()
	version, subject, username := s.version(), s.Subject, s.Username
	if packed != nil {
		version, subject, username = sessionTaggedVersion, "", ""
	}
	w := wire.Writer{B: make([]byte, 0, 220+s.Size())}
	w.Byte(version)
	w.Raw(s.ID[:])
	w.Raw(s.Binding[:])
	w.Raw(s.Login[:])
	w.Millis(s.SignedIn)
	w.Seconds(s.Expires)
	w.Seconds(s.Seen)
	w.Seconds(s.AccessTokenExpires)
	w.Text(s.Provider)
	w.Text(subject)
	w.Text(username)
	w.Text(s.SID)
	w.Text(s.Return)
	w.Text(s.AccessToken)
	w.Text(s.IDToken)
	switch version {
	case sessionGrantVersion:
		s.Grant.encode(&w)
	case sessionTaggedVersion:
		s.encodeTagged(&w)
		if packed != nil {
			w.Byte(claimsCompressed)
			w.Raw(packed)
			return w.B
		}
		w.Byte(claimsPlain)
	}
	w.Raw([]byte(s.Claims))
	return w.B
}

// version is the earliest one that can hold the session, uncompressed.
func (s *Session) version() byte {
	switch {
	case !s.IDTokenIssued.IsZero(), !s.AuthTime.IsZero(), s.ACR != "", s.Requested != "", s.FromUserinfo != "", s.Spared != [Aspects]int64{}:
		return sessionTaggedVersion
	case s.Grant.RefreshToken != "":
		return sessionGrantVersion
	}
	return sessionVersion
}

// compress returns who the user is and the claims, compressed; nil if that makes
// the session no smaller.
func (s *Session) compress() []byte {
	if len(s.Claims) < leastCompressed || s.Subject == "" {
		return nil
	}
	var w wire.Writer
	w.Text(s.Subject)
	w.Text(s.Username)
	w.Raw([]byte(s.Claims))
	// What version 3 takes more than version 1 is less than what this must save.
	if packed, ok := compact.Append(nil, string(w.B)); ok && len(packed)+8 < len(w.B) {
		return packed
	}
	return nil
}

// expand reads what compress returned.
func (s *Session) expand(r *wire.Reader) {
	text, err := compact.Expand(r.S)
	if err != nil {
		r.Bad = true
		return
	}
	r.S = text
	s.Subject = r.Text()
	s.Username = r.Text()
}

func (s *Session) encodeTagged(w *wire.Writer) {
	if s.Grant.RefreshToken != "" {
		var grant wire.Writer
		s.Grant.encode(&grant)
		w.Tagged(tagGrant, string(grant.B))
	}
	w.TaggedSeconds(tagIDTokenIssued, s.IDTokenIssued)
	w.TaggedSeconds(tagAuthTime, s.AuthTime)
	w.Tagged(tagACR, s.ACR)
	w.Tagged(tagRequested, string(s.Requested))
	w.Tagged(tagFromUserinfo, string(s.FromUserinfo))
	if s.Spared != [Aspects]int64{} {
		var spared wire.Writer
		for _, at := range s.Spared {
			spared.Varint(at)
		}
		w.Tagged(tagSpared, string(spared.B))
	}
	w.Byte(tagEnd)
}

// decodeTagged skips the tags that it does not know.
func (s *Session) decodeTagged(r *wire.Reader) {
	for tag := r.Byte(); tag != tagEnd && !r.Bad; tag = r.Byte() {
		field := wire.Reader{S: r.Text()}
		switch tag {
		case tagGrant:
			s.Grant.decode(&field)
			field.Bad = field.Bad || s.Grant.RefreshToken == ""
		case tagIDTokenIssued:
			s.IDTokenIssued = field.Seconds()
		case tagAuthTime:
			s.AuthTime = field.Seconds()
		case tagACR:
			s.ACR = field.Raw(len(field.S))
		case tagRequested:
			s.Requested = Names(field.Raw(len(field.S)))
		case tagFromUserinfo:
			s.FromUserinfo = Names(field.Raw(len(field.S)))
		case tagSpared:
			for i := range s.Spared {
				s.Spared[i] = field.Varint()
			}
		}
		r.Bad = r.Bad || field.Bad
	}
}

// Decode reads what Encode made. Its texts are cut from one copy of the bytes,
// and from another one of what was compressed; nothing of the claims is decoded. The only error is ErrNone.
func (s *Session) Decode(encoded []byte) error { return s.DecodeText(string(encoded)) }

// DecodeText is Decode for who has a copy already, which the texts are cut
// from.
func (s *Session) DecodeText(encoded string) error {
	r := wire.Reader{S: encoded}
	version := r.Byte()
	if version < sessionVersion || version > sessionTaggedVersion {
		return ErrNone
	}
	copy(s.ID[:], r.Raw(len(s.ID)))
	copy(s.Binding[:], r.Raw(len(s.Binding)))
	copy(s.Login[:], r.Raw(len(s.Login)))
	s.SignedIn = r.Millis()
	s.Expires = r.Seconds()
	s.Seen = r.Seconds()
	s.AccessTokenExpires = r.Seconds()
	s.Provider = r.Text()
	s.Subject = r.Text()
	s.Username = r.Text()
	s.SID = r.Text()
	s.Return = r.Text()
	s.AccessToken = r.Text()
	s.IDToken = r.Text()
	s.IDTokenIssued, s.AuthTime, s.ACR, s.Requested, s.FromUserinfo = time.Time{}, time.Time{}, "", "", ""
	s.Spared, s.Began = [Aspects]int64{}, time.Time{}
	s.Grant = Grant{}
	switch version {
	case sessionGrantVersion:
		s.Grant.decode(&r)
	case sessionTaggedVersion:
		s.decodeTagged(&r)
		switch r.Byte() {
		case claimsPlain:
		case claimsCompressed:
			s.expand(&r)
		default:
			return ErrNone
		}
	}
	s.Claims = claims.Set(r.S)
	if r.Bad || s.Subject == "" || version == sessionGrantVersion && s.Grant.RefreshToken == "" {
		return ErrNone
	}
	return nil
}

func (g *Grant) encode(w *wire.Writer) {
	w.Text(g.RefreshToken)
	w.Millis(g.Issued)
	w.Raw(g.Nonce[:])
	w.Raw(g.Parties[:])
	w.Varint(g.AuthTime)
}

func (g *Grant) decode(r *wire.Reader) {
	g.RefreshToken = r.Text()
	g.Issued = r.Millis()
	copy(g.Nonce[:], r.Raw(len(g.Nonce)))
	copy(g.Parties[:], r.Raw(len(g.Parties)))
	g.AuthTime = r.Varint()
}

// Size is about how many bytes of memory the session's texts take.
func (s *Session) Size() int {
	return len(s.Provider) + len(s.Subject) + len(s.Username) + len(s.SID) + len(s.Return) +
		len(s.AccessToken) + len(s.IDToken) + len(s.ACR) + len(s.Requested) + len(s.FromUserinfo) + len(s.Grant.RefreshToken) + len(s.Claims)
}

// Over says whether the session's own times have run out: its lifetime, or the
// idle timeout where there is one (zero is none).
func (s *Session) Over(now time.Time, idle time.Duration) bool {
	return !now.Before(s.Expires) || idle > 0 && !now.Before(s.Seen.Add(idle))
}

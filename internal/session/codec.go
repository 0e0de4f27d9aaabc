package session

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/compact"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// Version 2 has a grant. Version 3 has tagged fields instead of the grant; unknown
// tags are skipped, so that later releases can add some. A session is written in
// the earliest version that can hold it, for instances of earlier releases.
const (
	sessionVersion       = 1
	sessionGrantVersion  = 2
	sessionTaggedVersion = 3
)

// The tags of fields in version 3. Never reuse a number for another field.
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

// The forms of the claims in version 3. If they are compressed, the subject and the
// username come before the claims, and are empty at their usual place. Tokens are
// never compressed: the size would reveal something of them to a user who chooses
// some of the claims.
const (
	claimsPlain      = 0
	claimsCompressed = 1
)

// leastCompressed is the size in bytes below which claims are not compressed.
const leastCompressed = 100

// Encode returns the bytes of a session.
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

// version returns the earliest version that can hold the session, uncompressed.
func (s *Session) version() byte {
	switch {
	case !s.IDTokenIssued.IsZero(), !s.AuthTime.IsZero(), s.ACR != "", s.Requested != "", s.FromUserinfo != "", s.Spared != [Aspects]int64{}:
		return sessionTaggedVersion
	case s.Grant.RefreshToken != "":
		return sessionGrantVersion
	}
	return sessionVersion
}

// compress returns the subject, the username and the claims, compressed; nil if
// that makes the session no smaller.
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

// decodeTagged reads the tagged fields. It skips tags that it does not know.
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

// Decode reads what Encode returned. Its texts share one copy of the bytes, and
// another one of what was compressed. It does not decode the claims. The only
// error is ErrNone.
func (s *Session) Decode(encoded []byte) error { return s.DecodeText(string(encoded)) }

// DecodeText is Decode without a copy: the texts share the memory of encoded.
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

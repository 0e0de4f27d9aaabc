package session

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/compact"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// Versions of the format. Version 2 adds the grant. Version 3 has tagged fields instead;
// decoders skip unknown tags, so that later releases can add some. Version 4 has fewer and
// shorter fields without a tag. New sessions are written in version 4, those of earlier
// releases in the earliest version that can hold them.
const (
	sessionVersion       = 1
	sessionGrantVersion  = 2
	sessionTaggedVersion = 3
	sessionShortVersion  = 4
)

// Tags of fields since version 3. Never reuse a number for another field.
const (
	tagEnd           = 0
	tagGrant         = 1
	tagIDTokenIssued = 2 // seconds
	tagAuthTime      = 3 // seconds
	tagACR           = 4
	tagRequested     = 5
	tagFromUserinfo  = 10
	tagSpared        = 16 // one number for each aspect

	// Since version 4.
	tagAccessToken        = 17
	tagAccessTokenExpires = 18 // seconds
	tagIDToken            = 19
	tagSID                = 20 // packed by compact.PackIdentifier
	tagReturn             = 21

	// In both versions.
	tagConfirmed = 22 // milliseconds

	tagParent   = 23
	tagTokenKey = 24
	tagGrantKey = 25
)

// Forms of the claims since version 3. In version 3, if claims are compressed, the subject
// and the username precede them and are empty at their usual position. In version 4 the
// provider's id, the subject and the username always precede the claims, and compressed
// claims have a form of package compact. Tokens are never compressed: the size would
// reveal something about them to users who choose some of the claims.
const (
	claimsPlain      = 0
	claimsCompressed = 1
)

// Encode returns the encoded session.
func (s *Session) Encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 220+s.Size())}
	if s.isShort() {
		s.encodeShort(&w)
		return w.B
	}
	version := s.version()
	w.Byte(version)
	w.Raw(s.ID[:])
	w.Raw(s.Binding[:])
	w.Raw(s.Login[:])
	w.Millis(s.SignedIn)
	w.Seconds(s.Expires)
	w.Seconds(s.Seen)
	w.Seconds(s.AccessTokenExpires)
	w.Text(s.Provider)
	w.Text(s.Subject)
	w.Text(s.Username)
	w.Text(s.SID)
	w.Text(s.Return)
	w.Text(s.AccessToken)
	w.Text(s.IDToken)
	switch version {
	case sessionGrantVersion:
		s.Grant.encode(&w)
	case sessionTaggedVersion:
		s.encodeGrant(&w)
		w.TaggedSeconds(tagIDTokenIssued, 0, s.IDTokenIssued)
		s.encodeTagged(&w, 0, s.Requested)
		w.Byte(tagEnd)
		w.Byte(claimsPlain)
	}
	w.Raw([]byte(s.Claims))
	return w.B
}

// version returns the earliest version before 4 that can hold the session.
func (s *Session) version() byte {
	switch {
	case !s.IDTokenIssued.IsZero(), !s.AuthTime.IsZero(), s.ACR != "", s.Requested != "", s.FromUserinfo != "", s.Spared != [Aspects]int64{}, !s.Confirmed.IsZero(), s.Parent != nil, s.TokenKey+s.Grant.Key != "":
		return sessionTaggedVersion
	case s.Grant.RefreshToken != "":
		return sessionGrantVersion
	}
	return sessionVersion
}

// expand reads the compressed subject, username and claims of version 3.
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

// encodeGrant writes the grant as a tagged field, if there is one.
func (s *Session) encodeGrant(w *wire.Writer) {
	if s.Grant.RefreshToken != "" {
		var grant wire.Writer
		s.Grant.encode(&grant)
		w.Tagged(tagGrant, string(grant.B))
	}
}

// encodeTagged writes the other tagged fields of version 3. Times are relative to
// epoch, in seconds.
func (s *Session) encodeTagged(w *wire.Writer, epoch int64, requested Names) {
	w.TaggedSeconds(tagAuthTime, epoch, s.AuthTime)
	w.Tagged(tagACR, s.ACR)
	w.Tagged(tagRequested, string(requested))
	w.Tagged(tagFromUserinfo, string(s.FromUserinfo))
	if s.Spared != [Aspects]int64{} {
		var spared wire.Writer
		for _, at := range s.Spared {
			spared.Varint(at)
		}
		w.Tagged(tagSpared, string(spared.B))
	}
	if !s.Confirmed.IsZero() {
		var confirmed wire.Writer
		confirmed.Varint(s.Confirmed.UnixMilli() - epoch*1000)
		w.Tagged(tagConfirmed, string(confirmed.B))
	}
	if s.Parent != nil {
		w.Tagged(tagParent, s.Parent.Encode())
	}
	w.Tagged(tagTokenKey, s.TokenKey)
	w.Tagged(tagGrantKey, s.Grant.Key)
}

// decodeTagged reads the tagged fields, and skips unknown ones. Times are relative
// to epoch, in seconds.
func (s *Session) decodeTagged(r *wire.Reader, epoch int64) {
	for tag := r.Byte(); tag != tagEnd && !r.Bad; tag = r.Byte() {
		field := wire.Reader{S: r.Text()}
		if text := s.textOf(tag); text != nil {
			*text = field.Raw(len(field.S))
		} else {
			s.decodeField(tag, &field, epoch)
		}
		r.Bad = r.Bad || field.Bad
	}
}

// textOf returns the string that a tag stands for; nil for tags of other types.
func (s *Session) textOf(tag byte) *string {
	switch tag {
	case tagACR:
		return &s.ACR
	case tagRequested:
		return (*string)(&s.Requested)
	case tagFromUserinfo:
		return (*string)(&s.FromUserinfo)
	case tagTokenKey:
		return &s.TokenKey
	case tagGrantKey:
		return &s.Grant.Key
	case tagAccessToken:
		return &s.AccessToken
	case tagIDToken:
		return &s.IDToken
	case tagReturn:
		return &s.Return
	}
	return nil
}

// decodeField reads a tagged field that is not a plain string.
func (s *Session) decodeField(tag byte, field *wire.Reader, epoch int64) {
	switch tag {
	case tagGrant:
		s.Grant.decode(field)
		field.Bad = field.Bad || s.Grant.RefreshToken == ""
	case tagIDTokenIssued:
		s.IDTokenIssued = field.SecondsAfter(epoch)
	case tagAuthTime:
		s.AuthTime = field.SecondsAfter(epoch)
	case tagSpared:
		for i := range s.Spared {
			s.Spared[i] = field.Varint()
		}
	case tagParent:
		s.Parent = new(Parent)
		field.Bad = s.Parent.Decode(field.Raw(len(field.S))) != nil
	case tagConfirmed:
		s.Confirmed = time.UnixMilli(field.Varint() + epoch*1000)
	case tagAccessTokenExpires:
		s.AccessTokenExpires = field.SecondsAfter(epoch)
	case tagSID:
		s.SID, field.Bad = unpackSID(field.S)
	}
}

// Decode decodes what Encode returned. The strings share one copy of the bytes, and
// another one of what was compressed. It does not decode the claims. The only error
// is ErrNone.
func (s *Session) Decode(encoded []byte) error { return s.DecodeText(string(encoded)) }

// DecodeText is Decode without a copy: strings may share the memory of encoded.
func (s *Session) DecodeText(encoded string) error {
	*s = Session{}
	r := wire.Reader{S: encoded}
	version := r.Byte()
	if version < sessionVersion || version > sessionShortVersion {
		return ErrNone
	}
	copy(s.ID[:], r.Raw(len(s.ID)))
	copy(s.Binding[:], r.Raw(len(s.Binding)))
	copy(s.Login[:], r.Raw(len(s.Login)))
	s.SignedIn = r.Millis()
	if version == sessionShortVersion {
		s.decodeShort(&r)
	} else {
		s.decodeLong(&r, version)
	}
	s.Claims = claims.Set(r.S)
	if r.Bad || s.Subject == "" {
		return ErrNone
	}
	return nil
}

// decodeLong decodes the versions before 4, from Expires on.
func (s *Session) decodeLong(r *wire.Reader, version byte) {
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
	switch version {
	case sessionGrantVersion:
		s.Grant.decode(r)
		r.Bad = r.Bad || s.Grant.RefreshToken == ""
	case sessionTaggedVersion:
		s.decodeTagged(r, 0)
		switch r.Byte() {
		case claimsPlain:
		case claimsCompressed:
			s.expand(r)
		default:
			r.Bad = true
		}
	}
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

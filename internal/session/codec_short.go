package session

import (
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/compact"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// This file encodes version 4, the shortest: the browser sends the session with
// each request, and each byte costs time. Times are relative to the login, absent
// fields take no space, and what every login requests is left out. The provider's
// id is compressed with the claims.

// always is what every login requests.
var always = NamesOf("sub")

// isShort reports whether version 4 can hold the session. Sessions of earlier
// releases do not record what was requested.
func (s *Session) isShort() bool { return s.Requested.contains(always) && s.Subject != "" }

func (s *Session) encodeShort(w *wire.Writer) {
	epoch := s.SignedIn.Unix()
	w.Byte(sessionShortVersion)
	w.Raw(s.ID[:])
	w.Raw(s.Binding[:])
	w.Raw(s.Login[:])
	w.Millis(s.SignedIn)
	w.SecondsAfter(epoch, s.Expires)
	w.SecondsAfter(epoch, s.Seen)
	w.SecondsAfter(epoch, s.IDTokenIssued)
	s.encodeGrant(w)
	s.encodeTagged(w, epoch, s.Requested.Without(always))
	w.Tagged(tagAccessToken, s.AccessToken)
	w.TaggedSeconds(tagAccessTokenExpires, epoch, s.AccessTokenExpires)
	w.Tagged(tagIDToken, s.IDToken)
	if s.SID != "" {
		w.Tagged(tagSID, compact.PackIdentifier(s.SID))
	}
	w.Tagged(tagReturn, s.Return)
	w.Byte(tagEnd)

	var head wire.Writer
	head.Text(s.Provider)
	head.Text(s.Subject)
	head.Text(s.Username)
	if packed, ok := compact.Append(w.B, string(head.B), string(s.Claims)); ok {
		w.B = packed // its form is different from claimsPlain
		return
	}
	w.Byte(claimsPlain)
	w.Raw(head.B)
	w.Raw([]byte(s.Claims))
}

// decodeShort decodes version 4, from Expires on.
func (s *Session) decodeShort(r *wire.Reader) {
	epoch := s.SignedIn.Unix()
	s.Expires = r.SecondsAfter(epoch)
	s.Seen = r.SecondsAfter(epoch)
	s.IDTokenIssued = r.SecondsAfter(epoch)
	s.decodeTagged(r, epoch)
	if s.Requested == "" {
		s.Requested = always
	} else {
		s.Requested = s.Requested.And(always).interned()
	}
	// The rest is decompressed into memory of its own. Copy the other strings, so that
	// they do not keep the encoded bytes in memory unless there are tokens.
	s.FromUserinfo = s.FromUserinfo.interned()
	s.ACR, s.Return = strings.Clone(s.ACR), strings.Clone(s.Return)
	if r.S != "" && r.S[0] == claimsPlain {
		r.Byte()
	} else {
		text, err := compact.Expand(r.S)
		r.S, r.Bad = text, r.Bad || err != nil
	}
	s.Provider = r.Text()
	s.Subject = r.Text()
	s.Username = r.Text()
}

// unpackSID reports in bad whether packed is not valid.
func unpackSID(packed string) (sid string, bad bool) {
	sid, ok := compact.UnpackIdentifier(packed)
	return sid, !ok
}

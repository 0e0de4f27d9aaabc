package session

import (
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/compact"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// This file is version 4, the shortest: the browser sends a session with each
// request, and a server takes time for each byte. Times are differences from the
// sign-in, what is absent takes nothing, and what every sign-in requests is not named.
// The provider's id, which the operator chose, is compressed with the claims.

// always is what every sign-in requests.
var always = NamesOf("sub")

// isShort reports whether version 4 holds the session: not one of earlier releases,
// which does not say what was requested.
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
		w.B = packed // which begins with a form of its own, and not with claimsPlain
		return
	}
	w.Byte(claimsPlain)
	w.Raw(head.B)
	w.Raw([]byte(s.Claims))
}

// decodeShort reads version 4 from the times on.
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
	// What is left of the encoded bytes is compressed. If there are no tokens, no text
	// keeps them in memory.
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

// unpackSID reports bad for what is none.
func unpackSID(packed string) (sid string, bad bool) {
	sid, ok := compact.UnpackIdentifier(packed)
	return sid, !ok
}

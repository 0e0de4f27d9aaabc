package session

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// Parent is the session at a login host that a session was handed over from.
// Whatever ends the parent ends the session as well.
type Parent struct {
	ID  ID
	Key string // key of its record in a store; empty if it is in cookies

	SignedIn time.Time // to the millisecond
	Expires  time.Time // to the second
	// Provider and Username are the provider's id and the user's name at the login
	// host.
	Provider, Username string
}

// IsHandedOver reports whether the session was handed over from one at a login host.
func (s *Session) IsHandedOver() bool { return s.Parent != nil }

// Encode returns the encoded parent.
func (p *Parent) Encode() string {
	var w wire.Writer
	w.Raw(p.ID[:])
	w.Text(p.Key)
	w.Millis(p.SignedIn)
	w.Seconds(p.Expires)
	w.Text(p.Provider)
	w.Text(p.Username)
	return string(w.B)
}

// Decode decodes what Encode returned. The only error is ErrNone.
func (p *Parent) Decode(encoded string) error {
	r := wire.Reader{S: encoded}
	*p = Parent{}
	copy(p.ID[:], r.Raw(len(p.ID)))
	p.Key = r.Text()
	p.SignedIn, p.Expires = r.Millis(), r.Seconds()
	p.Provider, p.Username = r.Text(), r.Text()
	if r.Bad || r.S != "" || p.ID == (ID{}) {
		return ErrNone
	}
	return nil
}

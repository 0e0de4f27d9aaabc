package handover

import (
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// Record is what a login host hands over: what the provider said about the user,
// and the session at the login host. It has no tokens.
type Record struct {
	Origin      string // the site that it is for
	Transaction TransactionHash
	At          time.Time // when it was handed over, to the millisecond
	// Provider is the provider's id at the site, and Binding its issuer and client
	// id.
	Provider string
	Binding  session.Binding

	// IDToken and Userinfo are the claims as the provider sent them, as JSON objects.
	// Userinfo is empty if it was not called.
	IDToken, Userinfo string
	// Lost reports whether userinfo was called and failed.
	Lost   bool
	Scopes []string // the granted scopes
	// AuthTime is when the user authenticated, or zero if that is unknown, and Issued
	// when the ID token was issued.
	AuthTime, Issued time.Time

	// Parent is the session at the login host, and Spared the Spared of that
	// session.
	Parent session.Parent
	Spared [session.Aspects]int64
}

const recordVersion = 1

// IsOver reports whether the record is too old, or dated in the future.
func (r *Record) IsOver(now time.Time) bool { return !isWithin(r.At, now, TicketLifetime) }

// Encode returns the encoded record.
func (r *Record) Encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 300+len(r.IDToken)+len(r.Userinfo))}
	w.Byte(recordVersion)
	w.Text(r.Origin)
	w.Raw(r.Transaction[:])
	w.Millis(r.At)
	w.Text(r.Provider)
	w.Raw(r.Binding[:])
	w.Text(r.IDToken)
	w.Text(r.Userinfo)
	lost := byte(0)
	if r.Lost {
		lost = 1
	}
	w.Byte(lost)
	w.Text(strings.Join(r.Scopes, " "))
	w.Seconds(r.AuthTime)
	w.Seconds(r.Issued)
	w.Text(r.Parent.Encode())
	for _, at := range r.Spared {
		w.Varint(at)
	}
	return w.B
}

// Decode decodes what Encode returned. The only error is ErrNone.
func (r *Record) Decode(encoded []byte) error {
	*r = Record{}
	reader := wire.Reader{S: string(encoded)}
	if reader.Byte() != recordVersion {
		return ErrNone
	}
	r.Origin = reader.Text()
	copy(r.Transaction[:], reader.Raw(len(r.Transaction)))
	r.At = reader.Millis()
	r.Provider = reader.Text()
	copy(r.Binding[:], reader.Raw(len(r.Binding)))
	r.IDToken, r.Userinfo = reader.Text(), reader.Text()
	lost := reader.Byte()
	r.Lost = lost == 1
	r.Scopes = strings.Fields(reader.Text())
	r.AuthTime, r.Issued = reader.Seconds(), reader.Seconds()
	err := r.Parent.Decode(reader.Text())
	for i := range r.Spared {
		r.Spared[i] = reader.Varint()
	}
	if err != nil || lost > 1 || reader.Bad || reader.S != "" || r.Origin == "" || r.Provider == "" || r.IDToken == "" {
		return ErrNone
	}
	return nil
}

package session

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// MarkLifetime is how long a browser may take to bring its new session.
const MarkLifetime = time.Minute

// Mark says that a browser has just signed in, and how often it did so in a row
// without bringing a session.
type Mark struct {
	Login StateHash // the latest sign-in
	At    time.Time
	Count int
}

const markVersion = 1

// Next returns the mark of another sign-in. m is zero if there was none before.
func (m Mark) Next(login StateHash, now time.Time) Mark {
	next := Mark{Login: login, At: now, Count: 1}
	if m.Recent(now) {
		next.Count = min(m.Count+1, 100)
	}
	return next
}

// Recent reports whether the sign-in was less than a minute ago.
func (m Mark) Recent(now time.Time) bool {
	return m.Count > 0 && now.Sub(m.At).Abs() < MarkLifetime
}

// Encode returns the bytes of a mark.
func (m Mark) Encode() []byte {
	w := wire.Writer{B: []byte{markVersion, byte(m.Count)}}
	w.Raw(m.Login[:])
	w.Millis(m.At)
	return w.B
}

// Decode reads what Encode returned. The only error is ErrNone.
func (m *Mark) Decode(encoded []byte) error {
	r := wire.Reader{S: string(encoded)}
	if r.Byte() != markVersion {
		return ErrNone
	}
	m.Count = int(r.Byte())
	copy(m.Login[:], r.Raw(len(m.Login)))
	m.At = r.Millis()
	if r.Bad || r.S != "" {
		*m = Mark{}
		return ErrNone
	}
	return nil
}

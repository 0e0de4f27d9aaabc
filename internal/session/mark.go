package session

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// MarkLifetime is how long a browser may take to send its new session.
const MarkLifetime = time.Minute

// Mark records that a browser has just logged in, and how often in a row it did so
// without sending a session.
type Mark struct {
	Login StateHash // the latest login
	At    time.Time
	Count int
}

const markVersion = 1

// Next returns the mark of another login. m is zero if there was none before.
func (m Mark) Next(login StateHash, now time.Time) Mark {
	next := Mark{Login: login, At: now, Count: 1}
	if m.Recent(now) {
		next.Count = min(m.Count+1, 100)
	}
	return next
}

// Recent reports whether the login was less than MarkLifetime ago.
func (m Mark) Recent(now time.Time) bool {
	return m.Count > 0 && now.Sub(m.At).Abs() < MarkLifetime
}

// Encode returns the encoded mark.
func (m Mark) Encode() []byte {
	w := wire.Writer{B: []byte{markVersion, byte(m.Count)}}
	w.Raw(m.Login[:])
	w.Millis(m.At)
	return w.B
}

// Decode decodes what Encode returned. The only error is ErrNone.
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

package revocation

import (
	"math"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// moment is what is known about a key: when it ended.
type moment struct {
	at     int64  // by our clocks, in milliseconds; always if nothing is spared
	until  uint32 // in seconds; after that it is over
	issued uint32 // by the provider's clock, in seconds; zero if ours decide
}

const always = math.MaxInt64

func (e Event) moment() moment {
	m := moment{at: always, until: clampSeconds(e.until), issued: e.issuedSeconds()}
	if e.later {
		m.at = min(e.at.UnixMilli(), always-1)
	}
	return m
}

func (e Event) issuedSeconds() uint32 {
	if e.issued.IsZero() {
		return 0
	}
	return max(1, clampSeconds(e.issued))
}

func clampSeconds(t time.Time) uint32 { return uint32(min(max(t.Unix(), 0), math.MaxUint32)) }

// later reports whether the moment spares what began later.
func (m moment) later() bool { return m.at != always }

// with returns the stricter of two moments of one key by the same clock. Of two
// that the provider dated, the later one ends all that the other does.
func (m moment) with(other moment) moment {
	strict := m
	if other.issued > m.issued || other.issued == m.issued && other.at > m.at {
		strict = other
	}
	strict.until = max(m.until, other.until)
	return strict
}

func (m moment) over(now int64) bool { return int64(m.until) < now }

// began is when a session began, by each clock that decides.
type began struct {
	signedIn int64 // by ours, in milliseconds
	issued   int64 // iat of the ID token, in seconds; zero if unknown
	spared   [session.Aspects]int64
}

func beganOf(s *session.Session) began {
	var issued int64
	if !s.IDTokenIssued.IsZero() {
		issued = s.IDTokenIssued.Unix()
	}
	signedIn := s.SignedIn
	if s.Parent != nil { // what ended that one has ended this one
		signedIn = s.Parent.SignedIn
	}
	return began{signedIn: signedIn.UnixMilli(), issued: issued, spared: s.Spared}
}

// earlierSkew bounds how late a logout token may arrive and still end sessions
// of earlier releases: clock_skew as it is by default, and the rest of a second.
const earlierSkew = 61_000

// ends reports whether the moment ends a session. aspect is what the moment is
// about: an index of session.Session.Spared.
func (m moment) ends(b *began, aspect int) bool {
	arrived := b.signedIn <= m.at && b.spared[aspect] < m.at
	switch {
	case m.issued == 0:
		return arrived
	case b.issued == 0:
		return arrived && b.signedIn <= int64(m.issued)*1000+earlierSkew
	case b.issued == int64(m.issued):
		return arrived
	}
	return b.issued < int64(m.issued)
}

// spare prepares a new session for a moment that was known before it. login is
// when its login began.
func spare(s *session.Session, m moment, aspect int, login time.Time) {
	if !m.later() || s.Parent != nil {
		return // a session that was handed over is spared what spares its parent
	}
	if m.at >= s.SignedIn.UnixMilli() {
		s.Spared[aspect] = max(s.Spared[aspect], m.at)
	}
	if !login.IsZero() && m.at < login.UnixMilli() && s.IDTokenIssued.Unix() < int64(m.issued) {
		// The logout had arrived before the login began. With the same iat the
		// order of arrival decides, which is known.
		s.IDTokenIssued = time.Unix(int64(m.issued), 0)
	}
}

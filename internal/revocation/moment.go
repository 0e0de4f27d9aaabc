package revocation

import (
	"math"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// moment is when the sessions of a key ended.
type moment struct {
	at     int64  // by our clocks, in Unix milliseconds; always if nothing is spared
	until  uint32 // when it expires, in Unix seconds
	issued uint32 // by the provider's clock, in Unix seconds; zero if ours decide
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

// later reports whether the moment spares sessions that began later.
func (m moment) later() bool { return m.at != always }

// with returns the stricter of two moments of one key by the same clock. Of two
// that the provider dated, the later one ends all sessions that the other does.
func (m moment) with(other moment) moment {
	strict := m
	if other.issued > m.issued || other.issued == m.issued && other.at > m.at {
		strict = other
	}
	strict.until = max(m.until, other.until)
	return strict
}

func (m moment) over(now int64) bool { return int64(m.until) < now }

// began is when a session began, by each of the clocks.
type began struct {
	signedIn int64 // by ours, in Unix milliseconds
	issued   int64 // iat of the ID token; zero if unknown
	spared   [session.Aspects]int64
}

func beganOf(s *session.Session) began {
	var issued int64
	if !s.IDTokenIssued.IsZero() {
		issued = s.IDTokenIssued.Unix()
	}
	signedIn := s.SignedIn
	if s.Parent != nil { // what ended the parent has ended this session
		signedIn = s.Parent.SignedIn
	}
	return began{signedIn: signedIn.UnixMilli(), issued: issued, spared: s.Spared}
}

// earlierSkew is how late, in milliseconds, a logout token may arrive and still end
// sessions of earlier releases: the default clock_skew, and the rest of a second.
const earlierSkew = 61_000

// ends reports whether the moment ends a session. aspect is the index in
// session.Session.Spared.
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

// spare makes a new session survive a moment that was known before it. login is
// when its login began.
func spare(s *session.Session, m moment, aspect int, login time.Time) {
	if !m.later() || s.Parent != nil {
		return // a handed-over session has the Spared of its parent
	}
	if m.at >= s.SignedIn.UnixMilli() {
		s.Spared[aspect] = max(s.Spared[aspect], m.at)
	}
	if !login.IsZero() && m.at < login.UnixMilli() && s.IDTokenIssued.Unix() < int64(m.issued) {
		// The logout had arrived before the login began. If both have the same iat,
		// the order of arrival decides.
		s.IDTokenIssued = time.Unix(int64(m.issued), 0)
	}
}

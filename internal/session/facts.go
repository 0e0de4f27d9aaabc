package session

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"
)

// A Fact is a revocation: «this ended then». One about a single session ends it
// whenever it began. One about a user, a provider's session or everything ends
// what began before and spares what began later. Which of two events came first
// is decided by the clock that both were dated with:
//
//   - A back-channel logout token has an iat, and so has the ID token of the
//     session's sign-in. Both are the provider's words by the provider's clock,
//     so they are compared with each other: the session ends if its ID token is
//     older than the logout token, and is spared if it is younger, however late
//     the logout token arrives and whatever our own clocks show.
//   - Both are in whole seconds. If they are equal, the order of arrival here
//     decides: a session that began before the logout was confirmed ends, since
//     what was confirmed with 200 is over; one that began after it is spared.
//   - What operators, users and front-channel frames end has no such date. Our
//     own clocks decide, and so they do for sessions and logouts of earlier
//     releases, which kept no iat.
//
// The clocks of nodes differ a little, so our own time alone would confuse what
// happens within a few seconds on two nodes. It is therefore used with two
// additions. A fact is dated later than now, by the most that clocks may differ,
// and later than all earlier facts about the same (see Journal.End): it ends all
// sessions that had begun, by any clock. And a session remembers the facts that
// were known when it began, if its own clock does not show that they are older
// (Session.Spared): they spare it, by any clock.
//
// One thing is certain without any clock of the provider's: an ID token that
// answers to our nonce was issued after the login began. So a logout that had
// arrived before spares the session even if the provider dates its ID tokens
// back. A logout that arrives while its login is under way counts by iat, and
// may end the session before it begins (see Begin).
//
// A logout token that is sent again to another node (jti is remembered in each
// process alone) ends nothing more, but for sessions whose ID tokens were issued
// in its very second.
type Fact struct {
	key   factKey
	at    time.Time // by our clocks
	until time.Time // after that every session that it could end is over anyway
	later bool      // it spares what began later
	// issued is the iat of a logout token, zero where our clocks decide.
	issued time.Time
	// earlier is at for releases that do not know issued.
	earlier time.Time
}

type factKey [16]byte

// EndedSession is the fact of a local logout.
func EndedSession(id ID, at, until time.Time) Fact {
	return Fact{key: factKey(id), at: at, until: until}
}

// EndedSID is the fact that a provider ended a session of its own.
func EndedSID(issuer, sid string, at, until time.Time) Fact {
	return Fact{key: hashFact("sid", issuer, sid), at: at, until: until, later: true}
}

// EndedSubject is the fact that all sessions of a user ended.
func EndedSubject(issuer, subject string, at, until time.Time) Fact {
	return Fact{key: hashFact("sub", issuer, subject), at: at, until: until, later: true}
}

// EndedEverything is the fact that all sessions of all users ended.
func EndedEverything(at, until time.Time) Fact {
	return Fact{key: everything, at: at, until: until, later: true}
}

// Issued returns the fact as a provider's word, with the iat of its logout
// token. Instances of earlier releases take it to have happened at the time
// earlier, by our clocks.
func (f Fact) Issued(iat, earlier time.Time) Fact {
	f.issued, f.earlier = time.Unix(max(iat.Unix(), 1), 0), earlier
	return f
}

var everything = hashFact("all", "", "")

// hashFact makes the key of a fact. Nothing of a user can be read from it
// where it is kept.
func hashFact(kind, issuer, value string) (key factKey) {
	var space [256]byte // enough for nearly all, and on the stack
	b := space[:0]
	for _, part := range [...]string{kind, issuer, value} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	copy(key[:], sum[:])
	return key
}

// moment is what is known about a key: when it ended.
type moment struct {
	at     int64  // by our clocks, in milliseconds; always where nothing is spared
	until  uint32 // in seconds
	issued uint32 // by the provider's clock, in seconds; zero where ours decide
}

const always = math.MaxInt64

func (f Fact) moment() moment {
	m := moment{at: always, until: clampSeconds(f.until), issued: f.issuedSeconds()}
	if f.later {
		m.at = min(f.at.UnixMilli(), always-1)
	}
	return m
}

func (f Fact) issuedSeconds() uint32 {
	if f.issued.IsZero() {
		return 0
	}
	return max(1, clampSeconds(f.issued))
}

func clampSeconds(t time.Time) uint32 { return uint32(min(max(t.Unix(), 0), math.MaxUint32)) }

// later reports whether the moment spares what began later.
func (m moment) later() bool { return m.at != always }

// with returns the stricter of two about one key by the same clock. Of two
// provider's words the one that was issued later ends all that the other does.
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
	issued   int64 // iat of the ID token, in seconds; zero where it is not known
	spared   [aspects]int64
}

// What facts that spare later sessions are about, as numbers.
const (
	aboutEverything = iota
	aboutSubject
	aboutSID
	aspects
)

func beganOf(s *Session) began {
	var issued int64
	if !s.IDTokenIssued.IsZero() {
		issued = s.IDTokenIssued.Unix()
	}
	return began{signedIn: s.SignedIn.UnixMilli(), issued: issued, spared: s.Spared}
}

// earlierSkew bounds how late a logout token may arrive and still end sessions
// of earlier releases: clock_skew as it is by default, and the rest of a second.
const earlierSkew = 61_000

// ends reports whether the moment, which is about one aspect of a session, ends
// it.
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

// spare prepares a new session, whose login began then, for a moment that is
// known before it.
func (s *Session) spare(m moment, aspect int, login time.Time) {
	if !m.later() {
		return
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

// Package revocation knows which sessions ended before their time, and when. An
// Event says so of one session, of a user, of a provider's session or of
// everything. A Log shares events among nodes through a storage; Records shares
// them through a session store. Target is how a session is found among them.
//
// It also holds two memories of this process that logouts need: Replay, the
// logout tokens that were used, and Live, the provider's sessions that have
// sessions here.
//
// It knows nothing of cookies, tokens, HTTP or who revokes.
package revocation

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// An Event is a revocation: «this ended then». One about a single session ends it
// whenever it began. One about a user, a provider's session or everything ends
// sessions that began before and spares those that began later. Which of two
// came first is decided by the clock that dated both:
//
//   - A back-channel logout token has an iat, and so has the ID token of the
//     session's sign-in. Both are dated by the provider's clock, so they are
//     compared with each other: the session ends if its ID token is older than
//     the logout token, and is spared if it is younger, however late the logout
//     token arrives and whatever our own clocks show.
//   - Both are in whole seconds. If they are equal, the order of arrival here
//     decides: a session that began before the logout was confirmed ends, since
//     what was confirmed with 200 is over; one that began after it is spared.
//   - What operators, users and front-channel logouts end has no such date. Our
//     own clocks decide, as they do for sessions and logouts of earlier releases,
//     which kept no iat.
//
// The clocks of nodes differ a little, so our own time alone would confuse what
// happens within a few seconds on two nodes. Therefore two things are added. The
// caller dates an event later than now, by the most that clocks may differ, and
// Log.Add dates it after all earlier events about the same: it ends all sessions
// that had begun, by any clock. And a session remembers the events that were
// known when it began, unless its own clock shows that they are older
// (session.Session.Spared): they spare it, by any clock.
//
// One thing is certain without the provider's clock: an ID token that responds to
// our nonce was issued after the login began. So a logout that had arrived before
// spares the session even if the provider dates its ID tokens back. A logout that
// arrives during its login counts by iat, and may end the session before it
// begins (see Log.Begin).
//
// A logout token that is sent again to another node (each process remembers jti
// for itself) ends nothing more, except sessions whose ID tokens were issued in
// that very second.
type Event struct {
	key   eventKey
	at    time.Time // by our clocks
	until time.Time // when every session that it could end is over anyway
	later bool      // it spares what began later
	// issued is the iat of a logout token; zero where our clocks decide.
	issued time.Time
	// earlier is at for releases that do not know issued.
	earlier time.Time
}

type eventKey [16]byte

// ForSession returns the end of one session.
func ForSession(id session.ID, at, until time.Time) Event {
	return Event{key: eventKey(id), at: at, until: until}
}

// ForSID returns the end of a provider's session.
func ForSID(issuer, sid string, at, until time.Time) Event {
	return Event{key: hashKey("sid", issuer, sid), at: at, until: until, later: true}
}

// ForSubject returns the end of all sessions of a user.
func ForSubject(issuer, subject string, at, until time.Time) Event {
	return Event{key: hashKey("sub", issuer, subject), at: at, until: until, later: true}
}

// ForAll returns the end of all sessions of all users.
func ForAll(at, until time.Time) Event {
	return Event{key: everything, at: at, until: until, later: true}
}

// Issued returns the event as dated by the provider, with the iat of its logout
// token. Instances of earlier releases take it to have happened at the time
// earlier, by our clocks.
func (e Event) Issued(iat, earlier time.Time) Event {
	e.issued, e.earlier = time.Unix(max(iat.Unix(), 1), 0), earlier
	return e
}

var everything = hashKey("all", "", "")

// hashKey returns the key of an event. It reveals nothing of a user where it is
// stored.
func hashKey(kind, issuer, value string) (key eventKey) {
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

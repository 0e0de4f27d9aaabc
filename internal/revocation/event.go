// Package revocation records which sessions ended before they expired, and when. An Event
// is the revocation of one session, of all sessions of a user or of a provider's session,
// or of all sessions. A Log shares events among nodes through a storage; Records shares
// them through a session store. A Target is what events are matched against.
//
// The package also has two memories of this process for logouts: Replay remembers used
// logout tokens, and Live the provider's sessions that have sessions here.
//
// It does not know cookies, tokens or HTTP.
package revocation

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Event is a revocation. The revocation of a single session ends it whenever it began.
// Those of a user, a provider's session or everything end sessions that began before the
// event, and spare later ones. The order is determined by a clock that dated both:
//
//   - A back-channel logout token has an iat, as does the ID token of the session's
//     login. The provider's clock dated both, so these are compared: the session ends if
//     its ID token is older than the logout token, and is spared if it is newer, however
//     late the logout token arrives and whatever our own clocks show.
//   - An iat has a resolution of a second. If both are equal, the order of arrival here
//     decides: sessions that began before the logout was confirmed with 200 end, and later
//     ones are spared.
//   - Revocations by operators, users and front-channel logouts have no iat. Our own
//     clocks decide, as they do for sessions and logouts of earlier releases, which did
//     not keep the iat.
//
// The clocks of nodes differ a little, so our own clocks alone could confuse events
// within a few seconds on two nodes. This has two consequences. The caller dates an event
// later than now, by as much as clocks may differ, and Log.Add dates it after all earlier
// events with the same key: it then ends all sessions that had begun, by any clock. And a
// session remembers the events that were known when it began, unless its own clock shows
// that they are older (session.Session.Spared): they spare it, by any clock.
//
// Independently of the provider's clock, an ID token with our nonce was issued after the
// login began. A logout that arrived before the login therefore spares the session even
// if the provider backdates its ID tokens. A logout that arrives during the login is
// compared by iat, and may end the session before it begins (see Log.Begin).
//
// If a logout token is replayed to another node (each process has its own memory of jti),
// it ends only sessions whose ID tokens were issued in the same second.
type Event struct {
	key   eventKey
	at    time.Time // by our clocks
	until time.Time // when all sessions that it could end have expired
	later bool      // whether it spares sessions that began later
	// issued is the iat of a logout token; zero if our clocks decide.
	issued time.Time
	// earlier is the at for releases that do not know issued.
	earlier time.Time
}

type eventKey [16]byte

// ForSession returns the revocation of one session.
func ForSession(id session.ID, at, until time.Time) Event {
	return Event{key: eventKey(id), at: at, until: until}
}

// ForSID returns the revocation of all sessions of a provider's session.
func ForSID(issuer, sid string, at, until time.Time) Event {
	return Event{key: hashKey("sid", issuer, sid), at: at, until: until, later: true}
}

// ForSubject returns the revocation of all sessions of a user.
func ForSubject(issuer, subject string, at, until time.Time) Event {
	return Event{key: hashKey("sub", issuer, subject), at: at, until: until, later: true}
}

// ForAll returns the revocation of all sessions.
func ForAll(at, until time.Time) Event {
	return Event{key: everything, at: at, until: until, later: true}
}

// Issued returns the event dated by the provider, with the iat of its logout token.
// For nodes of earlier releases, it is dated earlier by our clocks.
func (e Event) Issued(iat, earlier time.Time) Event {
	e.issued, e.earlier = time.Unix(max(iat.Unix(), 1), 0), earlier
	return e
}

var everything = hashKey("all", "", "")

// hashKey returns the key of an event. The key reveals nothing about the user.
func hashKey(kind, issuer, value string) (key eventKey) {
	var space [256]byte // on the stack, and usually large enough
	b := space[:0]
	for _, part := range [...]string{kind, issuer, value} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	copy(key[:], sum[:])
	return key
}

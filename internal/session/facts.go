package session

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Fact is «this ended then»: the record of a logout or a revocation. A fact
// about a session ends it whenever it began; one about a subject or a
// provider's session ends what had begun by then and touches no later sign-in.
type Fact struct {
	key   factKey
	at    time.Time
	until time.Time // after that every session that it could end is over anyway
	later bool      // it spares what began later
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

package session

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
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
	h := sha256.New()
	for _, part := range []string{kind, issuer, value} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	copy(key[:], h.Sum(nil))
	return key
}

// known is the facts in memory: what every request asks.
type known struct {
	mu    sync.RWMutex
	ended map[factKey]moment
	later atomic.Int64 // how many are about subjects or provider's sessions
}

type moment struct {
	at    int64 // in milliseconds
	until int64 // in seconds
	later bool
}

func (k *known) add(facts ...Fact) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended == nil {
		k.ended = make(map[factKey]moment)
	}
	for _, fact := range facts {
		m := moment{fact.at.UnixMilli(), fact.until.Unix(), fact.later}
		old, ok := k.ended[fact.key]
		if ok {
			m.at, m.until, m.later = max(m.at, old.at), max(m.until, old.until), m.later && old.later
		}
		if wasLater := ok && old.later; m.later && !wasLater {
			k.later.Add(1)
		} else if wasLater && !m.later {
			k.later.Add(-1)
		}
		k.ended[fact.key] = m
	}
}

func (k *known) sweep(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, m := range k.ended {
		if m.until < now.Unix() {
			delete(k.ended, key)
			if m.later {
				k.later.Add(-1)
			}
		}
	}
}

// Ended says whether a fact ended the session. The issuer is its provider's.
func (k *known) Ended(s *Session, issuer string) bool {
	if k.has(factKey(s.ID), s.SignedIn) {
		return true
	}
	if k.later.Load() == 0 {
		return false
	}
	return k.has(everything, s.SignedIn) ||
		k.has(hashFact("sub", issuer, s.Subject), s.SignedIn) ||
		s.SID != "" && k.has(hashFact("sid", issuer, s.SID), s.SignedIn)
}

func (k *known) has(key factKey, signedIn time.Time) bool {
	k.mu.RLock()
	m, ok := k.ended[key]
	k.mu.RUnlock()
	return ok && (!m.later || signedIn.UnixMilli() <= m.at)
}

package session

import (
	"encoding/hex"
	"time"
)

// Marks is what facts about a session would be known by, made once so that the
// requests that follow hash nothing. It is a value: nobody changes it.
type Marks struct {
	id, subject, sid factKey
	named            bool // the provider named its session
}

// MarksOf returns the marks of a session. The issuer is its provider's.
func MarksOf(s *Session, issuer string) Marks {
	m := Marks{id: factKey(s.ID), subject: hashFact("sub", issuer, s.Subject), named: s.SID != ""}
	if m.named {
		m.sid = hashFact("sid", issuer, s.SID)
	}
	return m
}

const recordFolder = "fact/"

var everythingKey = recordKey(everything)

// Keys are those of the records in a session store that could end the session;
// they are what Judge is given the records of, in this order. That a single
// session ended is not among them: its own record is gone then.
func (m *Marks) Keys() []string {
	keys := []string{everythingKey, recordKey(m.subject)}
	if m.named {
		keys = append(keys, recordKey(m.sid))
	}
	return keys
}

// records is how many records Judge is given.
func (m *Marks) records() int {
	if m.named {
		return 3
	}
	return 2
}

// recordKey names the record of a fact.
func recordKey(key factKey) string {
	var name [len(recordFolder) + 2*len(key)]byte
	hex.Encode(name[copy(name[:], recordFolder):], key[:])
	return string(name[:])
}

// SparesLater says whether there is no fact but about single sessions, so that
// Ended hashes nothing.
func (k *known) SparesLater() bool { return k.later.Load() == 0 }

// EndedMarks says whether a fact ended the session that has the marks and began
// with the sign-in at that time.
func (k *known) EndedMarks(m *Marks, signedIn time.Time) bool {
	if k.has(m.id, signedIn) {
		return true
	}
	if k.later.Load() == 0 {
		return false
	}
	return k.has(everything, signedIn) || k.has(m.subject, signedIn) || m.named && k.has(m.sid, signedIn)
}

// Ended is EndedMarks for a session whose marks nobody has kept.
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
	m, ok := k.find(key)
	return ok && m.ends(signedIn)
}

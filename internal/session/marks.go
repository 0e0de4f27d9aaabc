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

var everythingKey = recordKey(everything, true)

// Keys are those of the records in a session store that could end the session;
// they are what Judge is given the records of, in this order.
func (m *Marks) Keys() []string {
	keys := []string{recordKey(m.id, false), everythingKey, recordKey(m.subject, true)}
	if m.named {
		keys = append(keys, recordKey(m.sid, true))
	}
	return keys
}

// records is how many records Judge is given.
func (m *Marks) records() int {
	if m.named {
		return 4
	}
	return 3
}

// recordKey names the record of a fact. A store is asked for it while the
// session lives: it tells nothing of the session's id.
func recordKey(key factKey, later bool) string {
	if !later {
		key = hashFact("id", "", string(key[:]))
	}
	var name [len(recordFolder) + 2*len(key)]byte
	hex.Encode(name[copy(name[:], recordFolder):], key[:])
	return string(name[:])
}

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

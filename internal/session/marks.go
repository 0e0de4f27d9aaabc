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
	began            began
}

// MarksOf returns the marks of a session. The issuer is its provider's.
func MarksOf(s *Session, issuer string) Marks {
	m := Marks{id: factKey(s.ID), subject: hashFact("sub", issuer, s.Subject), named: s.SID != "", began: beganOf(s)}
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

// about is the keys of the facts that spare later sessions, by aspect.
func (m *Marks) about() []factKey {
	return []factKey{everything, m.subject, m.sid}[:m.records()]
}

// Begin prepares a new session, whose login began then, for the facts that are
// known: what ended before it does not end it, by whatever clock. It reports
// whether the session is over before it begins, since the provider ended it
// while its login was under way.
func (k *known) Begin(s *Session, issuer string, login time.Time) (over bool) {
	marks := MarksOf(s, issuer)
	for aspect, key := range marks.about() {
		for _, e := range k.about(&key) {
			if e.key == key {
				s.spare(e.moment, aspect, login)
			}
		}
	}
	marks.began = beganOf(s)
	return k.EndedMarks(&marks)
}

// SparesLater says whether there is no fact but about single sessions, so that
// Ended hashes nothing.
func (k *known) SparesLater() bool { return k.later.Load() == 0 }

// EndedMarks says whether a fact ended the session that has the marks.
func (k *known) EndedMarks(m *Marks) bool {
	if k.hasSession(m.id) {
		return true
	}
	if k.later.Load() == 0 {
		return false
	}
	return k.has(everything, &m.began, aboutEverything) || k.has(m.subject, &m.began, aboutSubject) ||
		m.named && k.has(m.sid, &m.began, aboutSID)
}

// Ended is EndedMarks for a session whose marks nobody has kept.
func (k *known) Ended(s *Session, issuer string) bool {
	if k.later.Load() == 0 {
		return k.hasSession(factKey(s.ID))
	}
	marks := MarksOf(s, issuer)
	return k.EndedMarks(&marks)
}

// hasSession reports whether a session ended by itself.
func (k *known) hasSession(key factKey) bool {
	entries := k.about(&key)
	for i := range entries {
		if entries[i].key == key {
			return true
		}
	}
	return false
}

func (k *known) has(key factKey, b *began, aspect int) bool {
	entries := k.about(&key)
	for i := range entries {
		if entries[i].key == key && entries[i].ends(b, aspect) {
			return true
		}
	}
	return false
}

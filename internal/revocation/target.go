package revocation

import (
	"encoding/hex"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Target has the keys of events that could end a session, and when the session
// began. It is computed once, so that later requests hash nothing. It is immutable.
type Target struct {
	id, subject, sid eventKey
	named            bool     // whether the session has a sid
	parent           eventKey // key of the parent session, if handedOver
	handedOver       bool
	began            began
}

// TargetOf returns the target of a session of the given issuer.
func TargetOf(s *session.Session, issuer string) Target {
	m := Target{id: eventKey(s.ID), subject: hashKey("sub", issuer, s.Subject), named: s.SID != "", began: beganOf(s)}
	if m.named {
		m.sid = hashKey("sid", issuer, s.SID)
	}
	if s.Parent != nil {
		m.parent, m.handedOver = eventKey(s.Parent.ID), true
	}
	return m
}

const recordFolder = "fact/"

var everythingKey = recordKey(everything)

// Keys returns the keys of the records in a session store that could end the
// session, in the order that RevokedBy takes. The revocation of the session alone
// is not among them: it deletes the session's own record.
func (m *Target) Keys() []string {
	keys := []string{everythingKey, recordKey(m.subject)}
	if m.named {
		keys = append(keys, recordKey(m.sid))
	}
	return keys
}

// records returns the number of records that RevokedBy takes.
func (m *Target) records() int {
	if m.named {
		return 3
	}
	return 2
}

// recordKey returns the key of an event's record.
func recordKey(key eventKey) string {
	var name [len(recordFolder) + 2*len(key)]byte
	hex.Encode(name[copy(name[:], recordFolder):], key[:])
	return string(name[:])
}

// eventKeys returns the keys of the events that spare later sessions, by aspect.
func (m *Target) eventKeys() []eventKey {
	return []eventKey{everything, m.subject, m.sid}[:m.records()]
}

// Begin prepares a new session for the events that are known: those that came
// before its login do not end it, by any clock. login is when the login began. over
// reports that the provider ended the session during its login.
func (x *index) Begin(s *session.Session, issuer string, login time.Time) (over bool) {
	target := TargetOf(s, issuer)
	for aspect, key := range target.eventKeys() {
		for _, e := range x.entries(&key) {
			if e.key == key {
				spare(s, e.moment, aspect, login)
			}
		}
	}
	target.began = beganOf(s)
	return x.Revoked(&target)
}

// OnlySessions reports whether all events are about single sessions. RevokedSession
// is then cheap.
func (x *index) OnlySessions() bool { return x.later.Load() == 0 }

// Revoked reports whether an event has ended the session with the target.
func (x *index) Revoked(m *Target) bool {
	if x.hasSession(m.id) || m.handedOver && x.hasSession(m.parent) {
		return true
	}
	if x.later.Load() == 0 {
		return false
	}
	return x.has(everything, &m.began, session.SparedEverything) || x.has(m.subject, &m.began, session.SparedSubject) ||
		m.named && x.has(m.sid, &m.began, session.SparedSID)
}

// RevokedSession is Revoked for a session whose target has not been computed.
func (x *index) RevokedSession(s *session.Session, issuer string) bool {
	if x.later.Load() == 0 {
		return x.hasSession(eventKey(s.ID)) || s.Parent != nil && x.hasSession(eventKey(s.Parent.ID))
	}
	target := TargetOf(s, issuer)
	return x.Revoked(&target)
}

// hasSession reports whether there is an event about a single session.
func (x *index) hasSession(key eventKey) bool {
	entries := x.entries(&key)
	for i := range entries {
		if entries[i].key == key {
			return true
		}
	}
	return false
}

func (x *index) has(key eventKey, b *began, aspect int) bool {
	entries := x.entries(&key)
	for i := range entries {
		if entries[i].key == key && entries[i].ends(b, aspect) {
			return true
		}
	}
	return false
}

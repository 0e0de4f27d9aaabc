package revocation

import (
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestWhatAnEventEnds(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	at, until := s.SignedIn, s.SignedIn.Add(12*time.Hour)
	other := s
	other.ID = session.ID{9}
	for _, tc := range []struct {
		name   string
		events []Event
		want   bool
	}{
		{"nothing", nil, false},
		{"the session's id, later", []Event{ForSession(s.ID, at.Add(time.Hour), until)}, true},
		{"the session's id, before it began by another clock", []Event{ForSession(s.ID, at.Add(-time.Hour), until)}, true},
		{"another session's id", []Event{ForSession(other.ID, at.Add(time.Hour), until)}, false},

		{"the subject, later", []Event{ForSubject(issuer, s.Subject, at.Add(time.Millisecond), until)}, true},
		{"the subject, in the same millisecond", []Event{ForSubject(issuer, s.Subject, at, until)}, true},
		{"the subject, a millisecond before the sign-in", []Event{ForSubject(issuer, s.Subject, at.Add(-time.Millisecond), until)}, false},
		{"the subject of another issuer", []Event{ForSubject(issuer+"/", s.Subject, at.Add(time.Hour), until)}, false},
		{"another subject", []Event{ForSubject(issuer, s.Subject+"1", at.Add(time.Hour), until)}, false},
		{"a subject whose issuer and name join to the same", []Event{ForSubject(issuer+s.Subject[:1], s.Subject[1:], at.Add(time.Hour), until)}, false},

		{"the provider's session, later", []Event{ForSID(issuer, s.SID, at.Add(time.Hour), until)}, true},
		{"the provider's session, before the sign-in", []Event{ForSID(issuer, s.SID, at.Add(-time.Hour), until)}, false},
		{"a provider's session of another issuer", []Event{ForSID("https://other.example", s.SID, at.Add(time.Hour), until)}, false},
		{"a provider's session named like the subject", []Event{ForSID(issuer, s.Subject, at.Add(time.Hour), until)}, false},
		{"a subject named like the provider's session", []Event{ForSubject(issuer, s.SID, at.Add(time.Hour), until)}, false},

		{"everything, later", []Event{ForAll(at.Add(time.Hour), until)}, true},
		{"everything, before the sign-in", []Event{ForAll(at.Add(-time.Millisecond), until)}, false},

		{"the subject twice, the older one last", []Event{ForSubject(issuer, s.Subject, at.Add(time.Hour), until), ForSubject(issuer, s.Subject, at.Add(-time.Hour), until)}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var k index
			k.add(tc.events...)
			if got := k.RevokedSession(&s, issuer); got != tc.want {
				t.Errorf("Ended = %v", got)
			}
		})
	}
	t.Run("a session without the provider's name is not ended by one without", func(t *testing.T) {
		t.Parallel()
		var k index
		k.add(ForSID(issuer, "", at.Add(time.Hour), until))
		nameless := s
		nameless.SID = ""
		if k.RevokedSession(&nameless, issuer) {
			t.Error("ended")
		}
	})
}

func TestASignInAfterALogoutStays(t *testing.T) {
	t.Parallel()
	var k index
	old := wholeSession()
	logout := old.SignedIn.Add(time.Hour)
	k.add(ForSubject(issuer, old.Subject, logout, logout.Add(time.Hour)), ForSID(issuer, old.SID, logout, logout.Add(time.Hour)), ForSession(old.ID, logout, logout.Add(time.Hour)))
	fresh := old
	fresh.ID, fresh.SignedIn = session.ID{7}, logout.Add(time.Millisecond)
	if !k.RevokedSession(&old, issuer) {
		t.Error("expected the old session to be revoked, seen that it is not")
	}
	if k.RevokedSession(&fresh, issuer) {
		t.Error("expected the new session to live, seen that it is revoked")
	}
}

func TestEventsAreForgottenWhenTheyCanEndNothing(t *testing.T) {
	t.Parallel()
	var k index
	s := wholeSession()
	until := s.SignedIn.Add(time.Hour)
	k.add(ForSubject(issuer, s.Subject, s.SignedIn, s.SignedIn.Add(time.Minute)))
	k.add(ForSubject(issuer, s.Subject, s.SignedIn, until)) // keeps the longer time
	k.add(ForSession(session.ID{5}, s.SignedIn, until))
	k.sweep(until)
	if k.len() != 2 {
		t.Errorf("expected both events to stay until then, seen %d", k.len())
	}
	if !k.RevokedSession(&s, issuer) {
		t.Error("expected the session to be revoked until then, seen that it is not")
	}
	k.sweep(until.Add(time.Second))
	if k.len() != 0 {
		t.Errorf("expected no events afterwards, seen %d", k.len())
	}
	if n := k.later.Load(); n != 0 {
		t.Errorf("expected no later events afterwards, seen %d", n)
	}
	k.add(ForSID(issuer, s.SID, s.SignedIn, until))
	if !k.RevokedSession(&s, issuer) {
		t.Error("an event after a sweep does not hold")
	}
}

// A damaged or manipulated file may contain both kinds of events for one key. The stricter
// one counts then, and the number of later events stays correct.
func TestEventsOfBothKindsForOneKey(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	strict := ForSession(s.ID, s.SignedIn.Add(-time.Hour), s.SignedIn.Add(time.Hour))
	spare := strict
	spare.later = true
	for _, events := range [][]Event{{strict, spare}, {spare, strict}, {spare, strict, spare, strict}} {
		var k index
		k.add(events...)
		if !k.RevokedSession(&s, issuer) {
			t.Error("expected the session to be revoked, seen that it is not")
		}
		if n := k.later.Load(); n != 0 {
			t.Errorf("expected no later events, seen %d", n)
		}
	}
}

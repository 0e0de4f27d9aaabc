package session

import (
	"testing"
	"time"
)

const issuer = "https://issuer.example"

func TestWhatAFactEnds(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	at, until := s.SignedIn, s.SignedIn.Add(12*time.Hour)
	other := s
	other.ID = ID{9}
	for _, tc := range []struct {
		name  string
		facts []Fact
		want  bool
	}{
		{"nothing", nil, false},
		{"the session's id, later", []Fact{EndedSession(s.ID, at.Add(time.Hour), until)}, true},
		{"the session's id, before it began by another clock", []Fact{EndedSession(s.ID, at.Add(-time.Hour), until)}, true},
		{"another session's id", []Fact{EndedSession(other.ID, at.Add(time.Hour), until)}, false},

		{"the subject, later", []Fact{EndedSubject(issuer, s.Subject, at.Add(time.Millisecond), until)}, true},
		{"the subject, in the same millisecond", []Fact{EndedSubject(issuer, s.Subject, at, until)}, true},
		{"the subject, a millisecond before the sign-in", []Fact{EndedSubject(issuer, s.Subject, at.Add(-time.Millisecond), until)}, false},
		{"the subject of another issuer", []Fact{EndedSubject(issuer+"/", s.Subject, at.Add(time.Hour), until)}, false},
		{"another subject", []Fact{EndedSubject(issuer, s.Subject+"1", at.Add(time.Hour), until)}, false},
		{"a subject whose issuer and name join to the same", []Fact{EndedSubject(issuer+s.Subject[:1], s.Subject[1:], at.Add(time.Hour), until)}, false},

		{"the provider's session, later", []Fact{EndedSID(issuer, s.SID, at.Add(time.Hour), until)}, true},
		{"the provider's session, before the sign-in", []Fact{EndedSID(issuer, s.SID, at.Add(-time.Hour), until)}, false},
		{"a provider's session of another issuer", []Fact{EndedSID("https://other.example", s.SID, at.Add(time.Hour), until)}, false},
		{"a provider's session named like the subject", []Fact{EndedSID(issuer, s.Subject, at.Add(time.Hour), until)}, false},
		{"a subject named like the provider's session", []Fact{EndedSubject(issuer, s.SID, at.Add(time.Hour), until)}, false},

		{"everything, later", []Fact{EndedEverything(at.Add(time.Hour), until)}, true},
		{"everything, before the sign-in", []Fact{EndedEverything(at.Add(-time.Millisecond), until)}, false},

		{"the subject twice, the older one last", []Fact{EndedSubject(issuer, s.Subject, at.Add(time.Hour), until), EndedSubject(issuer, s.Subject, at.Add(-time.Hour), until)}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var k known
			k.add(tc.facts...)
			if got := k.Ended(&s, issuer); got != tc.want {
				t.Errorf("Ended = %v", got)
			}
		})
	}
	t.Run("a session without the provider's name is not ended by one without", func(t *testing.T) {
		t.Parallel()
		var k known
		k.add(EndedSID(issuer, "", at.Add(time.Hour), until))
		nameless := s
		nameless.SID = ""
		if k.Ended(&nameless, issuer) {
			t.Error("ended")
		}
	})
}

func TestASignInAfterALogoutStays(t *testing.T) {
	t.Parallel()
	var k known
	old := wholeSession()
	logout := old.SignedIn.Add(time.Hour)
	k.add(EndedSubject(issuer, old.Subject, logout, logout.Add(time.Hour)), EndedSID(issuer, old.SID, logout, logout.Add(time.Hour)), EndedSession(old.ID, logout, logout.Add(time.Hour)))
	fresh := old
	fresh.ID, fresh.SignedIn = ID{7}, logout.Add(time.Millisecond)
	if !k.Ended(&old, issuer) || k.Ended(&fresh, issuer) {
		t.Errorf("old ended %v, fresh ended %v", k.Ended(&old, issuer), k.Ended(&fresh, issuer))
	}
}

func TestFactsAreForgottenWhenTheyCanEndNothing(t *testing.T) {
	t.Parallel()
	var k known
	s := wholeSession()
	until := s.SignedIn.Add(time.Hour)
	k.add(EndedSubject(issuer, s.Subject, s.SignedIn, s.SignedIn.Add(time.Minute)))
	k.add(EndedSubject(issuer, s.Subject, s.SignedIn, until)) // keeps the longer time
	k.add(EndedSession(ID{5}, s.SignedIn, until))
	k.sweep(until)
	if k.len() != 2 || !k.Ended(&s, issuer) {
		t.Errorf("%d facts left, too early", k.len())
	}
	k.sweep(until.Add(time.Second))
	if k.len() != 0 || k.later.Load() != 0 {
		t.Errorf("%d facts left, %d of them later", k.len(), k.later.Load())
	}
	k.add(EndedSID(issuer, s.SID, s.SignedIn, until))
	if !k.Ended(&s, issuer) {
		t.Error("a fact after a sweep does not hold")
	}
}

// A file that was tampered with or damaged can hold one key with both kinds;
// then the stricter one holds, and the counter that spares work stays right.
func TestFactsOfBothKindsForOneKey(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	strict := EndedSession(s.ID, s.SignedIn.Add(-time.Hour), s.SignedIn.Add(time.Hour))
	spare := strict
	spare.later = true
	for _, facts := range [][]Fact{{strict, spare}, {spare, strict}, {spare, strict, spare, strict}} {
		var k known
		k.add(facts...)
		if !k.Ended(&s, issuer) || k.later.Load() != 0 {
			t.Errorf("ended %v, counter %d", k.Ended(&s, issuer), k.later.Load())
		}
	}
}

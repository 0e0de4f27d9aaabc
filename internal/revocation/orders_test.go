package revocation

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// stage has the nodes of a test, their clocks and their storage.
type stage struct {
	t        *testing.T
	now      time.Time // the true time
	provider time.Duration
	nodes    []*actor
}

// actor is one node.
type actor struct {
	ahead  time.Duration
	stage  *stage
	log    *Log
	events *Records
	store  RecordStore
}

func (a *actor) now() time.Time { return a.stage.now.Add(a.ahead) }

// margin is the allowed difference between clocks, as the callers of this package use it.
const margin = 3 * time.Second

func newStage(t *testing.T, stores bool, clocks []time.Duration, provider time.Duration, now time.Time) *stage {
	s := &stage{t: t, now: now, provider: provider}
	storage, kept := newMemory(), newRecords()
	for _, ahead := range clocks {
		a := &actor{ahead: ahead, stage: s}
		if stores {
			a.store, a.events = kept, NewRecords(kept)
		} else {
			a.log = storage.node(a.now)
		}
		s.nodes = append(s.nodes, a)
	}
	return s
}

// providerNow returns the provider's time as it is in tokens.
func (s *stage) providerNow() time.Time { return time.Unix(s.now.Add(s.provider).Unix(), 0) }

func (a *actor) signIn(sid string) *session.Session {
	now := a.now()
	fresh := &session.Session{
		ID: session.NewID(), Subject: "ada", SID: sid, SignedIn: now, Expires: now.Add(12 * time.Hour),
		IDTokenIssued: a.stage.providerNow(), Began: time.Unix(now.Unix(), 0),
	}
	var over bool
	var err error
	if a.log != nil {
		a.log.CatchUp(context.Background())
		over = a.log.Begin(fresh, issuer, fresh.Began)
	} else {
		over, err = a.events.Begin(context.Background(), fresh, issuer, fresh.Began, fresh.Expires)
	}
	if err != nil {
		a.stage.t.Errorf("a sign-in: %v", err)
	}
	if over {
		a.stage.t.Error("expected a new session to live, seen that it is over at once")
	}
	var kept session.Session // as the browser sends it back
	if err := kept.Decode(fresh.Encode()); err != nil {
		a.stage.t.Fatal(err)
	}
	return &kept
}

func (a *actor) addAfter(event Event) {
	var err error
	if a.log != nil {
		err = a.log.Add(context.Background(), event)
	} else {
		err = a.events.Add(context.Background(), event)
	}
	if err != nil {
		a.stage.t.Fatal(err)
	}
}

func (a *actor) lives(s *session.Session) bool {
	if a.log != nil {
		if err := a.log.Poll(context.Background()); err != nil {
			a.stage.t.Fatal(err)
		}
		return !a.log.RevokedSession(s, issuer)
	}
	target := TargetOf(s, issuer)
	records, err := a.store.Load(context.Background(), target.Keys()...)
	if err != nil {
		a.stage.t.Fatal(err)
	}
	return !target.RevokedBy(records)
}

// logoutKind is a kind of logout, as the endpoints report it. Back-channel logouts have a
// token, and issued is when it was issued.
type logoutKind struct {
	name  string
	event func(a *actor, s *session.Session, issued time.Time) Event
	fits  func(s, ended *session.Session) bool // whether it is about the session s
	token bool
}

func sameSID(s, ended *session.Session) bool          { return s.SID == ended.SID }
func sameSub(*session.Session, *session.Session) bool { return true }

var logoutKinds = []logoutKind{
	{"back channel, sid", func(a *actor, s *session.Session, issued time.Time) Event {
		return ForSID(issuer, s.SID, a.now().Add(margin), s.Expires).Issued(issued, a.now())
	}, sameSID, true},
	{"back channel, sub", func(a *actor, s *session.Session, issued time.Time) Event {
		return ForSubject(issuer, s.Subject, a.now().Add(margin), s.Expires).Issued(issued, a.now())
	}, sameSub, true},
	{"front channel", func(a *actor, s *session.Session, _ time.Time) Event {
		return ForSID(issuer, s.SID, a.now().Add(margin), s.Expires)
	}, sameSID, false},
	{"operator, sub", func(a *actor, s *session.Session, _ time.Time) Event {
		return ForSubject(issuer, s.Subject, a.now().Add(margin), s.Expires)
	}, sameSub, false},
	{"operator, all", func(a *actor, s *session.Session, _ time.Time) Event {
		return ForAll(a.now().Add(margin), s.Expires)
	}, sameSub, false},
	{"local", func(a *actor, s *session.Session, _ time.Time) Event {
		return ForSession(s.ID, a.now(), s.Expires)
	}, func(s, ended *session.Session) bool { return s == ended }, false},
}

// stages calls play with each stage.
func stages(t *testing.T, play func(s *stage, name string)) {
	for _, where := range []struct {
		name   string
		stores bool
	}{{"log", false}, {"records", true}} {
		t.Run(where.name, func(t *testing.T) {
			t.Parallel()
			for _, clocks := range [][]time.Duration{{0}, {0, margin / 2, -margin / 2}, {margin / 2, -margin / 2, 0}, {-margin / 2, margin / 2, margin / 2}} {
				for _, provider := range []time.Duration{0, time.Minute, -time.Minute} {
					for _, fraction := range []time.Duration{100, 990} { // milliseconds: with and without ties
						now := time.Unix(moment0.Unix(), int64(fraction*time.Millisecond))
						s := newStage(t, where.stores, clocks, provider, now)
						play(s, fmt.Sprintf("nodes at %v, provider %v, %d ms", clocks, provider, fraction))
					}
				}
			}
		})
	}
}

// TestEveryOrderOfLogoutsAndSignIns goes through all orders of two logouts and two sign-ins
// within a few seconds. The provider's clock is right, ahead or behind. There is one node,
// or three whose clocks differ, and revocations are in a log or in records. The expected
// result depends only on the order of the events: a logout ends those sessions of its kind
// that began before it, and no others.
func TestEveryOrderOfLogoutsAndSignIns(t *testing.T) {
	t.Parallel()
	delays := []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second}
	stages(t, func(base *stage, name string) {
		for i, first := range logoutKinds {
			for j, second := range logoutKinds {
				for _, sid := range []string{"one", "another"} {
					for k := range len(delays) * len(delays) {
						if base.log() && len(base.nodes) > 1 && (i+j+k)%3 != 0 {
							continue // other stages test the rest
						}
						s := base.again()
						turn := 0
						node := func() *actor { turn++; return s.nodes[(turn+k)%len(s.nodes)] }
						old := node().signIn("one")
						s.now = s.now.Add(delays[(i+k)%len(delays)])
						report := func(kind logoutKind, of *session.Session) {
							if a := node(); kind.name != "local" {
								a.addAfter(kind.event(a, of, s.providerNow()))
							} else if a.log != nil { // a store deletes the record instead
								a.addAfter(kind.event(a, of, time.Time{}))
							}
						}
						report(first, old)
						s.now = s.now.Add(delays[k%len(delays)])
						fresh := node().signIn(sid)
						at := fmt.Sprintf("%s: %s, after %v a sign-in at session %s", name, first.name, delays[k%len(delays)], sid)
						for _, a := range s.nodes {
							ends := first.name != "local" || a.log != nil
							if ends && a.lives(old) {
								s.t.Fatalf("%s: expected the old session to be over, seen that it lives", at)
							}
							if !a.lives(fresh) {
								s.t.Fatalf("%s: expected the new session to live, seen that it is over", at)
							}
						}
						s.now = s.now.Add(delays[k/len(delays)])
						of := fresh
						if k%2 == 1 && second.name != "local" {
							of = old // a late logout of the first session
						}
						report(second, of)
						want := !second.fits(fresh, of)
						for _, a := range s.nodes {
							if second.name == "local" && a.log == nil {
								continue
							}
							if got := a.lives(fresh); got != want {
								s.t.Fatalf("%s, after %v more %s of session %s: it lives: %v", at, delays[k/len(delays)], second.name, of.SID, got)
							}
						}
						last := node().signIn("one")
						for _, a := range s.nodes {
							if !a.lives(last) {
								s.t.Fatalf("%s, after %v more %s: the last sign-in is touched", at, delays[k/len(delays)], second.name)
							}
						}
					}
				}
			}
		}
	})
}

func (s *stage) log() bool { return s.nodes[0].log != nil }

// again returns an empty stage with the same properties.
func (s *stage) again() *stage {
	var clocks []time.Duration
	for _, a := range s.nodes {
		clocks = append(clocks, a.ahead)
	}
	return newStage(s.t, !s.log(), clocks, s.provider, s.now)
}

// A logout token that arrives after a sign-in ends the session only if it was issued after
// the ID token, by the provider's clock. If both were issued in the same second, the one
// that arrived last counts.
func TestALogoutTokenThatIsLate(t *testing.T) {
	t.Parallel()
	stages(t, func(base *stage, name string) {
		for _, kind := range logoutKinds {
			if !kind.token {
				continue
			}
			for _, late := range []time.Duration{0, 300 * time.Millisecond, time.Second, 5 * time.Second, 2 * time.Minute} {
				s := base.again()
				old := s.nodes[0].signIn("one")
				s.now = s.now.Add(2 * time.Second)
				issued := s.providerNow()
				s.now = s.now.Add(late)
				fresh := s.nodes[len(s.nodes)-1].signIn("one")
				s.now = s.now.Add(late)
				a := s.nodes[0]
				a.addAfter(kind.event(a, old, issued))
				for _, a := range s.nodes {
					if a.lives(old) {
						s.t.Fatalf("%s: %s, %v late: expected the old session to be over, seen that it lives", name, kind.name, late)
					}
					if want := fresh.IDTokenIssued.After(issued); a.lives(fresh) != want {
						s.t.Fatalf("%s: %s, %v late: expected the new session to live %t, seen %t", name, kind.name, late, want, !want)
					}
				}
			}
		}
	})
}

func TestALogoutWhileALoginIsUnderWay(t *testing.T) {
	t.Parallel()
	at := moment0
	for _, row := range []struct {
		name              string
		login, id, logout time.Duration // when they began and were issued
		arrived           time.Duration // when the logout token arrived, with the margin
		over              bool
	}{
		{"the ID token is older", -4 * time.Second, -2 * time.Second, -time.Second, 0, true},
		{"the ID token is younger", -4 * time.Second, -time.Second, -2 * time.Second, 0, false},
		{"both are of one second", -4 * time.Second, -time.Second, -time.Second, 0, false},
		{"the login began after the logout, and the ID token is dated back", -4 * time.Second, -5 * time.Minute, -10 * time.Second, -5 * time.Second, false},
	} {
		fresh := wholeSession()
		fresh.SignedIn, fresh.IDTokenIssued = at, at.Add(row.id).Truncate(time.Second)
		event := ForSubject(issuer, fresh.Subject, at.Add(row.arrived), fresh.Expires).Issued(at.Add(row.logout), at)
		var k index
		k.add(event)
		kept := newRecords()
		endRecord(t, NewRecords(kept), event)
		inLog := fresh
		over := k.Begin(&inLog, issuer, at.Add(row.login))
		also, err := NewRecords(kept).Begin(t.Context(), &fresh, issuer, at.Add(row.login), fresh.Expires)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		if over != row.over {
			t.Errorf("%s: expected over %t in the log, seen %t", row.name, row.over, over)
		}
		if also != row.over {
			t.Errorf("%s: expected over %t in the records, seen %t", row.name, row.over, also)
		}
		if !over && k.RevokedSession(&inLog, issuer) {
			t.Errorf("%s: it does not stay", row.name)
		}
	}
}

// Sessions of earlier releases have no iat, and neither do their logouts. For them, the
// clocks of the nodes count.
func TestWhatEarlierReleasesKeptGoesByOurClocks(t *testing.T) {
	t.Parallel()
	fresh := wholeSession()
	fresh.IDTokenIssued = fresh.SignedIn.Truncate(time.Second)
	old := wholeSession()
	at, until := old.SignedIn, old.Expires
	for _, row := range []struct {
		name       string
		line       string
		old, fresh bool // whether they are ended
	}{
		{"an old line about what began before", fmt.Sprintf("by %d %d", at.Add(time.Second).UnixMilli(), until.Unix()), true, true},
		{"an old line about what ended before", fmt.Sprintf("by %d %d", at.Add(-time.Second).UnixMilli(), until.Unix()), false, false},
		{"a logout token of before, which arrived late", fmt.Sprintf("iat %d %d %d", at.Add(90*time.Second).UnixMilli(), until.Unix(), at.Unix()-62), false, false},
		{"a logout token of before, soon after", fmt.Sprintf("iat %d %d %d", at.Add(3*time.Second).UnixMilli(), until.Unix(), at.Unix()-1), true, false},
		{"a logout token of later", fmt.Sprintf("iat %d %d %d", at.Add(3*time.Second).UnixMilli(), until.Unix(), at.Unix()+1), true, true},
		{"what is for earlier releases", fmt.Sprintf("by +%d %d", at.Add(time.Hour).UnixMilli(), until.Unix()), false, false},
	} {
		key, _, _ := cutKey(ForSubject(issuer, old.Subject, at, until))
		events, all := parseEvents([]byte(key + " " + row.line + "\n"))
		if !all {
			t.Errorf("%s: the line cannot be read", row.name)
		}
		var k index
		k.add(events...)
		if got := k.RevokedSession(&old, issuer); got != row.old {
			t.Errorf("%s: expected the old session to be revoked %t, seen %t", row.name, row.old, got)
		}
		if got := k.RevokedSession(&fresh, issuer); got != row.fresh {
			t.Errorf("%s: expected the new session to be revoked %t, seen %t", row.name, row.fresh, got)
		}
	}
}

// cutKey returns the first three words of an event's line.
func cutKey(f Event) (key, kind, rest string) {
	_, _ = fmt.Sscan(string(f.appendLine(nil)), &key, &kind, &rest)
	return key, kind, rest
}

// Nodes of the previous release read an event dated by a provider as they always did.
func TestANodeOfTheReleaseBeforeReadsAProvidersWord(t *testing.T) {
	t.Parallel()
	event := ForSubject(issuer, "ada", moment0.Add(margin), moment0.Add(time.Hour)).Issued(moment0, moment0)
	key, _, _ := cutKey(event)
	lines := string(event.appendLine(nil))
	want := fmt.Sprintf("%s iat %d %d %d\n%s by +%d %d\n", key, moment0.Add(margin).UnixMilli(), moment0.Add(time.Hour).Unix(), moment0.Unix(), key, moment0.UnixMilli(), moment0.Add(time.Hour).Unix())
	if lines != want {
		t.Errorf("%q, want %q", lines, want)
	}
}

package revocation

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestNodesLearnOfEachOthersLogouts(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.node(time.Now), storage.node(time.Now)
		poll(t, a, b)
		s, other := living(), living()
		other.Subject, other.SID = "bob", "another"
		time.Sleep(time.Second)
		end(t, a, endedNow(s))
		if knows(a, s) != 1 {
			t.Error("before b looks: expected a to know the event, seen that it does not")
		}
		if knows(b, s) != 0 {
			t.Error("before b looks: expected b not to know the event, seen that it does")
		}
		poll(t, b)
		end(t, b, ForSubject(issuer, other.Subject, time.Now(), other.Expires))
		poll(t, a)
		wantEnded(t, "b", b, s)
		wantEnded(t, "a", a, other)
		if knows(a, living()) != 0 {
			t.Error("a: expected a session without an event to live, seen that it is revoked")
		}
		if knows(b, living()) != 0 {
			t.Error("b: expected a session without an event to live, seen that it is revoked")
		}
		// A node that starts later reads everything.
		late := storage.node(time.Now)
		if err := late.Ready(t.Context()); err != nil {
			t.Errorf("a later node: %v", err)
		}
		wantEnded(t, "a later node", late, s, other)
	})
}

func TestEachNodeHasAFileOfItsOwnInEachMinute(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, twin := storage.node(time.Now), storage.node(time.Now)
		var sessions []*session.Session
		for range 3 {
			for _, j := range []*Log{a, twin, a, twin} {
				s := living()
				sessions = append(sessions, s)
				end(t, j, endedNow(s))
			}
			time.Sleep(time.Minute)
		}
		if keys := storage.Keys(); len(keys) != 6 {
			t.Errorf("expected six files, seen %q", keys)
		}
		if folders := storage.folders(); len(folders) != 3 {
			t.Errorf("expected three folders, seen %q", folders)
		}
		fresh := storage.node(time.Now)
		poll(t, fresh)
		if got := knows(fresh, sessions...); got != len(sessions) {
			t.Errorf("%d of %d logouts were kept", got, len(sessions))
		}
	})
}

func TestNothingOfAUserIsInTheStorage(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		j := storage.node(time.Now)
		s := living()
		s.Subject, s.SID = "a user's name", "a session's name" // cannot occur among random digits
		end(t, j, ForSubject(issuer, s.Subject, time.Now(), s.Expires), ForSID(issuer, s.SID, time.Now(), s.Expires))
		for key, data := range storage.Files {
			for _, secret := range []string{s.Subject, s.SID, "issuer"} {
				if strings.Contains(key+string(data), secret) {
					t.Errorf("%s holds %q", key, secret)
				}
			}
		}
	})
}

func TestAFileThatGrowsTooLargeIsFollowedByAnother(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.node(time.Now), storage.node(time.Now)
		var sessions []*session.Session
		for range 40 {
			var events []Event
			for range 50 {
				s := living()
				sessions = append(sessions, s)
				events = append(events, endedNow(s))
			}
			end(t, a, events...)
			poll(t, b)
		}
		if n := len(storage.Keys()); n < 3 || n > 6 {
			t.Errorf("%d files for %d bytes", n, storage.Bytes)
		}
		if got := knows(b, sessions...); got != len(sessions) {
			t.Errorf("%d of %d were read", got, len(sessions))
		}
		before := storage.Loads
		for range 10 {
			poll(t, b)
		}
		if loads := storage.Loads - before; loads > 10+2*len(storage.Keys()) {
			t.Errorf("%d loads in ten polls: full files are read again", loads)
		}
	})
}

func TestAThousandLogoutsAtOnceShareAFewCalls(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		storage.Latency = 100 * time.Millisecond
		j := storage.node(time.Now)
		sessions := make([]*session.Session, 1000)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range sessions {
			sessions[i] = living()
			wg.Go(func() { end(t, j, endedNow(sessions[i])) })
		}
		wg.Wait()
		if storage.Stores > 5 {
			t.Errorf("expected five stores at most, seen %d", storage.Stores)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("expected them to take a second at most, seen %v", took)
		}
		fresh := storage.node(time.Now)
		poll(t, fresh)
		if got := knows(fresh, sessions...); got != len(sessions) {
			t.Errorf("%d of %d were kept", got, len(sessions))
		}
	})
}

func TestALogoutIsWrittenThoughWhoAskedHasGone(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		j := storage.node(time.Now)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		s := living()
		if err := j.Add(gone, endedNow(s)); err != nil {
			t.Errorf("expected the event to be added, seen %v", err)
		}
		if keys := storage.Keys(); len(keys) != 1 {
			t.Errorf("expected one file, seen %q", keys)
		}
	})
}

// TestAFileThatWasCutShort reads incomplete files, as they exist on storages without atomic
// writes. Only complete lines count, and all events are known once the file is complete.
func TestAFileThatWasCutShort(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		writer := storage.node(time.Now)
		sessions := []*session.Session{living(), living(), living()}
		for _, s := range sessions {
			end(t, writer, endedNow(s))
		}
		key := storage.Keys()[0]
		whole := storage.Files[key]
		for length := range whole {
			storage.With(func(m *clustertest.Memory) { m.Files[key] = whole[:length] })
			reader := storage.node(time.Now)
			poll(t, reader)
			want := strings.Count(string(whole[:length]), "\n")
			if got := knows(reader, sessions...); got != want {
				t.Errorf("cut to %d bytes: expected %d known events, seen %d", length, want, got)
			}
			if got := reader.len(); got != want {
				t.Errorf("cut to %d bytes: expected %d events, seen %d", length, want, got)
			}
			storage.With(func(m *clustertest.Memory) { m.Files[key] = whole })
			poll(t, reader)
			if got := knows(reader, sessions...); got != 3 {
				t.Errorf("cut to %d bytes, then whole: %d", length, got)
			}
		}
	})
}

// A large file is not read again once it has been read completely, but is after half of it
// was.
func TestALargeFileThatWasCutShort(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.node(time.Now), storage.node(time.Now)
		sessions := make([]*session.Session, 2000)
		events := make([]Event, len(sessions))
		for i := range sessions {
			sessions[i] = living()
			events[i] = endedNow(sessions[i])
		}
		end(t, a, events...)
		key := storage.Keys()[0]
		whole := storage.Files[key]
		storage.With(func(m *clustertest.Memory) { m.Files[key] = whole[:len(whole)/2] })
		poll(t, b)
		storage.With(func(m *clustertest.Memory) { m.Files[key] = whole })
		poll(t, b)
		if len(whole) < 2*fullFile {
			t.Errorf("expected a file of %d bytes at least, seen %d", 2*fullFile, len(whole))
		}
		wantEnded(t, "the other node", b, sessions...)
	})
}

func TestDamagedLinesAreLeftOut(t *testing.T) {
	t.Parallel()
	good := ForSession(session.ID{1}, moment0, moment0.Add(time.Hour))
	line := string(good.appendLine(nil))
	for _, damaged := range []string{
		"", "\n", "x\n", "a b c d\n", line[1:], strings.Replace(line, " at ", " on ", 1), strings.Replace(line, " ", "  x ", 1),
		"AAAA at 1 2\n", "AQAAAAAAAAAAAAAAAAAAAA at x 2\n", "AQAAAAAAAAAAAAAAAAAAAA at 1 99999999999999999999\n", "AQAAAAAAAAAAAAAAAAAAAA at 1\n",
	} {
		if events, _ := parseEvents([]byte(damaged)); len(events) != 0 {
			t.Errorf("%q: %+v", damaged, events)
		}
		events, all := parseEvents([]byte(line + damaged + "\n" + line))
		if len(events) != 2 {
			t.Fatalf("around %q: expected two events, seen %+v", damaged, events)
		}
		if all {
			t.Errorf("around %q: expected that a line cannot be read, seen that all are", damaged)
		}
		if events[0].key != good.key {
			t.Errorf("around %q: expected the key %x, seen %x", damaged, good.key, events[0].key)
		}
		if !events[1].at.Equal(good.at) {
			t.Errorf("around %q: expected the time %v, seen %v", damaged, good.at, events[1].at)
		}
	}
}

func TestALogoutIsSharedByAllWhoAskAtOnce(t *testing.T) {
	t.Parallel()
	storage := newMemory()
	a, b := storage.node(time.Now), storage.node(time.Now)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			s := living()
			s.Subject = fmt.Sprint(i)
			end(t, a, endedNow(s), ForSubject(issuer, s.Subject, time.Now(), s.Expires))
			_ = a.Ready(t.Context())
			_ = b.Poll(t.Context())
			_ = b.Sweep(t.Context())
			_ = b.Pack(t.Context())
			if knows(a, s) != 1 {
				t.Errorf("%d: expected a to know the event, seen that it does not", i)
			}
			if knows(b, s) != 1 {
				t.Errorf("%d: expected b to know the event, seen that it does not", i)
			}
		})
	}
	wg.Wait()
}

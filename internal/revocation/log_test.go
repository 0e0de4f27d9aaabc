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
		if knows(a, s) != 1 || knows(b, s) != 0 {
			t.Errorf("before b looks: a %d, b %d", knows(a, s), knows(b, s))
		}
		poll(t, b)
		end(t, b, ForSubject(issuer, other.Subject, time.Now(), other.Expires))
		poll(t, a)
		if knows(b, s) != 1 || knows(a, other) != 1 {
			t.Errorf("b knows %d, a knows %d", knows(b, s), knows(a, other))
		}
		if knows(a, living()) != 0 || knows(b, living()) != 0 {
			t.Error("a session has ended that no event ends")
		}
		// A node that begins later reads all.
		late := storage.node(time.Now)
		if err := late.Ready(t.Context()); err != nil || knows(late, s, other) != 2 {
			t.Errorf("a fresh node knows %d of 2, %v", knows(late, s, other), err)
		}
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
		if keys := storage.Keys(); len(keys) != 6 || len(storage.folders()) != 3 {
			t.Errorf("files %q", keys)
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
		s.Subject, s.SID = "a user's name", "a session's name" // which no random digits can spell
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
		if storage.Stores > 5 || time.Since(began) > time.Second {
			t.Errorf("%d stores in %v", storage.Stores, time.Since(began))
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
		if err := j.Add(gone, endedNow(s)); err != nil || len(storage.Keys()) != 1 {
			t.Errorf("End: %v, files %q", err, storage.Keys())
		}
	})
}

// TestAFileThatWasCutShort reads what a storage shows that does not write in
// one piece: no panic, no event that was not written, and all once it is whole.
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
			if got, want := knows(reader, sessions...), strings.Count(string(whole[:length]), "\n"); got != want || reader.len() != want {
				t.Errorf("cut to %d bytes: %d known of %d events", length, got, want)
			}
			storage.With(func(m *clustertest.Memory) { m.Files[key] = whole })
			poll(t, reader)
			if got := knows(reader, sessions...); got != 3 {
				t.Errorf("cut to %d bytes, then whole: %d", length, got)
			}
		}
	})
}

// A large file is read no more once it is full, but not because half of it was.
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
		if got := knows(b, sessions...); len(whole) < 2*fullFile || got != len(sessions) {
			t.Errorf("%d of %d are known", got, len(sessions))
		}
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
		if len(events) != 2 || all || events[0].key != good.key || !events[1].at.Equal(good.at) {
			t.Errorf("around %q: %+v", damaged, events)
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
			if knows(a, s) != 1 || knows(b, s) != 1 {
				t.Errorf("%d: a %d, b %d", i, knows(a, s), knows(b, s))
			}
		})
	}
	wg.Wait()
}

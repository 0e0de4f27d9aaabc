package revocation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// month returns a session that can be ended for 60 days.
func month() *session.Session {
	s := living()
	s.Expires = s.SignedIn.Add(60 * 24 * time.Hour)
	return s
}

// hooked is a storage that calls a function before each call.
type hooked struct {
	unlocked
	before func(call int) error
	calls  *int
}

func (h hooked) call() error {
	*h.calls++
	if h.before == nil {
		return nil
	}
	return h.before(*h.calls)
}

func (h hooked) Load(ctx context.Context, key string) ([]byte, error) {
	if err := h.call(); err != nil {
		return nil, err
	}
	return h.unlocked.Load(ctx, key)
}

func (h hooked) Store(ctx context.Context, key string, value []byte) error {
	if err := h.call(); err != nil {
		return err
	}
	return h.unlocked.Store(ctx, key, value)
}

func (h hooked) Delete(ctx context.Context, key string) error {
	if err := h.call(); err != nil {
		return err
	}
	return h.unlocked.Delete(ctx, key)
}

func (h hooked) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	if err := h.call(); err != nil {
		return nil, err
	}
	return h.unlocked.List(ctx, folder, recursive)
}

// nodeWith returns a node that calls before ahead of each storage call.
func (m *memory) nodeWith(before func(call int) error) *Log {
	storage := hooked{unlocked{Memory: m.Memory}, before, new(int)}
	return NewLog(func() clusterstore.Storage { return storage }, time.Now)
}

// copy returns a storage with the same files.
func (m *memory) copy() *memory {
	other := newMemory()
	m.With(func(m *clustertest.Memory) { other.Files = maps.Clone(m.Files) })
	return other
}

// root returns what one List of the log shows.
func (m *memory) root() (minutes, packs []string) {
	for _, key := range m.Keys() {
		below, ok := strings.CutPrefix(key, logRoot+"/")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(below, "/")
		if isPack(name) {
			packs = append(packs, name)
		} else {
			minutes = append(minutes, name)
		}
	}
	return slices.Compact(minutes), packs
}

// old returns a storage with three hours of logouts on two nodes, and the sessions that
// ended. Packing has long been allowed.
func old(t *testing.T) (*memory, []*session.Session) {
	t.Helper()
	storage := newMemory()
	a, b := storage.node(time.Now), storage.node(time.Now)
	storage.Files[packsFrom] = fmt.Append(nil, time.Now().Unix())
	var sessions []*session.Session
	for range 18 {
		for _, j := range []*Log{a, b} {
			s := month()
			sessions = append(sessions, s)
			end(t, j, endedNow(s))
		}
		time.Sleep(10 * time.Minute)
	}
	return storage, sessions
}

// ready makes nodes watch the storage until they are allowed to pack.
func ready(t *testing.T, nodes ...*Log) {
	t.Helper()
	poll(t, nodes...)
	time.Sleep(watched + time.Second)
	poll(t, nodes...)
}

func packAll(t *testing.T, nodes ...*Log) {
	t.Helper()
	for _, j := range nodes {
		if err := j.Pack(t.Context()); err != nil {
			t.Fatalf("Pack: %v", err)
		}
	}
}

// wantKnown checks that a node knows after a poll that the sessions have ended.
func wantKnown(t *testing.T, what string, j *Log, sessions []*session.Session) {
	t.Helper()
	if err := j.Poll(t.Context()); err != nil {
		t.Errorf("%s: Poll: %v", what, err)
	}
	wantEnded(t, what, j, sessions...)
}

// wantFiles checks the number of open minutes and packs in the storage.
func wantFiles(t *testing.T, when string, storage *memory, minutes, packs int) {
	t.Helper()
	gotMinutes, gotPacks := storage.root()
	if len(gotMinutes) != minutes {
		t.Errorf("%s: expected %d minutes, seen %q", when, minutes, gotMinutes)
	}
	if len(gotPacks) != packs {
		t.Errorf("%s: expected %d packs, seen %q", when, packs, gotPacks)
	}
}

func TestMinutesArePacked(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage, sessions := old(t)
		a, b := storage.node(time.Now), storage.node(time.Now)
		ready(t, a, b)
		packAll(t, a)
		minutes, packs := storage.root()
		if len(minutes) < 3 || len(minutes) > 6 {
			t.Errorf("expected three to six minutes, seen %q", minutes)
		}
		if len(packs) != 1 {
			t.Errorf("expected one pack, seen %q", packs)
		}
		wantKnown(t, "the node that packed", a, sessions)
		wantKnown(t, "the node that was there", b, sessions)
		wantKnown(t, "a later node", storage.node(time.Now), sessions)
		if len(b.folders) != len(minutes) {
			t.Errorf("expected %d folders in memory, seen %d", len(minutes), len(b.folders))
		}
		if len(b.packs) != 1 {
			t.Errorf("expected one pack in memory, seen %d", len(b.packs))
		}
		if _, err := fmt.Sscanf(packs[0], "%d", new(int)); err == nil {
			t.Errorf("an earlier release takes %q for a minute", packs[0])
		}

		stores := storage.Stores
		packAll(t, a, b)
		if storage.Stores != stores {
			t.Error("packed again at once")
		}
		time.Sleep(2 * time.Hour)
		poll(t, a, b)
		packAll(t, b, a) // both know the first pack and the remaining minutes
		wantFiles(t, "later", storage, 0, 1)
		wantKnown(t, "the last node", storage.node(time.Now), sessions)
		wantKnown(t, "the node that was there", a, sessions)

		time.Sleep(61 * 24 * time.Hour)
		poll(t, a)
		sweep(t, a)
		wantFiles(t, "when all is over", storage, 0, 0)
		if a.len() != 0 {
			t.Errorf("when all is over: expected no events, seen %d", a.len())
		}
	})
}

func TestNothingIsPackedInTheFirstDay(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		for _, before := range []string{"", "x", "99999999999999"} {
			storage, sessions := old(t)
			storage.With(func(m *clustertest.Memory) {
				delete(m.Files, packsFrom)
				if before != "" {
					m.Files[packsFrom] = []byte(before)
				}
			})
			j := storage.node(time.Now)
			ready(t, j)
			for elapsed := time.Duration(0); elapsed < rollsWithin; elapsed += time.Hour {
				poll(t, j)
				packAll(t, j)
				wantFiles(t, fmt.Sprintf("after %v", elapsed), storage, 18, 0)
				time.Sleep(time.Hour)
			}
			poll(t, j)
			packAll(t, j)
			wantFiles(t, "after a day", storage, 0, 1)
			wantKnown(t, "a later node", storage.node(time.Now), sessions)
		}
	})
}

// TestMinutesOfAFlood has logouts in each minute, which is the maximum number of names.
func TestMinutesOfAFlood(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		storage.Files[packsFrom] = fmt.Append(nil, time.Now().Unix())
		j := storage.node(time.Now)
		var sessions []*session.Session
		most := 0
		for i := range 10 * 60 {
			for range 20 {
				sessions = append(sessions, month())
			}
			var events []Event
			for _, s := range sessions[len(sessions)-20:] {
				events = append(events, endedNow(s))
			}
			end(t, j, events...)
			time.Sleep(time.Minute)
			poll(t, j)
			if i%10 == 0 {
				packAll(t, j)
			}
			minutes, packs := storage.root()
			most = max(most, len(minutes)+len(packs))
		}
		minutes, packs := storage.root()
		if most > 135 {
			t.Errorf("expected 135 names at most, seen %d, of them %d minutes", most, len(minutes))
		}
		if len(packs) > 8 {
			t.Errorf("expected eight packs at most, seen %q", packs)
		}
		t.Logf("%d names at most, packs %q", most, packs)
		wantKnown(t, "a later node", storage.node(time.Now), sessions)
	})
}

func TestTheFirstLookReadsEachPackOnce(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		events := manyEvents(20_000)
		for i := range events {
			events[i].until = time.Now().Add(time.Hour)
		}
		const packs = 20
		for i := range packs {
			storage.Files[fmt.Sprintf("%s/%s1-0123456789abcdef-%d", logRoot, packPrefix, i)] = encodePack(events[i*1000 : (i+1)*1000])
		}
		storage.Latency = time.Second
		j := storage.node(time.Now)
		began, tries := time.Now(), 0
		for j.Ready(t.Context()) != nil {
			tries++
			time.Sleep(lookAgain)
		}
		if took := time.Since(began); took > 60*time.Second {
			t.Errorf("expected it to take a minute at most, seen %v", took)
		}
		if tries < 2 {
			t.Errorf("expected two tries at least, seen %d", tries)
		}
		// A load that was in progress when the time was up is repeated.
		if storage.Loads > packs+tries {
			t.Errorf("expected %d loads of %d packs in %d tries at most, seen %d", packs+tries, packs, tries, storage.Loads)
		}
		if j.len() != len(events) {
			t.Errorf("expected %d events, seen %d", len(events), j.len())
		}
	})
}

package revocation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// month is a session that can be ended for 60 days.
func month() *session.Session {
	s := living()
	s.Expires = s.SignedIn.Add(60 * 24 * time.Hour)
	return s
}

// hooked is a node's view of a storage: something happens before its calls.
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

// nodeWith is a node that before is asked by at each call.
func (m *memory) nodeWith(before func(call int) error) *Log {
	storage := hooked{unlocked{Memory: m.Memory}, before, new(int)}
	return NewLog(func() clusterstore.Storage { return storage }, time.Now)
}

// copy is a storage with the same files.
func (m *memory) copy() *memory {
	other := newMemory()
	m.With(func(m *clustertest.Memory) { other.Files = maps.Clone(m.Files) })
	return other
}

// root is what one List of the events shows.
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

// old is a storage with three hours of logouts of two nodes, in which packing
// has been allowed for long, and the sessions that ended.
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

// ready lets nodes know the storage for as long as it takes to be allowed to pack.
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

// wantKnown checks that a node knows, after another look, what ended the sessions.
func wantKnown(t *testing.T, what string, j *Log, sessions []*session.Session) {
	t.Helper()
	if err := j.Poll(t.Context()); err != nil {
		t.Errorf("%s: Poll: %v", what, err)
	}
	wantEnded(t, what, j, sessions...)
}

// wantFiles checks how many open minutes and packs the storage holds.
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
		packAll(t, b, a) // both know of the first pack and of the rest
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

// TestWhatAMonthOfLogoutsCosts counts what 10,000 logouts on three nodes in 30
// days leave behind.
func TestWhatAMonthOfLogoutsCosts(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		nodes := []*Log{storage.node(time.Now), storage.node(time.Now), storage.node(time.Now)}
		const logouts = 10_000
		var sessions []*session.Session
		most := 0
		for i := range logouts / 2 {
			sessions = append(sessions, month(), month())
			end(t, nodes[i%3], endedNow(sessions[2*i]), endedNow(sessions[2*i+1]))
			time.Sleep(30 * 24 * time.Hour / logouts * 2)
			poll(t, nodes[i%3])
			packAll(t, nodes[i%3])
			if i%50 == 0 {
				sweep(t, nodes[0])
			}
			if minutes, packs := storage.root(); i > logouts/10 {
				most = max(most, len(minutes)+len(packs))
			}
		}
		// Two logouts in 8.6 minutes: up to two hours of them, and the packs.
		if most > 25 {
			t.Errorf("the root listed %d names", most)
		}
		_, packs := storage.root()
		size := 0
		for _, name := range packs {
			size = max(size, len(storage.Files[logRoot+"/"+name]))
		}
		if len(packs) > 8 {
			t.Errorf("expected eight packs at most, seen %q", packs)
		}
		if size > 256<<10 {
			t.Errorf("expected packs of %d bytes at most, seen %d", 256<<10, size)
		}
		storage.With(func(m *clustertest.Memory) { m.Loads, m.Lists = 0, 0 })
		fresh := storage.node(time.Now)
		wantKnown(t, "a later node", fresh, sessions)
		if storage.Loads > 40 {
			t.Errorf("the first look: expected 40 loads at most, seen %d", storage.Loads)
		}
		if storage.Lists > 40 {
			t.Errorf("the first look: expected 40 lists at most, seen %d", storage.Lists)
		}
		wantKnown(t, "the node that was there", nodes[0], sessions)
		time.Sleep(watched + settled)
		poll(t, nodes[0])
		end(t, nodes[1], endedNow(month()))
		storage.With(func(m *clustertest.Memory) { m.Loads, m.Lists = 0, 0 })
		for range 100 {
			time.Sleep(2 * time.Second)
			poll(t, nodes[0])
		}
		// One List of the root, and of the open minutes one List and Load each:
		// five minutes and a bit hold one here.
		if storage.Lists > 100*2 {
			t.Errorf("100 polls: expected 200 lists at most, seen %d", storage.Lists)
		}
		if storage.Loads > 100 {
			t.Errorf("100 polls: expected 100 loads at most, seen %d", storage.Loads)
		}
		t.Logf("%d names at most, %d packs of up to %d bytes; 100 polls: %d lists, %d loads", most, len(packs), size, storage.Lists, storage.Loads)
	})
}

// TestMinutesOfAFlood has a logout in each minute, which is the most names
// that there can be.
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

// TestAReaderMeetsAPacker stops a reader before each of its calls, and lets
// others pack meanwhile, once and twice.
func TestAReaderMeetsAPacker(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		whole, sessions := old(t)
		for _, again := range []bool{false, true} {
			calls := 0
			for call := 1; call == 1 || call <= calls; call++ {
				storage := whole.copy()
				packers := []*Log{storage.node(time.Now), storage.node(time.Now)}
				ready(t, packers...)
				reached := 0
				reader := storage.nodeWith(func(n int) error {
					reached = n
					calls = max(calls, n)
					if n == call {
						packAll(t, packers[0])
					}
					if n == call && again {
						for range len(sessions) / packGrows {
							end(t, packers[0], endedNow(month())) // enough to replace the pack
						}
						poll(t, packers...)
						time.Sleep(3 * time.Hour)
						poll(t, packers...)
						packAll(t, packers[1])
					}
					return nil
				})
				// Without the limits of Poll: time stands still for a node that is stopped.
				if err := reader.poll(t.Context()); err != nil || knows(reader, sessions...) != len(sessions) {
					t.Errorf("stopped before call %d: %v, %d of %d are known", call, err, knows(reader, sessions...), len(sessions))
				}
				if minutes, packs := storage.root(); call <= reached {
					if len(packs) != 1 {
						t.Fatalf("call %d: expected one pack, seen %q", call, packs)
					}
					if again && len(minutes) != 0 {
						t.Fatalf("call %d: expected no minutes, seen %q", call, minutes)
					}
				}
			}
			if calls < 20 {
				t.Errorf("only %d calls were tried", calls)
			}
		}
	})
}

// TestAReaderThatSleptWhileOthersPacked knew some of it, and misses none.
func TestAReaderThatSleptWhileOthersPacked(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		storage.Files[packsFrom] = fmt.Append(nil, time.Now().Unix())
		writer, sleeper := storage.node(time.Now), storage.node(time.Now)
		var sessions []*session.Session
		for i := range 300 {
			s := month()
			sessions = append(sessions, s)
			end(t, writer, endedNow(s))
			time.Sleep(time.Minute)
			poll(t, writer)
			if i%10 == 0 {
				packAll(t, writer)
			}
			if i%97 == 0 {
				wantKnown(t, "the node that slept", sleeper, sessions)
			}
		}
		wantKnown(t, "the node that slept", sleeper, sessions)
	})
}

// TestAPackerThatDies dies before each of its calls: nothing is lost, and the
// next one goes on.
func TestAPackerThatDies(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		whole, sessions := old(t)
		first := whole.node(time.Now)
		ready(t, first)
		packAll(t, first)
		time.Sleep(2 * time.Hour)
		call, died := 1, true
		for ; died; call++ {
			storage := whole.copy()
			began := 0
			var packing bool
			dying := storage.nodeWith(func(n int) error {
				if !packing {
					began = n
					return nil
				}
				if n-began >= call {
					return errDown
				}
				return nil
			})
			ready(t, dying)
			packing = true
			err := dying.Pack(t.Context())
			if died = err != nil; died && !errors.Is(err, errDown) {
				t.Errorf("call %d: %v", call, err)
			}
			wantKnown(t, fmt.Sprintf("a node after call %d", call), storage.node(time.Now), sessions)
			next := storage.node(time.Now)
			ready(t, next)
			packAll(t, next)
			minutes, packs := storage.root()
			if len(minutes) != 0 {
				t.Errorf("call %d: expected no minutes, seen %q", call, minutes)
			}
			if len(packs) == 0 {
				t.Errorf("call %d: expected one to three packs, seen none", call)
			}
			if len(packs) > 3 {
				t.Errorf("call %d: expected one to three packs, seen %q", call, packs)
			}
			wantKnown(t, fmt.Sprintf("the last node, call %d", call), storage.node(time.Now), sessions)
		}
		if call < 20 {
			t.Errorf("only %d calls were tried", call)
		}
	})
}

// TestTwoPackersAtOnce has a lock that both get, as when it was stolen. One
// stops before each of its calls, while the other does all of its work.
func TestTwoPackersAtOnce(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		whole, sessions := old(t)
		first := whole.node(time.Now)
		ready(t, first)
		packAll(t, first)
		time.Sleep(2 * time.Hour)
		calls := 0
		for call := 1; call == 1 || call <= calls; call++ {
			storage := whole.copy()
			other, began, packing := storage.node(time.Now), 0, false
			slow := storage.nodeWith(func(n int) error {
				if !packing {
					began = n
					return nil
				}
				calls = max(calls, n-began)
				if n-began == call {
					packAll(t, other)
				}
				return nil
			})
			ready(t, slow, other)
			packing = true
			if err := slow.Pack(t.Context()); err != nil {
				t.Errorf("call %d: %v", call, err)
			}
			wantKnown(t, fmt.Sprintf("a node after call %d", call), storage.node(time.Now), sessions)
			minutes, packs := storage.root()
			if len(minutes) != 0 {
				t.Errorf("call %d: expected no minutes, seen %q", call, minutes)
			}
			if len(packs) > 2 {
				t.Errorf("call %d: expected two packs at most, seen %q", call, packs)
			}
		}
	})
}

func TestNobodyPacksWithoutTheLock(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage, sessions := old(t)
		locks := &clustertest.Locked{Memory: storage.Memory, Held: make(map[string]chan struct{})}
		j := NewLog(func() clusterstore.Storage { return locks }, time.Now)
		ready(t, j)
		if err := locks.Lock(t.Context(), packLock); err != nil {
			t.Fatal(err)
		}
		if err := j.Pack(t.Context()); err == nil {
			t.Error("no error")
		}
		wantFiles(t, "after the failure", storage, 18, 0)
		_ = locks.Unlock(t.Context(), packLock)
		poll(t, j)
		packAll(t, j)
		_, packs := storage.root()
		if len(packs) != 1 {
			t.Errorf("expected one pack, seen %q", packs)
		}
		if len(locks.Held) != 0 {
			t.Errorf("expected no lock to be held, seen %v", locks.Held)
		}
		wantKnown(t, "a later node", storage.node(time.Now), sessions)
	})
}

func TestAStorageThatDoesNotReturnWhatWasStored(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage, sessions := old(t)
		j := storage.node(time.Now)
		mangled := NewLog(func() clusterstore.Storage { return mangling{unlocked{Memory: storage.Memory}} }, time.Now)
		ready(t, mangled, j)
		before := storage.Keys()
		if err := mangled.Pack(t.Context()); !errors.Is(err, errNotKept) {
			t.Errorf("Pack: %v", err)
		}
		if !slices.Equal(storage.Keys(), before) {
			t.Errorf("%d files before, %d after", len(before), len(storage.Keys()))
		}
		wantKnown(t, "a later node", storage.node(time.Now), sessions)
	})
}

// mangling is a storage that takes what is stored for text.
type mangling struct{ unlocked }

func (m mangling) Store(ctx context.Context, key string, value []byte) error {
	return m.unlocked.Store(ctx, key, []byte(strings.ToValidUTF8(string(value), "?")))
}

// TestBrokenPacks holds that a pack which is being written is no error, and
// that all of it is known once it is whole.
func TestBrokenPacks(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage, sessions := old(t)
		before := storage.copy()
		j := storage.node(time.Now)
		ready(t, j)
		packAll(t, j)
		_, packs := storage.root()
		key := logRoot + "/" + packs[0]
		data := storage.Files[key]
		for _, length := range []int{0, 1, len(packHead), len(data) / 2, len(data) - 1} {
			here := before.copy()
			here.Files[key] = data[:length]
			reader, packer := here.node(time.Now), here.node(time.Now)
			wantKnown(t, "a node that reads a broken pack", reader, sessions)
			ready(t, packer)
			packAll(t, packer)
			wantKnown(t, "a later node", here.node(time.Now), sessions)
			here.With(func(m *clustertest.Memory) { m.Files[key] = data })
			wantKnown(t, "a node that comes when it is whole", here.node(time.Now), sessions)

			storage := storage.copy()
			storage.Files[key] = data[:length]
			reader = storage.node(time.Now)
			poll(t, reader)
			if knows(reader, sessions...) == len(sessions) {
				t.Fatal("a broken pack was read")
			}
			storage.With(func(m *clustertest.Memory) { m.Files[key] = data })
			wantKnown(t, "the node that read it broken", reader, sessions)
		}

		storage.With(func(m *clustertest.Memory) { m.Files[key] = data[:100] })
		reader := storage.node(time.Now)
		poll(t, reader)
		time.Sleep(settled + time.Second)
		poll(t, reader)
		loads := storage.Loads
		for range 60 {
			poll(t, reader)
		}
		if got := storage.Loads - loads; got > 60/5 {
			t.Errorf("it is read %d times in 60 polls", got)
		}
		time.Sleep(brokenAgain)
		storage.With(func(m *clustertest.Memory) { m.Files[key] = data })
		wantKnown(t, "the node that looks again", reader, sessions)

		storage.With(func(m *clustertest.Memory) { m.Files[key] = data[:100] })
		reader = storage.node(time.Now)
		poll(t, reader)
		time.Sleep(brokenFor + time.Second)
		sweep(t, reader)
		if _, packs := storage.root(); len(packs) != 0 {
			t.Errorf("after a day there are %q", packs)
		}
	})
}

func TestMinutesThatCannotBeReadStay(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage, sessions := old(t)
		keys := storage.Keys()
		odd := map[string]string{keys[1]: "AQAAAAAAAAAAAAAAAAAAAA of a later release\n", keys[3]: "AQAAAA"}
		for key, line := range odd {
			storage.Files[key] = append(slices.Clone(storage.Files[key]), line...)
		}
		if path.Dir(keys[1]) == path.Dir(keys[3]) {
			t.Fatalf("expected files of two minutes, seen %q", keys)
		}
		if !isFile(path.Base(keys[1])) {
			t.Fatalf("expected a file of events, seen %q", keys[1])
		}
		j := storage.node(time.Now)
		ready(t, j)
		packAll(t, j)
		for key := range odd {
			if storage.Files[key] == nil {
				t.Errorf("%s was packed", key)
			}
		}
		minutes, _ := storage.root()
		stores := storage.Stores
		time.Sleep(time.Minute)
		poll(t, j)
		packAll(t, j)
		if storage.Stores != stores {
			t.Errorf("expected no more stores, seen %d", storage.Stores-stores)
		}
		if len(minutes) > 8 {
			t.Errorf("expected eight minutes at most, seen %q", minutes)
		}
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
		// What was under way when time was up is begun again.
		if storage.Loads > packs+tries {
			t.Errorf("expected %d loads of %d packs in %d tries at most, seen %d", packs+tries, packs, tries, storage.Loads)
		}
		if j.len() != len(events) {
			t.Errorf("expected %d events, seen %d", len(events), j.len())
		}
	})
}

package revocation

import (
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestSweepForgetsWhatCanEndNothing(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.node(time.Now), storage.node(time.Now)
		short, long := living(), living()
		end(t, a, ForSession(short.ID, time.Now(), time.Now().Add(time.Hour)))
		time.Sleep(time.Minute)
		end(t, b, endedNow(long))
		poll(t, a, b)
		sweep(t, a)
		if len(storage.Keys()) != 2 {
			t.Fatalf("swept what still can change: %q", storage.Keys())
		}
		time.Sleep(2 * time.Hour)
		poll(t, a, b)
		sweep(t, a)
		poll(t, b)
		if keys := storage.Keys(); len(keys) != 1 {
			t.Errorf("expected one file, seen %q", keys)
		}
		if a.len() != 1 {
			t.Errorf("expected one event in memory, seen %d", a.len())
		}
		wantEnded(t, "the node that swept", a, long)
		wantEnded(t, "the other node", b, long)
		sweep(t, b) // another node has swept already
		poll(t, a, b)
		time.Sleep(12 * time.Hour)
		poll(t, a, b)
		sweep(t, a, b)
		poll(t, a, b)
		if keys := storage.Keys(); len(keys) != 0 {
			t.Errorf("expected no files, seen %q", keys)
		}
		for name, j := range map[string]*Log{"a": a, "b": b} {
			if j.len() != 0 {
				t.Errorf("%s: expected no events, seen %d", name, j.len())
			}
			if len(j.folders) != 0 {
				t.Errorf("%s: expected no folders, seen %d", name, len(j.folders))
			}
		}
	})
}

func TestAFolderThatIsStillOpenIsNotSwept(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.node(time.Now), storage.node(time.Now)
		end(t, a, ForSession(living().ID, time.Now(), time.Now().Add(-time.Hour)))
		poll(t, a)
		s := living()
		end(t, b, endedNow(s)) // a has not read this
		sweep(t, a)
		poll(t, a)
		if knows(a, s) != 1 {
			t.Error("a logout was swept together with one that is over")
		}
	})
}

func TestASweepThatFailsIsRepeated(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		j := storage.node(time.Now)
		end(t, j, endedNow(living()))
		time.Sleep(24 * time.Hour)
		poll(t, j)
		storage.With(func(m *clustertest.Memory) { m.ReadOnly = errDown })
		if err := j.Sweep(t.Context()); err == nil {
			t.Error("no error")
		}
		loads := storage.Loads
		poll(t, j)
		if storage.Loads != loads {
			t.Error("what could not be deleted is read again")
		}
		storage.With(func(m *clustertest.Memory) { m.ReadOnly = nil })
		sweep(t, j)
		if keys := storage.Keys(); len(keys) != 0 {
			t.Errorf("files %q", keys)
		}
	})
}

func TestASlowSweepKeepsNobodyFromReading(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.node(time.Now), storage.node(time.Now)
		for range 100 {
			end(t, a, ForSession(living().ID, time.Now(), time.Now()))
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Hour)
		poll(t, a, b)
		storage.With(func(m *clustertest.Memory) { m.Latency = 500 * time.Millisecond })
		done := make(chan struct{})
		go func() {
			_ = a.Sweep(t.Context())
			close(done)
		}()
		time.Sleep(time.Second)
		s := living()
		end(t, b, endedNow(s))
		began := time.Now()
		poll(t, a)
		if waited := time.Since(began); waited > 5*time.Second {
			t.Errorf("expected to wait for five seconds at most, seen %v", waited)
		}
		wantEnded(t, "afterwards", a, s)
		<-done
		if waited := time.Since(began); waited > sweepWithin+time.Second {
			t.Errorf("the sweep took %v", waited)
		}
	})
}

// TestWhatPollingCosts counts the storage calls on a busy site: a logout in each minute of
// a session's lifetime, on each of three nodes.
func TestWhatPollingCosts(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		nodes := []*Log{storage.node(time.Now), storage.node(time.Now), storage.node(time.Now)}
		const minutes = 12 * 60
		for range minutes {
			for _, j := range nodes {
				end(t, j, endedNow(living()))
			}
			time.Sleep(time.Minute)
		}
		if n := len(storage.folders()); n != minutes {
			t.Fatalf("%d folders", n)
		}
		reader := storage.node(time.Now)
		if err := reader.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if reader.len() != 3*minutes {
			t.Errorf("expected %d events, seen %d", 3*minutes, reader.len())
		}
		if storage.Loads != 3*minutes {
			t.Errorf("expected %d loads, seen %d", 3*minutes, storage.Loads)
		}
		for range 5 {
			storage.Loads, storage.Lists = 0, 0
			poll(t, reader)
			// A node that has just started reads the last quarter of an hour again.
			if storage.Loads > 3*16 {
				t.Errorf("a poll: expected %d loads at most, seen %d", 3*16, storage.Loads)
			}
			if storage.Lists > 1+16 {
				t.Errorf("a poll: expected %d lists at most, seen %d", 1+16, storage.Lists)
			}
			time.Sleep(2 * time.Second)
		}
		time.Sleep(10 * time.Minute)
		poll(t, reader)
		storage.Loads, storage.Lists = 0, 0
		for range 100 {
			poll(t, reader)
		}
		if storage.Loads != 0 {
			t.Errorf("100 polls when all is closed: expected no loads, seen %d", storage.Loads)
		}
		if storage.Lists != 100 {
			t.Errorf("100 polls when all is closed: expected 100 lists, seen %d", storage.Lists)
		}
	})
}

func TestTheFirstLookGoesOnWhereItWasCutOff(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		j := storage.node(time.Now)
		var sessions []*session.Session
		for range 300 {
			s := living()
			sessions = append(sessions, s)
			end(t, j, endedNow(s))
			time.Sleep(time.Minute)
		}
		storage.Latency = 30 * time.Millisecond // 18 seconds in total
		fresh := storage.node(time.Now)
		began := time.Now()
		for fresh.Ready(t.Context()) != nil {
			time.Sleep(lookAgain)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("took %v", took)
		}
		if got := knows(fresh, sessions...); got != len(sessions) {
			t.Errorf("%d of %d are known", got, len(sessions))
		}
	})
}

// TestARequestPaysLittle checks that a request with a session allocates nothing. It is not
// parallel, because allocations of other tests would count.
func TestARequestPaysLittle(t *testing.T) {
	storage := newMemory()
	j := storage.node(time.Now)
	poll(t, j)
	end(t, j, endedNow(living()))
	s, ctx := living(), t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if err := j.Ready(ctx); err != nil {
			t.Errorf("expected the log to be ready, seen %v", err)
		}
		if j.RevokedSession(s, issuer) {
			t.Error("expected the session to live, seen that it is revoked")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for i := range 100_000 {
		j.add(ForSession(session.ID{byte(i), byte(i >> 8), byte(i >> 16), 3}, s.SignedIn, s.Expires))
	}
	end(t, j, ForSubject(issuer, "eve", s.SignedIn, s.Expires))
	target := TargetOf(s, issuer)
	if n := testing.AllocsPerRun(100, func() {
		if j.RevokedSession(s, issuer) {
			t.Error("expected the session to live, seen that it is revoked")
		}
		if j.Revoked(&target) {
			t.Error("expected the target to live, seen that it is revoked")
		}
	}); n != 0 {
		t.Errorf("%v allocations among many events", n)
	}
}

// TestWhatAMonthOfLogoutsCosts counts the files that remain after 10,000 logouts in 30 days
// on three nodes, and the calls to read them.
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
		// There are two logouts in 8.6 minutes: files of up to two hours, and the packs.
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
		// Each poll makes one List of the root, and one List and one Load for each open
		// minute. Minutes stay open for a little over five minutes, which have one logout
		// here.
		if storage.Lists > 100*2 {
			t.Errorf("100 polls: expected 200 lists at most, seen %d", storage.Lists)
		}
		if storage.Loads > 100 {
			t.Errorf("100 polls: expected 100 loads at most, seen %d", storage.Loads)
		}
		t.Logf("%d names at most, %d packs of up to %d bytes; 100 polls: %d lists, %d loads", most, len(packs), size, storage.Lists, storage.Loads)
	})
}

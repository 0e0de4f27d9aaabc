package revocation

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// TestAReaderMeetsAPacker stops a reader before each of its calls, while others pack once
// or twice.
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
				// Poll has time limits and poll has none. No time passes for a node that is
				// stopped.
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

// TestAReaderThatSleptWhileOthersPacked checks that a node which polls rarely misses no
// events.
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

// TestAPackerThatDies stops a packer before each of its calls. Nothing is lost, and the
// next packer finishes the work.
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

// TestTwoPackersAtOnce has two packers with the lock, as if it had been stolen. One is
// stopped before each of its calls, while the other does all of its work.
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

func TestNothingIsPackedWithoutTheLock(t *testing.T) {
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

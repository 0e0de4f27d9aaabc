package revocation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// TestAReaderMeetsAPackerThatDies stops a reader before each of its calls, while a packer
// does a part of its work. The packer may stop anywhere: it may have deleted some files of
// a minute, or a pack that the reader has listed.
func TestAReaderMeetsAPackerThatDies(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		whole, sessions := newMemory(), []*session.Session(nil)
		whole.Files[packsFrom] = fmt.Append(nil, time.Now().Unix())
		a, b := whole.node(time.Now), whole.node(time.Now)
		write := func() {
			for _, j := range []*Log{a, b, a, b} {
				s := month()
				sessions = append(sessions, s)
				end(t, j, endedNow(s))
			}
			time.Sleep(3 * time.Hour)
			ready(t, a, b)
		}
		write()
		packAll(t, a)
		write()
		wantFiles(t, "at first", whole, 1, 1)
		combinations := 0
		for stop, stopped := 1, true; stopped; stop++ {
			stopped = false
			for death, died := 1, true; died; death++ {
				storage := whole.copy()
				died = false
				began, packing := 0, false
				packer := storage.nodeWith(func(n int) error {
					if !packing {
						began = n
					} else if n-began >= death {
						died = true
						return errDown
					}
					return nil
				})
				ready(t, packer)
				packing = true
				reader := storage.nodeWith(func(n int) error {
					if n == stop {
						stopped = true
						if err := packer.Pack(t.Context()); err != nil && !errors.Is(err, errDown) {
							t.Error(err)
						}
					}
					return nil
				})
				if err := reader.poll(t.Context()); err != nil {
					t.Errorf("stopped before call %d, the packer before its call %d: %v", stop, death, err)
				}
				if known := knows(reader, sessions...); known != len(sessions) {
					t.Errorf("stopped before call %d, the packer before its call %d: expected %d known events, seen %d", stop, death, len(sessions), known)
				}
				combinations++
			}
		}
		if combinations < 50 {
			t.Errorf("only %d combinations were tried", combinations)
		}
	})
}

// TestAListThatIsNoMoment has a reader whose List shows neither the minute that it knows
// nor the pack that contains its events by now.
func TestAListThatIsNoMoment(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		storage.Files[packsFrom] = fmt.Append(nil, time.Now().Unix())
		writer, reader := storage.node(time.Now), storage.node(time.Now)
		first, second := month(), month()
		end(t, writer, endedNow(first))
		poll(t, reader)
		end(t, writer, endedNow(second))
		poll(t, writer)
		time.Sleep(3 * time.Hour)
		poll(t, writer)
		packAll(t, writer)
		lists := 0
		storage.With(func(m *clustertest.Memory) {
			m.Listing = func(_ string, _ bool, children, _ []string) []string {
				if lists++; lists <= 2 { // not recursive, and recursive
					return nil
				}
				return children
			}
		})
		wantKnown(t, "the node that saw nothing at first", reader, []*session.Session{first, second})
	})
}

func TestANodeThatHasJustStartedDoesNotPack(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage, _ := old(t)
		j := storage.node(time.Now)
		packAll(t, j) // it has not polled yet
		poll(t, j)
		packAll(t, j)
		time.Sleep(watched - time.Second)
		poll(t, j)
		packAll(t, j)
		wantFiles(t, "while it cannot be packed", storage, 18, 0)
		time.Sleep(2 * time.Second)
		poll(t, j)
		storage.With(func(m *clustertest.Memory) { m.Down = errDown })
		time.Sleep(trusted)
		packAll(t, j) // its events are too old, and it does not read them again
		storage.With(func(m *clustertest.Memory) { m.Down = nil })
		poll(t, j)
		began := time.Now()
		packAll(t, j)
		if _, packs := storage.root(); len(packs) != 1 {
			t.Errorf("expected one pack, seen %q", packs)
		}
		if waited := time.Since(began); waited < listWithin {
			t.Errorf("expected to wait for %v at least, seen %v", listWithin, waited)
		}
	})
}

// TestAFileThatComesWhileItsMinuteIsPacked checks that the file stays, and is packed the
// next time.
func TestAFileThatComesWhileItsMinuteIsPacked(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage, sessions := old(t)
		minutes, _ := storage.root()
		late := month()
		key := logRoot + "/" + minutes[0] + "/aaaaaaaaaaaaaaaa-1"
		j := storage.nodeWith(func(int) error {
			if _, packs := storage.root(); len(packs) == 1 && late != nil {
				storage.With(func(m *clustertest.Memory) { m.Files[key] = endedNow(late).appendLine(nil) })
				sessions, late = append(sessions, late), nil
			}
			return nil
		})
		ready(t, j)
		packAll(t, j)
		if late != nil {
			t.Errorf("the late event: %v", late)
		}
		if keys := storage.Keys(); !slices.Contains(keys, key) {
			t.Errorf("expected the late file %s to stay, seen %q", key, keys)
		}
		left, _ := storage.root()
		if len(left) > 8 {
			t.Errorf("expected eight minutes at most, seen %q", left)
		}
		if !slices.Contains(left, minutes[0]) {
			t.Errorf("expected the minute %s to stay, seen %q", minutes[0], left)
		}
		next := storage.node(time.Now)
		wantKnown(t, "a later node", next, sessions)
		ready(t, next)
		packAll(t, next)
		if left, _ := storage.root(); slices.Contains(left, minutes[0]) {
			t.Errorf("later: minutes %q", left)
		}
		wantKnown(t, "the last node", storage.node(time.Now), sessions)
	})
}

// TestPackingOnStoragesOfOtherKinds packs on a storage whose List shows no folders, and on
// one whose keys have a prefix.
func TestPackingOnStoragesOfOtherKinds(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]func(folder string, recursive bool, children, all []string) []string{
		"files alone unless it is recursive": func(folder string, recursive bool, children, all []string) []string {
			if recursive {
				return slices.DeleteFunc(slices.Clone(all), func(k string) bool { return !strings.HasPrefix(k, folder+"/") })
			}
			return slices.DeleteFunc(children, func(k string) bool { return !slices.Contains(all, k) })
		},
		"all keys of the storage, with its prefix": func(_ string, _ bool, _, all []string) []string {
			keys := make([]string, len(all))
			for i, key := range all {
				keys[i] = "acme/" + key
			}
			return keys
		},
	} {
		t.Run(name, func(t *testing.T) {
			clustertest.InBubble(t, func(t *testing.T) {
				storage, sessions := old(t)
				storage.Listing = list
				j := storage.node(time.Now)
				ready(t, j)
				packAll(t, j)
				minutes, packs := storage.root()
				if len(minutes) > 7 {
					t.Errorf("expected seven minutes at most, seen %q", minutes)
				}
				if len(packs) != 1 {
					t.Errorf("expected one pack, seen %q", packs)
				}
				wantKnown(t, "the node that packed", j, sessions)
				wantKnown(t, "a later node", storage.node(time.Now), sessions)
			})
		})
	}
}

var _ clusterstore.Storage = hooked{}

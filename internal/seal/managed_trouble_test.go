package seal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

var errDown = errors.New("the storage is down")

// If the key file is truncated, the keys in memory are used and stored again.
//
// See docs/faults.md, row F33.
func TestAKeyFileThatWasCutShort(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		text := sealOn(t, m)
		whole := storage.file()
		for length := range whole {
			storage.with(func(s *memory) { s.files[managedKey] = whole[:length] })
			time.Sleep(2 * time.Second)
			if _, err := m.Renewed(t.Context()); err != nil {
				t.Fatalf("cut to %d bytes: %v", length, err)
			}
			wantOpens(t, fmt.Sprintf("cut to %d bytes", length), m, text, false)
			// The keys were stored again, so that a restart does not sign out users.
			if ok, _ := opens(t, storage.instance(time.Now), text); !ok {
				t.Fatalf("cut to %d bytes: a fresh instance has other keys", length)
			}
		}
	})
}

func TestAFreshInstanceReplacesAKeyFileThatWasCutShort(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		sealOn(t, storage.instance(time.Now))
		whole := storage.file()
		damaged := [][]byte{nil, []byte("null"), []byte("[]"), []byte(`{"keys":null}`), []byte(`{"keys":{}}`), []byte(`{"keys":[{"secret":"!"}]}`), []byte("\x00\x00\x00")}
		for length := range whole {
			damaged = append(damaged, whole[:length])
		}
		for _, data := range damaged {
			storage.with(func(s *memory) { s.files[managedKey] = data })
			text := sealOn(t, storage.instance(time.Now))
			if ok, _ := opens(t, storage.instance(time.Now), text); !ok {
				t.Errorf("after %.40q the new keys were not kept", data)
			}
		}
	})
}

func TestADeletedKeyFileComesBackWhileSomebodyHasTheKeys(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		text := sealOn(t, m)
		storage.with(func(s *memory) { delete(s.files, managedKey) })
		time.Sleep(time.Minute)
		refresh(t, m)
		for name, instance := range map[string]*Managed{"one that had the keys": m, "a later instance": storage.instance(time.Now)} {
			if ok, _ := opens(t, instance, text); !ok {
				t.Errorf("%s: the session is lost", name)
			}
		}
	})
}

func TestAStorageThatIsDownIsAskedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		storage.err = errDown
		m := storage.instance(time.Now)
		for range 100 {
			if ring, err := m.Ring(t.Context()); !errors.Is(err, errDown) || ring != nil {
				t.Fatalf("Ring: %v, %v", ring, err)
			}
		}
		if storage.loads != 1 {
			t.Errorf("%d looks in one moment", storage.loads)
		}
		storage.with(func(s *memory) { s.err = nil })
		time.Sleep(retryAfter)
		ringOf(t, m)
	})
}

func TestAnOutageTakesNoKeys(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		text := sealOn(t, m)
		storage.with(func(s *memory) { s.err = errDown })
		for range 24 * 60 {
			time.Sleep(time.Minute)
			if err := m.Refresh(t.Context()); !errors.Is(err, errDown) {
				t.Fatalf("Refresh: %v", err)
			}
			if _, err := m.Renewed(t.Context()); !errors.Is(err, errDown) {
				t.Fatalf("Renewed cannot know, and says %v", err)
			}
			if ok, _ := opens(t, m, text); !ok {
				t.Fatal("the keys are gone")
			}
		}
		storage.with(func(s *memory) { s.err = nil })
		time.Sleep(time.Minute)
		refresh(t, m)
	})
}

func TestAStorageThatCanOnlyBeRead(t *testing.T) {
	t.Parallel()
	t.Run("gives no keys where there are none", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			storage := newMemory()
			storage.sealed = errDown
			if ring, err := storage.instance(time.Now).Ring(t.Context()); !errors.Is(err, errDown) || ring != nil {
				t.Errorf("Ring: %v, %v", ring, err)
			}
		})
	})
	t.Run("serves a fresh instance though the keys are due for rotation", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			storage := newMemory()
			text := sealOn(t, storage.instance(time.Now))
			time.Sleep(2 * week)
			storage.with(func(s *memory) { s.sealed = errDown })
			m := storage.instance(time.Now)
			if ok, _ := opens(t, m, text); !ok {
				t.Error("the keys that can be read are not used")
			}
			time.Sleep(time.Minute)
			if err := m.Refresh(t.Context()); !errors.Is(err, errDown) {
				t.Errorf("expected an error of the damage, seen %v", err)
			}
		})
	})
	t.Run("still brings the keys of others", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			storage := newMemory()
			a, b := storage.instance(time.Now), storage.instance(time.Now)
			ringOf(t, b)
			storage.with(func(s *memory) { delete(s.files, managedKey) })
			time.Sleep(time.Second)
			text := sealOn(t, a)
			b.Demand(week, 30*day) // must be stored, but cannot be
			storage.with(func(s *memory) { s.sealed = errDown })
			time.Sleep(time.Second)
			if _, err := b.Renewed(t.Context()); err != nil {
				t.Fatal(err)
			}
			if ok, _ := opens(t, b, text); !ok {
				t.Error("the keys that can be read are not used")
			}
		})
	})
}

func TestALockThatIsNotGivenBackIsToldAndCostsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		storage.unlock = errDown
		m := storage.instance(time.Now)
		text := sealOn(t, m)
		if storage.stores != 1 {
			t.Errorf("%d stores", storage.stores)
		}
		if ok, _ := opens(t, storage.instance(time.Now), text); !ok {
			t.Error("the keys that were stored are not those in use")
		}
	})
}

func TestALockThatAnotherHoldsForEver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		text := sealOn(t, m)
		storage.lock <- struct{}{}
		time.Sleep(2 * week)
		began := time.Now()
		if err := m.Refresh(t.Context()); err == nil || time.Since(began) > readTimeout+time.Second {
			t.Errorf("Refresh: %v after %v", err, time.Since(began))
		}
		if ok, _ := opens(t, m, text); !ok {
			t.Error("the keys in memory are gone")
		}
		<-storage.lock
		time.Sleep(time.Minute)
		refresh(t, m)
		if len(storage.secrets(t)) != 2 {
			t.Error("no rotation after the lock was free")
		}
	})
}

func TestAHundredAtOnce(t *testing.T) {
	t.Parallel()
	storage := newMemory()
	instances := []*Managed{storage.instance(time.Now), storage.instance(time.Now)}
	var wg sync.WaitGroup
	for i := range 100 {
		m := instances[i%2]
		wg.Go(func() {
			for k := range 50 {
				switch (i + k) % 5 {
				case 0:
					_, _ = m.Renewed(context.Background())
				case 1:
					_ = m.Refresh(context.Background())
				case 2:
					m.Demand(time.Hour, time.Duration(k)*time.Hour)
				default:
					if ok, _ := opens(t, m, sealOn(t, m)); !ok {
						t.Error("does not open what it has sealed")
					}
				}
			}
		})
	}
	wg.Wait()
}

// leaving is a storage whose caller leaves while it waits for the lock.
type leaving struct {
	clusterstore.Storage
	locking, left chan struct{}
}

func (s *leaving) Lock(ctx context.Context, key string) error {
	close(s.locking)
	<-s.left
	return s.Storage.Lock(ctx, key)
}

func TestACallerOfRotateMayLeave(t *testing.T) {
	t.Parallel()
	var storage clusterstore.Storage = newMemory()
	m := NewManaged(func() clusterstore.Storage { return storage }, time.Now)
	m.Demand(time.Hour, time.Hour)
	if _, err := m.Ring(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := m.ring.Load()
	slow := &leaving{storage, make(chan struct{}), make(chan struct{})}
	storage = slow
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-slow.locking; leave() }()
	if made, err := m.Rotate(ctx, true); made || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", made, err)
	}
	close(slow.left)
	for end := time.Now().Add(time.Minute); m.ring.Load() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("expected the rotation to outlive its caller, seen that it ended")
		}
	}
}

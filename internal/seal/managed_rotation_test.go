package seal

import (
	"bytes"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"
)

// secrets returns the secrets in the storage, oldest first.
func (m *memory) secrets(t *testing.T) (secrets [][]byte) {
	t.Helper()
	var file keyFile
	if err := json.Unmarshal(m.file(), &file); err != nil {
		t.Fatal(err)
	}
	for _, key := range file.Keys {
		secrets = append([][]byte{key.Secret}, secrets...)
	}
	return secrets
}

func TestANewKeyIsKnownEverywhereBeforeItSeals(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.instance(time.Now), storage.instance(time.Now)
		first := sealOn(t, a)
		ringOf(t, b)
		rotated := time.Time{}
		sealedNew := time.Time{}
		time.Sleep(week - time.Hour)
		for end := time.Now().Add(2 * time.Hour); time.Now().Before(end); time.Sleep(time.Minute) {
			refresh(t, a)
			text := sealOn(t, a)
			time.Sleep(20 * time.Second) // b refreshes at other times
			if ok, _ := opens(t, b, text); !ok {
				t.Fatalf("b does not know the key that a seals with at %v", time.Now())
			}
			refresh(t, b)
			if rotated.IsZero() && len(storage.secrets(t)) == 2 {
				rotated = time.Now()
			}
			if _, stale := opens(t, a, first); stale && sealedNew.IsZero() {
				sealedNew = time.Now()
			}
		}
		if rotated.IsZero() {
			t.Fatal("expected a rotation, seen none")
		}
		if sealedNew.IsZero() {
			t.Fatal("expected that the new key seals, seen that it does not")
		}
		if pause := sealedNew.Sub(rotated); pause < published-time.Minute || pause > published+2*time.Minute {
			t.Errorf("expected the new key to seal about %v after it was made, seen %v", published, pause)
		}
		wantOpens(t, "the old key", b, first, true)
	})
}

func TestAnOldKeyOpensAsLongAsASessionLasts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		ringOf(t, m)
		time.Sleep(week)
		refresh(t, m) // creates the second key
		last := sealOn(t, m)
		sealed := time.Now()
		for {
			time.Sleep(time.Minute)
			refresh(t, m)
			text := sealOn(t, m)
			if _, stale := opens(t, m, last); stale {
				break
			}
			last, sealed = text, time.Now()
			if len(storage.secrets(t)) != 2 {
				t.Fatal("the new key never seals")
			}
		}
		over := sealed.Add(12 * time.Hour)
		for time.Now().Before(over) {
			if ok, _ := opens(t, m, last); !ok {
				t.Fatalf("a session was lost %v after it began", time.Since(sealed))
			}
			time.Sleep(time.Minute)
			refresh(t, m)
		}
		time.Sleep(10 * time.Minute)
		refresh(t, m)
		if ok, _ := opens(t, m, last); ok {
			t.Error("the old key opens for longer than rotation and lifetime")
		}
		if secrets := storage.secrets(t); len(secrets) != 1 {
			t.Errorf("the storage still holds %d keys", len(secrets))
		}
	})
}

func TestOldKeysDoNotPileUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.instance(time.Now), storage.instance(time.Now)
		a.Demand(day, 5*day)
		for range 20 * 4 {
			time.Sleep(6 * time.Hour)
			refresh(t, a, b)
		}
		if n := len(storage.secrets(t)); n < 6 || n > 8 {
			t.Errorf("a daily rotation and sessions of five days: expected six to eight keys, seen %d", n)
		}
	})
}

// clockAt returns a clock that differs by offset from that of the bubble.
func clockAt(offset *atomic.Int64) func() time.Time {
	return func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
}

func TestANewKeySealsAfterAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		old := sealOn(t, m)
		time.Sleep(week)
		refresh(t, m)
		storage.with(func(s *memory) { s.err = errDown })
		time.Sleep(published)
		if err := m.Refresh(t.Context()); err == nil {
			t.Fatal("no error of the outage")
		}
		if _, stale := opens(t, m, old); !stale {
			t.Error("the new key was published and does not seal during the outage")
		}
		time.Sleep(10 * time.Minute)
		storage.with(func(s *memory) { s.err = nil })
		refresh(t, m)
		if _, stale := opens(t, m, old); !stale {
			t.Error("the new key does not seal after the outage")
		}
	})
}

func TestClocksThatAreWrong(t *testing.T) {
	t.Parallel()
	t.Run("a clock that was years ahead does not stop the rotation", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			storage := newMemory()
			var offset atomic.Int64
			wrong, right := storage.instance(clockAt(&offset)), storage.instance(time.Now)
			session := sealOn(t, right)
			offset.Store(int64(4 * 365 * day))
			refresh(t, wrong)
			offset.Store(0)
			for range 10 {
				time.Sleep(time.Minute)
				refresh(t, right, wrong)
			}
			for _, m := range []*Managed{right, wrong} {
				wantOpens(t, "the session of before", m, session, false)
			}
			keys := len(storage.secrets(t))
			time.Sleep(week)
			for range 10 {
				refresh(t, right, wrong)
				time.Sleep(time.Minute)
			}
			if n := len(storage.secrets(t)); n != keys+1 {
				t.Errorf("%d keys before a week and %d after it", keys, n)
			}
			wantOpens(t, "after the rotation", right, session, true)
		})
	})
	t.Run("a clock that is set back keeps all keys and makes at most one more", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			storage := newMemory()
			var offset atomic.Int64
			m := storage.instance(clockAt(&offset))
			session := sealOn(t, m)
			offset.Store(-int64(30 * day))
			for range 10 {
				refresh(t, m)
				if ok, _ := opens(t, m, session); !ok {
					t.Fatal("a session was lost")
				}
				time.Sleep(time.Minute)
			}
			if n := len(storage.secrets(t)); n > 2 {
				t.Errorf("%d keys", n)
			}
			before := storage.loads
			offset.Add(-int64(time.Hour))
			if _, err := m.Renewed(t.Context()); err != nil {
				t.Errorf("Renewed: %v", err)
			}
			if storage.loads == before {
				t.Error("expected another look although the clock went back, seen none")
			}
		})
	})
}

func TestKeysInTheStorageAreAsLongAsTheRingDemands(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		data, err := json.Marshal(keyFile{Keys: []managedSecret{{Secret: []byte("short"), Created: time.Now()}}})
		if err != nil {
			t.Fatal(err)
		}
		storage.files[managedKey] = data
		ringOf(t, storage.instance(time.Now))
		for _, secret := range storage.secrets(t) {
			if len(secret) < MinSecret {
				t.Errorf("expected secrets of %d bytes at least, seen %d", MinSecret, len(secret))
			}
			if bytes.Equal(secret, make([]byte, MinSecret)) {
				t.Errorf("expected random secrets, seen %x", secret)
			}
		}
	})
}

package seal

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func rotate(t *testing.T, m *Managed, compromised bool) (made bool) {
	t.Helper()
	made, err := m.Rotate(t.Context(), compromised)
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	return made
}

func keysOf(t *testing.T, m *Managed) []Key {
	t.Helper()
	keys, err := m.Keys(t.Context())
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	return keys
}

func TestRotateOnDemandIsLikeAnyRotation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.instance(time.Now), storage.instance(time.Now)
		session := sealOn(t, a) // the first key seals immediately, although it is not published yet
		ringOf(t, b)
		first := keysOf(t, a)[0]
		if !first.Seals {
			t.Errorf("expected the first key to seal, seen %+v", first)
		}
		if !first.SealsFrom.Equal(first.Created) {
			t.Errorf("expected the first key to seal from %v, seen %v", first.Created, first.SealsFrom)
		}
		if !first.OpensUntil.IsZero() {
			t.Errorf("expected the first key to open without an end, seen %v", first.OpensUntil)
		}
		if !rotate(t, a, false) {
			t.Fatal("no key was made")
		}
		for name, m := range map[string]*Managed{"a": a, "b": b} {
			if rotate(t, m, false) {
				t.Errorf("%s: expected no further key while one waits to seal, seen that it was made", name)
			}
		}
		made := time.Now()
		for time.Since(made) < published-time.Second {
			for _, m := range []*Managed{a, b} {
				wantOpens(t, fmt.Sprintf("%v after it was made", time.Since(made)), m, session, false)
			}
			time.Sleep(30 * time.Second)
			refresh(t, a, b)
		}
		time.Sleep(2 * time.Second)
		refresh(t, a, b)
		for name, m := range map[string]*Managed{"a": a, "b": b} {
			wantOpens(t, "on "+name+" after its publication", m, session, true)
		}
		keys := keysOf(t, b)
		if len(keys) != 2 {
			t.Fatalf("expected two keys, seen %+v", keys)
		}
		if !keys[0].Seals {
			t.Fatalf("expected the new key to seal, seen %+v", keys[0])
		}
		if keys[1].Seals {
			t.Fatalf("expected the old key not to seal, seen %+v", keys[1])
		}
		if keys[1].ID != first.ID {
			t.Fatalf("expected the old key %s, seen %s", first.ID, keys[1].ID)
		}
		now := time.Now()
		if keys[0].SealsFrom.After(now) {
			t.Errorf("expected the new key to seal already at %v, seen from %v", now, keys[0].SealsFrom)
		}
		if ago := now.Sub(keys[0].SealsFrom); ago > time.Minute {
			t.Errorf("expected the new key to seal for a minute at most, seen %v", ago)
		}
		if !keys[0].OpensUntil.IsZero() {
			t.Errorf("expected the new key to open without an end, seen %v", keys[0].OpensUntil)
		}
		if until := keys[0].Created.Add(12*time.Hour + 2*published); !keys[1].OpensUntil.Equal(until) {
			t.Errorf("the old key opens until %v, want %v", keys[1].OpensUntil, until)
		}
		time.Sleep(time.Until(keys[1].OpensUntil) + time.Minute)
		refresh(t, a)
		if ok, _ := opens(t, a, session); ok {
			t.Error("expected the old key not to open after its time, seen that it does")
		}
		if keys := keysOf(t, a); len(keys) != 1 {
			t.Errorf("expected one key, seen %+v", keys)
		}
	})
}

func TestARotationThatWasDoneOnDemandIsNotDue(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		ringOf(t, m)
		time.Sleep(week - time.Hour)
		rotate(t, m, false)
		time.Sleep(2 * time.Hour)
		refresh(t, m)
		if n := len(storage.secrets(t)); n != 2 {
			t.Errorf("%d keys", n)
		}
		if got := m.Rotation(); got != week {
			t.Errorf("rotates every %v", got)
		}
	})
}

func TestCompromisedKeysOpenNoLonger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b, c := storage.instance(time.Now), storage.instance(time.Now), storage.instance(time.Now)
		session := sealOn(t, a)
		time.Sleep(time.Hour)
		rotate(t, a, false) // a key that waits to seal is withdrawn as well
		refresh(t, b, c)
		if !rotate(t, a, true) {
			t.Fatal("no key was made")
		}
		if ok, _ := opens(t, a, session); ok {
			t.Error("the old key opens where the new one was made")
		}
		fresh := sealOn(t, a)
		time.Sleep(2 * time.Second)
		// b sees the new key in a cookie. c looks within a minute.
		ring, err := b.Renewed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ring.Open(ForSession, "p", fresh); err != nil {
			t.Errorf("b does not open what the new key has sealed: %v", err)
		}
		refresh(t, c)
		for name, m := range map[string]*Managed{"a": a, "b": b, "c": c, "a later instance": storage.instance(time.Now)} {
			if ok, _ := opens(t, m, session); ok {
				t.Errorf("%s: the old key opens", name)
			}
			wantOpens(t, name+": the new key", m, fresh, false)
		}
		// An ordinary rotation right after it is published like any other.
		rotate(t, b, false)
		refresh(t, a)
		wantOpens(t, "what another instance seals a moment later", a, sealOn(t, b), false)
	})
}

// TestWithdrawnKeysDoNotComeBack checks that withdrawn keys stay withdrawn if they are
// written back: from a backup, or by an instance that did not know of it.
func TestWithdrawnKeysDoNotComeBack(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, storage *memory, before []byte, ignorant *Managed){
		"from a backup": func(_ *testing.T, storage *memory, before []byte, _ *Managed) {
			storage.with(func(s *memory) { s.files[managedKey] = before })
		},
		"from another's memory": func(t *testing.T, storage *memory, _ []byte, ignorant *Managed) {
			storage.with(func(s *memory) { delete(s.files, managedKey) })
			refresh(t, ignorant)
		},
		"from another's memory after damage": func(t *testing.T, storage *memory, _ []byte, ignorant *Managed) {
			storage.with(func(s *memory) { s.files[managedKey] = s.files[managedKey][:20] })
			refresh(t, ignorant)
		},
		"by a release that knows nothing of it": func(t *testing.T, storage *memory, before []byte, _ *Managed) {
			var old, file map[string]any
			if err := errors.Join(json.Unmarshal(before, &old), json.Unmarshal(storage.file(), &file)); err != nil {
				t.Fatal(err)
			}
			file["keys"] = append(file["keys"].([]any), old["keys"].([]any)...)
			delete(file, "withdrawn")
			data, err := json.Marshal(file)
			if err != nil {
				t.Fatal(err)
			}
			storage.with(func(s *memory) { s.files[managedKey] = data })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				storage := newMemory()
				a, ignorant := storage.instance(time.Now), storage.instance(time.Now)
				session := sealOn(t, a)
				ringOf(t, ignorant)
				time.Sleep(time.Hour)
				before := storage.file()
				rotate(t, a, true)
				fresh := sealOn(t, a)
				time.Sleep(2 * time.Second)
				lose(t, storage, before, ignorant)
				time.Sleep(2 * time.Second)
				refresh(t, a)
				if ok, _ := opens(t, a, session); ok {
					t.Fatal("the withdrawn key opens where that was known")
				}
				refresh(t, ignorant)
				for name, m := range map[string]*Managed{"one that knew": a, "one that did not": ignorant, "a later instance": storage.instance(time.Now)} {
					if ok, _ := opens(t, m, session); ok {
						t.Errorf("%s: the withdrawn key opens", name)
					}
					if ok, _ := opens(t, m, fresh); !ok {
						t.Errorf("%s: the new key does not open", name)
					}
				}
				stores := storage.stores
				for range 10 {
					time.Sleep(time.Minute)
					refresh(t, a, ignorant)
				}
				if storage.stores != stores {
					t.Errorf("the file is written %d times more", storage.stores-stores)
				}
			})
		})
	}
}

func TestARotationThatCannotBeKeptChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		session := sealOn(t, m)
		for name, broken := range map[string]func(*memory){
			"cannot be read":    func(s *memory) { s.err = errDown },
			"cannot be written": func(s *memory) { s.sealed = errDown },
		} {
			storage.with(broken)
			for _, compromised := range []bool{false, true} {
				made, err := m.Rotate(t.Context(), compromised)
				if !errors.Is(err, errDown) {
					t.Errorf("%s, compromised %v: expected %v, seen %v", name, compromised, errDown, err)
				}
				if made {
					t.Errorf("%s, compromised %v: expected no key, seen that one was made", name, compromised)
				}
				wantOpens(t, fmt.Sprintf("%s, compromised %v", name, compromised), m, session, false)
			}
			storage.with(func(s *memory) { s.err, s.sealed = nil, nil })
		}
		storage.with(func(s *memory) { s.err = errDown })
		time.Sleep(time.Minute)
		if keys, err := m.Keys(t.Context()); !errors.Is(err, errDown) || len(keys) != 1 {
			t.Errorf("Keys during an outage: %v, %v", keys, err)
		}
		if keys, err := storage.instance(time.Now).Keys(t.Context()); !errors.Is(err, errDown) || keys != nil {
			t.Errorf("Keys of an instance without any: %v, %v", keys, err)
		}
	})
}

func TestRotateWaitsForNoStorageThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		ringOf(t, m)
		hang := make(chan struct{})
		storage.with(func(s *memory) { s.hang = hang })
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		made, err := m.Rotate(impatient, true)
		if err == nil {
			t.Error("expected an error of Rotate, seen none")
		}
		if made {
			t.Error("expected no key, seen that one was made")
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("expected Rotate to wait for a second at most, seen %v", took)
		}
		keys, err := m.Keys(impatient)
		if err == nil {
			t.Error("expected an error of Keys, seen none")
		}
		if keys != nil {
			t.Errorf("expected no keys, seen %+v", keys)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("expected Keys to wait for a second at most, seen %v", took)
		}
		storage.with(func(s *memory) { s.hang = nil })
		close(hang)
		synctest.Wait()
		ringOf(t, m)
	})
}

// TestAKeyIsYoungerThanThoseBefore checks that a new key counts as newer even if it was
// created in the same second, or by a clock that is behind.
func TestAKeyIsYoungerThanThoseBefore(t *testing.T) {
	for _, behind := range []time.Duration{0, 20 * time.Second} {
		t.Run(fmt.Sprintf("a clock that is %v behind", behind), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				for range 8 { // the order of the two keys used to be random
					storage := newMemory()
					var offset atomic.Int64
					offset.Store(-int64(behind))
					a, b := storage.instance(time.Now), storage.instance(clockAt(&offset))
					session := sealOn(t, a)
					if !rotate(t, b, false) {
						t.Fatal("no key was made")
					}
					wantOpens(t, "at first", b, session, false)
					time.Sleep(published + time.Minute)
					refresh(t, a, b)
					for _, m := range []*Managed{a, b} {
						keys := keysOf(t, m)
						wantOpens(t, "when it was published", m, session, true)
						if !keys[0].OpensUntil.IsZero() {
							t.Errorf("expected the new key to open without an end, seen %v", keys[0].OpensUntil)
						}
						if keys[1].OpensUntil.IsZero() {
							t.Errorf("expected the old key to open until some time, seen %+v", keys[1])
						}
					}
				}
			})
		})
	}
}

func TestAKeyFromTheFutureDoesNotStopRotate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		var offset atomic.Int64
		m := storage.instance(clockAt(&offset))
		ringOf(t, m)
		offset.Store(int64(4 * 365 * day))
		rotate(t, m, false)
		offset.Store(0)
		time.Sleep(time.Hour)
		if !rotate(t, m, false) {
			t.Error("no key was made")
		}
	})
}

func TestIDsAreThoseInSealedValues(t *testing.T) {
	t.Parallel()
	ring := newRing(t, secretA, goldenSecret)
	ids := ring.IDs()
	if len(ids) != 2 {
		t.Fatalf("expected two ids, seen %q", ids)
	}
	if ids[0] == ids[1] {
		t.Errorf("expected two different ids, seen %q", ids)
	}
	for _, id := range ids {
		if !regexp.MustCompile(`^[0-9a-f]{8}$`).MatchString(id) {
			t.Errorf("expected an id of eight hexadecimal digits, seen %q", id)
		}
	}
	sealed, err := strict.DecodeString(ring.Seal(ForSession, "p", nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := sealed[1:headerSize]; ids[0] != hex.EncodeToString(got) {
		t.Errorf("%x in the value, %s by name", got, ids[0])
	}
}

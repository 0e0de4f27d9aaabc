package revocation

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// randomEvent returns an event about a random session.
func randomEvent(r *rand.Rand) Event {
	var id session.ID
	binary.LittleEndian.PutUint64(id[:8], r.Uint64())
	binary.LittleEndian.PutUint64(id[8:], r.Uint64())
	return ForSession(id, moment0, moment0.Add(time.Duration(r.IntN(400*24))*time.Hour))
}

// agree checks that the index has the same events as a map.
func agree(t *testing.T, k *index, model map[eventKey]moment) {
	t.Helper()
	later, found := int64(0), 0
	for key, want := range model {
		if got, ok := k.find(key, false); !ok || got != want {
			t.Fatalf("%x: %+v, %v, want %+v", key, got, ok, want)
		}
		if want.later() {
			later++
		}
	}
	if table := k.table.Load(); table != nil {
		for number := range table.buckets {
			found += len(table.bucket(uint64(number)))
		}
	}
	if k.len() != len(model) {
		t.Fatalf("expected %d events, seen %d", len(model), k.len())
	}
	if found != len(model) {
		t.Fatalf("expected %d events in buckets, seen %d", len(model), found)
	}
	if n := k.later.Load(); n != later {
		t.Fatalf("expected %d later events, seen %d", later, n)
	}
}

// FuzzIndex changes an index and a map in the same way. The first byte of a step selects
// the kind of keys: few, with the same hash before it had a secret, or many. It may also
// select a sweep.
func FuzzIndex(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 0, 1, 9, 9, 3, 0, 0, 5})
	f.Add([]byte{2, 255, 1, 1, 2, 255, 9, 0, 3, 3, 0, 0, 2, 9, 9, 9, 3, 9, 0, 0})
	f.Add([]byte{1, 1, 5, 5, 1, 2, 5, 5, 1, 3, 0, 0, 3, 4, 0, 0})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var k index
		model := make(map[eventKey]moment)
		for ; len(steps) >= 4; steps = steps[4:] {
			at, until := moment0.Add(time.Duration(steps[2])*time.Minute), moment0.Add(time.Duration(steps[3])*time.Minute)
			event := Event{at: at, until: until, later: steps[2]%2 == 1}
			many := 1
			switch steps[0] % 4 {
			case 0:
				event.key[0] = steps[1]
			case 1: // they all shared a bucket while the hash had no secret
				event.key[0], event.key[12] = steps[1], steps[1]
			case 2:
				many = 1 + 8*int(steps[1])
			case 3:
				now := moment0.Add(time.Duration(steps[1]) * time.Minute)
				k.sweep(now)
				for key, m := range model {
					if m.over(now.Unix()) {
						delete(model, key)
					}
				}
				agree(t, &k, model)
				continue
			}
			for i := range many {
				if many > 1 {
					binary.LittleEndian.PutUint64(event.key[3:], uint64(i)*0x9e3779b97f4a7c15)
				}
				k.add(event)
				m := event.moment()
				if old, present := model[event.key]; present {
					m = m.with(old)
				}
				model[event.key] = m
			}
			if absent := (eventKey{15: 200}); model[absent] == (moment{}) {
				if _, ok := k.find(absent, false); ok {
					t.Fatal("what was not added is there")
				}
			}
		}
		agree(t, &k, model)
	})
}

// TestManyEvents makes the table grow and shrink far more than a fuzzer does.
func TestManyEvents(t *testing.T) {
	t.Parallel()
	var k index
	model := make(map[eventKey]moment)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		event := randomEvent(r)
		event.later = r.IntN(2) == 0
		k.add(event)
		model[event.key] = event.moment()
	}
	agree(t, &k, model)
	for _, days := range []int{1, 200, 395, 401} {
		now := moment0.Add(time.Duration(days) * 24 * time.Hour)
		k.sweep(now)
		for key, m := range model {
			if m.over(now.Unix()) {
				delete(model, key)
			}
		}
		agree(t, &k, model)
		for range 1000 {
			if _, ok := k.find(randomEvent(r).key, false); ok {
				t.Fatal("what was not added is there")
			}
		}
	}
	if n := len(k.table.Load().buckets); n != fewestBuckets {
		t.Errorf("%d buckets for nothing", n)
	}
}

// TestEventsAreFoundWhileOthersChangeThem checks that an event is always found, whatever
// changes concurrently.
func TestEventsAreFoundWhileOthersChangeThem(t *testing.T) {
	t.Parallel()
	var k index
	stays := ForSession(session.NewID(), moment0, moment0.Add(1000*24*time.Hour))
	k.add(stays)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if _, ok := k.find(stays.key, false); !ok {
						t.Error("missing")
						return
					}
				}
			}
		})
	}
	for seed := range 2 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(seed), 3))
			for i := range 5000 {
				k.add(randomEvent(r))
				if i%500 == 0 {
					k.sweep(moment0.Add(time.Duration(i) * time.Hour))
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

func manyEvents(count int) []Event {
	r := rand.New(rand.NewPCG(4, 5))
	events := make([]Event, count)
	for i := range events {
		events[i] = randomEvent(r)
		events[i].later = i%2 == 0
	}
	return events
}

// TestWhatAnEventCosts is not parallel, because allocations of other tests would count.
func TestWhatAnEventCosts(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 7))
	var before, after runtime.MemStats
	// The worst cases are a table that is about to grow, and one that has just grown.
	for _, count := range []int{fullBucket*1024 - 1, fullBucket*1024 + 1} {
		var k index
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range count {
			k.add(randomEvent(r))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if each := float64(after.HeapAlloc-before.HeapAlloc) / float64(k.len()); each > 42 {
			t.Errorf("each of %d events takes %.1f bytes", count, each)
		} else {
			t.Logf("each of %d events takes %.1f bytes", count, each)
		}
		runtime.KeepAlive(&k)
	}
}

func BenchmarkIndex(b *testing.B) {
	events := manyEvents(1_000_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	var k index
	k.add(events...)
	added := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	r := rand.New(rand.NewPCG(8, 9))
	absent := make([]eventKey, 1<<16)
	for i := range absent {
		absent[i] = randomEvent(r).key
	}
	s := living()
	target := TargetOf(s, issuer)
	b.Run("absent", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if k.hasSession(absent[i&(1<<16-1)]) {
				b.Fatal("there")
			}
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
		b.ReportMetric(float64(added.Nanoseconds())/1e6, "ns/added")
	})
	b.Run("present", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, ok := k.find(events[i*7919%len(events)].key, false); !ok {
				b.Fatal("absent")
			}
		}
	})
	b.Run("marks", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k.Revoked(&target)
		}
	})
	b.Run("marks in parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				k.Revoked(&target)
			}
		})
	})
	b.Run("session", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k.RevokedSession(s, issuer)
		}
	})
	b.Run("marks of a session", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			TargetOf(s, issuer)
		}
	})
	b.Run("sweep", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			k.sweep(moment0.Add(time.Duration(i) * time.Minute))
		}
	})
}

func BenchmarkPack(b *testing.B) {
	events := forPacks(manyEvents(packFull), moment0)[0]
	data := encodePack(events)
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			if _, ok := parsePack(data); !ok {
				b.Fatal("broken")
			}
		}
		b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(float64(len(data))/float64(len(events)), "bytes/event")
	})
	b.Run("parse and add", func(b *testing.B) {
		for b.Loop() {
			var k index
			events, _ := parsePack(data)
			k.add(events...)
		}
		b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

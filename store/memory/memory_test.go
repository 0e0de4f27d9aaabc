package memory

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/storetest"
)

// newStore returns a store with its own memory.
func newStore(t testing.TB, maxRecords int) (*Memory, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s := &Memory{MaxRecords: maxRecords, logger: zap.New(core), memory: newMemory(time.Now)}
	s.memory.attach(s)
	t.Cleanup(func() { _ = s.memory.Destruct() })
	return s, logs
}

func TestStore(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, defaultMax)
	storetest.Run(t, func(*testing.T) storetest.Pair {
		return storetest.Pair{A: s, B: s, Shortest: 50 * time.Millisecond}
	})
}

func save(t testing.TB, s *Memory, key string, lifetime time.Duration) {
	t.Helper()
	if err := s.Save(t.Context(), key, []byte("the record of "+key), time.Now().Add(lifetime)); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

// kept returns which of the keys have a record.
func kept(t testing.TB, s *Memory, keys ...string) (have string) {
	t.Helper()
	records, err := s.Load(t.Context(), keys...)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	for i, key := range keys {
		if records[i] != nil {
			have += key
		}
	}
	return have
}

func TestWhatExpiresFirstGoesFirst(t *testing.T) {
	t.Parallel()
	s, logs := newStore(t, 3)
	save(t, s, "a", 3*time.Hour)
	save(t, s, "b", 1*time.Hour)
	save(t, s, "c", 4*time.Hour)
	if have := kept(t, s, "a", "b", "c"); have != "abc" {
		t.Errorf("expected the records abc, seen %s", have)
	}
	if n := logs.Len(); n != 0 {
		t.Errorf("expected no log lines, seen %d", n)
	}
	save(t, s, "c", 4*time.Hour) // replaces itself
	save(t, s, "d", 2*time.Hour)
	if have := kept(t, s, "a", "b", "c", "d"); have != "acd" {
		t.Errorf("kept %s, want acd", have)
	}
	save(t, s, "d", 5*time.Hour) // a new expiry changes its place
	save(t, s, "e", 6*time.Hour)
	if have := kept(t, s, "a", "b", "c", "d", "e"); have != "cde" {
		t.Errorf("kept %s, want cde", have)
	}
	save(t, s, "f", time.Hour) // expires first itself
	if have := kept(t, s, "c", "d", "e", "f"); have != "cde" {
		t.Errorf("kept %s, want cde", have)
	}
}

func TestFullIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, logs := newStore(t, 10)
		for i := range 600 {
			save(t, s, fmt.Sprintf("%d", i), time.Hour)
			time.Sleep(time.Second)
		}
		if n := logs.Len(); n != 10 {
			t.Errorf("expected ten lines in ten minutes, seen %d", n)
		}
		for _, entry := range logs.All() {
			if entry.Level != zapcore.WarnLevel {
				t.Errorf("expected a warning, seen the level %v", entry.Level)
			}
		}
	})
}

func TestExpiredRecordsAreSwept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, logs := newStore(t, defaultMax)
		for i := range 3 * sweepAtOnce {
			save(t, s, fmt.Sprintf("short/%d", i), 90*time.Second)
		}
		save(t, s, "long", time.Hour)
		time.Sleep(sweepEvery + time.Second)
		if n := s.memory.count.Load(); n != 3*sweepAtOnce+1 {
			t.Errorf("%d records before they expire", n)
		}
		time.Sleep(sweepEvery)
		if n := s.memory.count.Load(); n != 1 {
			t.Errorf("expected one record, seen %d", n)
		}
		if have := kept(t, s, "long"); have != "long" {
			t.Errorf("expected the record long, seen %q", have)
		}
		if n := logs.Len(); n != 0 {
			t.Errorf("expected no log lines, seen %d", n)
		}
	})
}

// TestSweepingEnds would deadlock if the goroutine continued.
func TestSweepingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(time.Now)
		s := &Memory{MaxRecords: 1, logger: zap.NewNop(), memory: m}
		m.attach(s)
		save(t, s, "a", time.Hour)
		m.detach(s)
		if err := m.Destruct(); err != nil {
			t.Fatal(err)
		}
		save(t, s, "b", 2*time.Hour) // by a request that is still running
		if have := kept(t, s, "a", "b"); have != "b" {
			t.Errorf("kept %s after the last configuration has ended", have)
		}
	})
}

func TestCountIsExact(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, 100)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 500 {
				key := fmt.Sprintf("%d", (i*7+g)%150)
				switch i % 5 {
				case 0:
					_ = s.Delete(context.Background(), key)
				case 1:
					_ = s.Save(context.Background(), key, []byte("r"), time.Now())
				default:
					_ = s.Save(context.Background(), key, []byte("r"), time.Now().Add(time.Hour+time.Duration(i)))
				}
			}
		})
	}
	all.Wait()
	records := 0
	for i := range s.memory.shards {
		shard := &s.memory.shards[i]
		records += len(shard.records)
		if len(shard.ends) != len(shard.records) {
			t.Errorf("shard %d has %d records and %d ends", i, len(shard.records), len(shard.ends))
		}
	}
	n := s.memory.count.Load()
	if int(n) != records {
		t.Errorf("expected a count of %d records, seen %d", records, n)
	}
	if n > 100 {
		t.Errorf("expected 100 records at most, seen %d", n)
	}
}

// keyOf returns a key of 40 bytes.
func keyOf(i int) string { return fmt.Sprintf("session/%032d", i) }

// heapOf saves records and returns the additional heap for each.
func heapOf(t testing.TB, records, size int) (each float64) {
	s, _ := newStore(t, defaultMax)
	used := func() float64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return float64(stats.HeapAlloc)
	}
	before := used()
	record := make([]byte, size)
	for i := range records {
		if err := s.Save(t.Context(), keyOf(i), record, time.Now().Add(12*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	each = (used() - before) / float64(records)
	runtime.KeepAlive(s)
	return each
}

// TestHeap is not parallel: it measures the heap.
func TestHeap(t *testing.T) {
	const records = 100_000
	each := heapOf(t, records, 750)
	t.Logf("%.0f bytes of heap for a record of 750 bytes", each)
	if total := each * records / (1 << 20); total > 100 {
		t.Errorf("%d records take %.1f MiB of heap, want 100 at most", records, total)
	}
}

func TestLoadAllocatesItsAnswerAlone(t *testing.T) {
	s, _ := newStore(t, defaultMax)
	keys := []string{"a", "b", "c", "absent"}
	for _, key := range keys[:3] {
		save(t, s, key, time.Hour)
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Load(ctx, keys...) }); n > 1 {
		t.Errorf("Load of four keys allocates %v times", n)
	}
}

func BenchmarkLoad(b *testing.B) {
	s, _ := newStore(b, defaultMax)
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = keyOf(i)
		save(b, s, keys[i], time.Hour)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = s.Load(ctx, keys[i%len(keys)])
	}
}

func BenchmarkSaveWhereFull(b *testing.B) {
	s, _ := newStore(b, 10_000)
	ctx, record := b.Context(), []byte(strings.Repeat("r", 750))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_ = s.Save(ctx, keyOf(i), record, time.Now().Add(time.Hour))
	}
}

// The version changes with every change, even if a record is removed to make room.
func TestVersionGrowsWithEveryChange(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t, 2)
	last := s.Version()
	grown := func(what string, want bool) {
		t.Helper()
		now := s.Version()
		if now == 0 {
			t.Errorf("%s: expected a version, seen none", what)
		}
		if grew := now > last; grew != want {
			t.Errorf("%s: expected the version to grow %t, seen %d after %d", what, want, now, last)
		}
		last = s.Version()
	}
	save(t, s, "a", time.Minute)
	grown("saved", true)
	if _, err := s.Load(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	grown("loaded", false)
	if done, err := s.Replace(t.Context(), "a", []byte("not what is there"), []byte("x"), time.Now().Add(time.Hour)); done || err != nil {
		t.Fatal(done, err)
	}
	grown("not replaced", false)
	save(t, s, "b", time.Hour)
	save(t, s, "c", time.Hour)
	grown("pushed out", true)
	if err := s.Delete(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	grown("deleted", true)
}

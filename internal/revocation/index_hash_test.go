package revocation

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"
)

// chosenEvents returns events whose keys would all share a bucket if the hash had no
// secret, as it once did: the halves of each key cancel each other out. An attacker can
// find sids with such keys by trial.
func chosenEvents(count int) []Event {
	r := rand.New(rand.NewPCG(20, 21))
	events := make([]Event, count)
	for i := range events {
		low := r.Uint64()
		events[i] = Event{at: moment0, until: moment0.Add(time.Hour), later: true}
		binary.LittleEndian.PutUint64(events[i].key[:8], low)
		binary.LittleEndian.PutUint64(events[i].key[8:], bits.RotateLeft64(low, 32))
	}
	return events
}

// longestBucket returns the maximum number of entries that a lookup compares.
func (k *index) longestBucket() (longest int) {
	t := k.table.Load()
	for number := range t.buckets {
		longest = max(longest, len(t.bucket(uint64(number))))
	}
	return longest
}

// An attacker cannot choose sessions that share a bucket.
func TestChosenKeysAreSpread(t *testing.T) {
	t.Parallel()
	events := chosenEvents(20_000)
	var one, two index
	one.add(events...)
	two.add(events...)
	// With 16 keys per bucket on average, 80 in one bucket are practically impossible.
	for _, k := range []*index{&one, &two} {
		if longest := k.longestBucket(); longest > 80 {
			t.Errorf("a bucket has %d of %d", longest, len(events))
		}
	}
	same := 0
	for _, event := range events {
		a, b := one.table.Load(), two.table.Load()
		if a.hash(&event.key)>>a.shift == b.hash(&event.key)>>b.shift {
			same++
		}
	}
	if same > len(events)/100 {
		t.Errorf("two tables have %d of %d keys in the same place", same, len(events))
	}
}

func BenchmarkChosenKeys(b *testing.B) {
	for name, events := range map[string][]Event{"chosen": chosenEvents(20_000), "random": manyEvents(20_000)} {
		b.Run(name, func(b *testing.B) {
			var k index
			k.add(events...)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, ok := k.find(events[i*7919%len(events)].key, false); !ok {
					b.Fatal("absent")
				}
			}
			b.ReportMetric(float64(k.longestBucket()), "longest")
		})
	}
}

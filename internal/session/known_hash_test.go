package session

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"
)

// chosenFacts are facts whose keys were all in one bucket while their places had
// no secret: the halves of each cancel each other out. A stranger finds sids with
// such keys by trying.
func chosenFacts(count int) []Fact {
	r := rand.New(rand.NewPCG(20, 21))
	facts := make([]Fact, count)
	for i := range facts {
		low := r.Uint64()
		facts[i] = Fact{at: moment0, until: moment0.Add(time.Hour), later: true}
		binary.LittleEndian.PutUint64(facts[i].key[:8], low)
		binary.LittleEndian.PutUint64(facts[i].key[8:], bits.RotateLeft64(low, 32))
	}
	return facts
}

// longestBucket is the most that one look has to go through.
func (k *known) longestBucket() (longest int) {
	t := k.table.Load()
	for number := range t.buckets {
		longest = max(longest, len(t.bucket(uint64(number))))
	}
	return longest
}

// Fault B4. Nobody can choose sessions that share a bucket.
func TestChosenKeysAreSpread(t *testing.T) {
	t.Parallel()
	facts := chosenFacts(20_000)
	var one, two known
	one.add(facts...)
	two.add(facts...)
	// Of 16 for each bucket on average, 80 at once are as good as impossible.
	for _, k := range []*known{&one, &two} {
		if longest := k.longestBucket(); longest > 80 {
			t.Errorf("a bucket has %d of %d", longest, len(facts))
		}
	}
	same := 0
	for _, fact := range facts {
		a, b := one.table.Load(), two.table.Load()
		if a.hash(&fact.key)>>a.shift == b.hash(&fact.key)>>b.shift {
			same++
		}
	}
	if same > len(facts)/100 {
		t.Errorf("two tables have %d of %d keys in the same place", same, len(facts))
	}
}

func BenchmarkChosenKeys(b *testing.B) {
	for name, facts := range map[string][]Fact{"chosen": chosenFacts(20_000), "random": manyFacts(20_000)} {
		b.Run(name, func(b *testing.B) {
			var k known
			k.add(facts...)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, ok := k.find(facts[i*7919%len(facts)].key, false); !ok {
					b.Fatal("absent")
				}
			}
			b.ReportMetric(float64(k.longestBucket()), "longest")
		})
	}
}

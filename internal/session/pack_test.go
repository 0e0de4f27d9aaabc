package session

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestPackNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"pack-29000000-0123456789abcdef-1": true, "pack-0-0123456789abcdef-12": true,
		"29000000": false, "pack-29000000": false, "pack-29000000-0123456789abcdef-1.tmp": false, ".pack-1-0123456789abcdef-1": false,
		"pack-x-0123456789abcdef-1": false, "pack-1-0123456789ABCDEF-1": false, "pack-1-0123456789abcdef-": false, "0123456789abcdef-1": false, "": false,
	} {
		if isPack(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestPacksOfFacts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(10, 11))
	over := moment0.Add(100 * 24 * time.Hour)
	for _, count := range []int{0, 1, 2, packFull, packFull + 1, 3*packFull - 1} {
		facts := make([]Fact, count)
		left := 0
		for i := range facts {
			facts[i] = randomFact(r)
			facts[i].later = r.IntN(2) == 0
			if !facts[i].until.Before(over) {
				left++
			}
		}
		var k known
		k.add(facts...)
		got := 0
		for _, pack := range forPacks(slices.Concat(facts, facts), over) {
			data := encodePack(pack)
			parsed, ok := parsePack(data)
			if !ok || len(parsed) != len(pack) || len(data) > 256<<10 || len(pack) > packFull || left > packFull && len(pack) < packFull/2 {
				t.Fatalf("%d of %d facts in %d bytes, read again: %d, %v", len(pack), count, len(data), len(parsed), ok)
			}
			for i, fact := range parsed {
				if m, ok := k.find(fact.key, false); !ok || m != fact.moment() || fact.until.Unix() < over.Unix() {
					t.Fatalf("%+v, was %+v, %v", fact, m, ok)
				}
				if i > 0 && fact.until.Before(parsed[i-1].until) {
					t.Fatal("not in order")
				}
			}
			got += len(parsed)
		}
		if got != left {
			t.Errorf("%d of %d facts are left", got, left)
		}
	}
}

func TestAPackThatIsNotWhole(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(12, 13))
	data := encodePack([]Fact{randomFact(r), randomFact(r)})
	for length := range data {
		if _, ok := parsePack(data[:length]); ok {
			t.Errorf("cut to %d bytes it passes", length)
		}
	}
	for i := range data {
		changed := slices.Clone(data)
		changed[i] ^= 1
		if _, ok := parsePack(changed); ok {
			t.Errorf("with another byte %d it passes", i)
		}
	}
	if _, ok := parsePack(append(slices.Clone(data), 0)); ok {
		t.Error("with more at the end it passes")
	}
}

func FuzzPack(f *testing.F) {
	r := rand.New(rand.NewPCG(14, 15))
	sum := func(data []byte) []byte { return data[:len(data)-packSum] }
	for _, seed := range [][]byte{nil, []byte(packHead), sum(encodePack(nil)), sum(encodePack([]Fact{randomFact(r), randomFact(r)})), sum(encodePack([]Fact{randomFact(r), EndedSubject(issuer, "ada", moment0, moment0).Issued(moment0, moment0)}))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		parsePack(body)
		facts, ok := parsePack(sealPack(slices.Clone(body)))
		if !ok {
			return
		}
		again, ok := parsePack(encodePack(facts))
		if !ok || !slices.EqualFunc(facts, again, func(a, b Fact) bool {
			return a.key == b.key && a.later == b.later && a.until.Unix() == b.until.Unix() && a.at.UnixMilli() == b.at.UnixMilli() && a.issued.Equal(b.issued)
		}) {
			t.Errorf("%d facts come back as %d, %v", len(facts), len(again), ok)
		}
		forPacks(facts, moment0)
	})
}

// encoded is a record of facts about one key.
func encoded(facts ...Fact) []byte {
	var r record
	for _, fact := range facts {
		r.add(fact)
	}
	return r.encode()
}

func FuzzDecodeRecord(f *testing.F) {
	fact := EndedSubject(issuer, "ada", moment0, moment0.Add(time.Hour))
	for _, seed := range [][]byte{nil, {recordVersion}, encoded(fact), encoded(fact)[:5], encoded(fact, fact.Issued(moment0, moment0)), encoded(fact.Issued(moment0, moment0))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		found, ok := decodeRecord(record)
		if !ok {
			return
		}
		if again, ok := decodeRecord(found.encode()); !ok || again != found {
			t.Errorf("%+v comes back as %+v, %v", found, again, ok)
		}
	})
}

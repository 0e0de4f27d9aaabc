package revocation

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

func TestPacksOfEvents(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(10, 11))
	over := moment0.Add(100 * 24 * time.Hour)
	for _, count := range []int{0, 1, 2, packFull, packFull + 1, 3*packFull - 1} {
		events := make([]Event, count)
		left := 0
		for i := range events {
			events[i] = randomEvent(r)
			events[i].later = r.IntN(2) == 0
			if !events[i].until.Before(over) {
				left++
			}
		}
		var k index
		k.add(events...)
		got := 0
		for _, pack := range forPacks(slices.Concat(events, events), over) {
			data := encodePack(pack)
			parsed, ok := parsePack(data)
			if !ok {
				t.Fatalf("expected a pack of %d events to be read again, seen that it is not", len(pack))
			}
			if len(parsed) != len(pack) {
				t.Fatalf("expected %d events again, seen %d", len(pack), len(parsed))
			}
			if len(data) > 256<<10 {
				t.Fatalf("expected packs of %d bytes at most, seen %d", 256<<10, len(data))
			}
			if len(pack) > packFull {
				t.Fatalf("expected packs of %d events at most, seen %d", packFull, len(pack))
			}
			if left > packFull && len(pack) < packFull/2 {
				t.Fatalf("expected packs of %d events at least, seen %d of %d", packFull/2, len(pack), count)
			}
			for i, event := range parsed {
				m, ok := k.find(event.key, false)
				if !ok {
					t.Fatalf("expected only events that were packed, seen %+v", event)
				}
				if m != event.moment() {
					t.Fatalf("expected the moment %+v, seen %+v", m, event.moment())
				}
				if event.until.Unix() < over.Unix() {
					t.Fatalf("expected events that last until %v at least, seen %+v", over, event)
				}
				if i > 0 && event.until.Before(parsed[i-1].until) {
					t.Fatal("not in order")
				}
			}
			got += len(parsed)
		}
		if got != left {
			t.Errorf("%d of %d events are left", got, left)
		}
	}
}

func TestAPackThatIsNotWhole(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(12, 13))
	data := encodePack([]Event{randomEvent(r), randomEvent(r)})
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
	for _, seed := range [][]byte{nil, []byte(packHead), sum(encodePack(nil)), sum(encodePack([]Event{randomEvent(r), randomEvent(r)})), sum(encodePack([]Event{randomEvent(r), ForSubject(issuer, "ada", moment0, moment0).Issued(moment0, moment0)}))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		parsePack(body)
		events, ok := parsePack(sealPack(slices.Clone(body)))
		if !ok {
			return
		}
		again, ok := parsePack(encodePack(events))
		if !ok || !slices.EqualFunc(events, again, func(a, b Event) bool {
			return a.key == b.key && a.later == b.later && a.until.Unix() == b.until.Unix() && a.at.UnixMilli() == b.at.UnixMilli() && a.issued.Equal(b.issued)
		}) {
			t.Errorf("%d events come back as %d, %v", len(events), len(again), ok)
		}
		forPacks(events, moment0)
	})
}

// encoded returns a record of events about one key.
func encoded(events ...Event) []byte {
	var r record
	for _, event := range events {
		r.add(event)
	}
	return r.encode()
}

func FuzzDecodeRecord(f *testing.F) {
	event := ForSubject(issuer, "ada", moment0, moment0.Add(time.Hour))
	for _, seed := range [][]byte{nil, {recordVersion}, encoded(event), encoded(event)[:5], encoded(event, event.Issued(moment0, moment0)), encoded(event.Issued(moment0, moment0))} {
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

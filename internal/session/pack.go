package session

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// A pack is many facts in one immutable file: a line that says what it is, how
// many there are, the facts in the order in which they are over, and a
// checksum, without which it counts as nothing.
//
// Packs that hold a provider's word, with its iat, have another name and head
// than the others: earlier releases remove packs that they cannot read.
const (
	packPrefix    = "pack-"
	packHead      = "oidc_rp facts 1\n"
	datedPrefix   = "dated-"
	datedPackHead = "oidc_rp facts 2\n"

	packSum = 16
	// packFull is how many facts a pack has at most: about 250 KiB, since some
	// storages take no values beyond 400 or 512 KiB.
	packFull = 10_000
	// leastFact is how many bytes the shortest fact has.
	leastFact = len(factKey{}) + 3
)

// isPack says whether a name is one that a node gives to a pack. A release
// that writes them in another way gives them names of another kind.
func isPack(base string) bool {
	rest, ok := strings.CutPrefix(base, packPrefix)
	if !ok {
		rest, ok = strings.CutPrefix(base, datedPrefix)
	}
	minute, file, also := strings.Cut(rest, "-")
	_, err := strconv.ParseInt(minute, 10, 64)
	return ok && also && err == nil && isFile(file)
}

// The kinds of facts in packs.
const (
	packedWhole = 0
	packedEarly = 1
	packedByIAT = 2
)

// isDated reports whether one of the facts is a provider's word.
func isDated(facts []Fact) bool {
	return slices.ContainsFunc(facts, func(f Fact) bool { return !f.issued.IsZero() })
}

// encodePack makes a pack of facts that are in order.
func encodePack(facts []Fact) []byte {
	w := wire.Writer{B: make([]byte, 0, len(packHead)+packSum+32*(1+len(facts)))}
	head := packHead
	if isDated(facts) {
		head = datedPackHead
	}
	w.Raw([]byte(head))
	w.Uvarint(uint64(len(facts)))
	var last int64
	for _, fact := range facts {
		w.Raw(fact.key[:])
		kind := kindOf(fact.later)
		if !fact.issued.IsZero() {
			kind = packedByIAT
		}
		w.Byte(kind)
		until := fact.until.Unix()
		w.Varint(until - last)
		w.Varint(fact.at.UnixMilli() - until*1000)
		if kind == packedByIAT {
			w.Varint(fact.issued.Unix() - until)
		}
		last = until
	}
	return sealPack(w.B)
}

func sealPack(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(body, sum[:packSum]...)
}

// parsePack reads a pack. It is not ok when any of it is missing or damaged.
func parsePack(data []byte) (facts []Fact, ok bool) {
	body := len(data) - packSum
	if body < len(packHead) {
		return nil, false
	}
	if sum := sha256.Sum256(data[:body]); !bytes.Equal(sum[:packSum], data[body:]) {
		return nil, false
	}
	r := wire.Reader{S: string(data[:body])}
	head, count := r.Raw(len(packHead)), r.Uvarint()
	if head != packHead && head != datedPackHead || count > uint64(len(r.S)/leastFact) {
		return nil, false
	}
	facts = make([]Fact, count)
	var until int64
	for i := range facts {
		fact := &facts[i]
		copy(fact.key[:], r.Raw(len(fact.key)))
		kind := r.Byte()
		fact.later = kind != packedWhole
		until += r.Varint()
		fact.until, fact.at = time.Unix(until, 0), time.UnixMilli(r.Varint()+until*1000)
		if head == datedPackHead && kind == packedByIAT {
			fact.issued = time.Unix(max(r.Varint()+until, 1), 0)
		}
	}
	return facts, !r.Bad && r.S == ""
}

func kindOf(later bool) byte {
	if later {
		return packedEarly
	}
	return packedWhole
}

// forPacks brings facts into the order of packs, each key once, without those
// that were over at that time, and cuts them into as few packs as will hold
// them, of one size, so that none is so small that it would soon be packed
// again.
func forPacks(facts []Fact, over time.Time) [][]Fact {
	slices.SortFunc(facts, func(a, b Fact) int {
		return cmp.Or(bytes.Compare(a.key[:], b.key[:]), cmp.Compare(kindOf(a.issued.IsZero()), kindOf(b.issued.IsZero())))
	})
	merged := facts[:0]
	for _, fact := range facts {
		if n := len(merged); n > 0 && merged[n-1].key == fact.key && merged[n-1].issued.IsZero() == fact.issued.IsZero() {
			merged[n-1] = merged[n-1].with(fact)
			continue
		}
		merged = append(merged, fact)
	}
	merged = slices.DeleteFunc(merged, func(f Fact) bool { return f.until.Before(over) })
	slices.SortFunc(merged, func(a, b Fact) int {
		return cmp.Or(a.until.Compare(b.until), bytes.Compare(a.key[:], b.key[:]))
	})
	packs := (len(merged) + packFull - 1) / packFull
	cut := make([][]Fact, packs)
	for i := range cut {
		cut[i] = merged[i*len(merged)/packs : (i+1)*len(merged)/packs]
	}
	return cut
}

// with returns the stricter of two facts with one key, by one clock, in each
// respect; see moment.with.
func (f Fact) with(other Fact) Fact {
	if other.issued.After(f.issued) || other.issued.Equal(f.issued) && other.at.After(f.at) {
		f.at, f.issued, f.earlier = other.at, other.issued, other.earlier
	}
	if other.until.After(f.until) {
		f.until = other.until
	}
	f.later = f.later && other.later
	return f
}

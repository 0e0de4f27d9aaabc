package revocation

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

// A pack is an immutable file of many events: a header that names the format, the
// number of events, the events sorted by expiry, and a checksum. A pack without a
// valid checksum is ignored.
//
// Packs with events that the provider dated have another name and header, since
// earlier releases delete packs that they cannot read.
const (
	packPrefix    = "pack-"
	packHead      = "oidc_rp facts 1\n"
	datedPrefix   = "dated-"
	datedPackHead = "oidc_rp facts 2\n"

	packSum = 16
	// packFull is the maximum number of events in a pack: about 250 KiB, since some
	// storages limit values to 400 or 512 KiB.
	packFull = 10_000
	// leastEvent is the minimum size of an event in bytes.
	leastEvent = len(eventKey{}) + 3
)

// isPack reports whether a name is that of a pack. Packs in another format have
// other names.
func isPack(base string) bool {
	rest, ok := strings.CutPrefix(base, packPrefix)
	if !ok {
		rest, ok = strings.CutPrefix(base, datedPrefix)
	}
	minute, file, also := strings.Cut(rest, "-")
	_, err := strconv.ParseInt(minute, 10, 64)
	return ok && also && err == nil && isFile(file)
}

// Kinds of events in packs.
const (
	packedWhole = 0
	packedEarly = 1
	packedByIAT = 2
)

// isDated reports whether the provider dated one of the events.
func isDated(events []Event) bool {
	return slices.ContainsFunc(events, func(f Event) bool { return !f.issued.IsZero() })
}

// encodePack encodes sorted events.
func encodePack(events []Event) []byte {
	w := wire.Writer{B: make([]byte, 0, len(packHead)+packSum+32*(1+len(events)))}
	head := packHead
	if isDated(events) {
		head = datedPackHead
	}
	w.Raw([]byte(head))
	w.Uvarint(uint64(len(events)))
	var last int64
	for _, event := range events {
		w.Raw(event.key[:])
		kind := kindOf(event.later)
		if !event.issued.IsZero() {
			kind = packedByIAT
		}
		w.Byte(kind)
		until := event.until.Unix()
		w.Varint(until - last)
		w.Varint(event.at.UnixMilli() - until*1000)
		if kind == packedByIAT {
			w.Varint(event.issued.Unix() - until)
		}
		last = until
	}
	return sealPack(w.B)
}

func sealPack(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(body, sum[:packSum]...)
}

// parsePack parses a pack. ok is false if any of it is missing or damaged.
func parsePack(data []byte) (events []Event, ok bool) {
	body := len(data) - packSum
	if body < len(packHead) {
		return nil, false
	}
	if sum := sha256.Sum256(data[:body]); !bytes.Equal(sum[:packSum], data[body:]) {
		return nil, false
	}
	r := wire.Reader{S: string(data[:body])}
	head, count := r.Raw(len(packHead)), r.Uvarint()
	if head != packHead && head != datedPackHead || count > uint64(len(r.S)/leastEvent) {
		return nil, false
	}
	events = make([]Event, count)
	var until int64
	for i := range events {
		event := &events[i]
		copy(event.key[:], r.Raw(len(event.key)))
		kind := r.Byte()
		event.later = kind != packedWhole
		until += r.Varint()
		event.until, event.at = time.Unix(until, 0), time.UnixMilli(r.Varint()+until*1000)
		if head == datedPackHead && kind == packedByIAT {
			event.issued = time.Unix(max(r.Varint()+until, 1), 0)
		}
	}
	return events, !r.Bad && r.S == ""
}

func kindOf(later bool) byte {
	if later {
		return packedEarly
	}
	return packedWhole
}

// forPacks sorts events, merges those with the same key, and drops those that have
// expired at the given time. It divides them into as few packs as possible, of
// equal sizes, so that none is so small that it would soon be packed again.
func forPacks(events []Event, over time.Time) [][]Event {
	slices.SortFunc(events, func(a, b Event) int {
		return cmp.Or(bytes.Compare(a.key[:], b.key[:]), cmp.Compare(kindOf(a.issued.IsZero()), kindOf(b.issued.IsZero())))
	})
	merged := events[:0]
	for _, event := range events {
		if n := len(merged); n > 0 && merged[n-1].key == event.key && merged[n-1].issued.IsZero() == event.issued.IsZero() {
			merged[n-1] = merged[n-1].with(event)
			continue
		}
		merged = append(merged, event)
	}
	merged = slices.DeleteFunc(merged, func(f Event) bool { return f.until.Before(over) })
	slices.SortFunc(merged, func(a, b Event) int {
		return cmp.Or(a.until.Compare(b.until), bytes.Compare(a.key[:], b.key[:]))
	})
	packs := (len(merged) + packFull - 1) / packFull
	cut := make([][]Event, packs)
	for i := range cut {
		cut[i] = merged[i*len(merged)/packs : (i+1)*len(merged)/packs]
	}
	return cut
}

// with returns the stricter of two events with one key, by one clock, in each
// respect; see moment.with.
func (e Event) with(other Event) Event {
	if other.issued.After(e.issued) || other.issued.Equal(e.issued) && other.at.After(e.at) {
		e.at, e.issued, e.earlier = other.at, other.issued, other.earlier
	}
	if other.until.After(e.until) {
		e.until = other.until
	}
	e.later = e.later && other.later
	return e
}

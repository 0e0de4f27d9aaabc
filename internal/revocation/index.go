package revocation

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// index holds the events in memory. Every request looks up keys, which are almost
// always absent. A key has at most two entries, since times by our clocks and by
// the provider's cannot be merged. Readers take no lock; writers replace a bucket
// or the table. An event costs less than 40 bytes.
type index struct {
	table atomic.Pointer[table]
	later atomic.Int64 // number of events that are not about single sessions

	mu    sync.Mutex // held by writers
	count int
}

// entry has 32 bytes, so that buckets waste no memory.
type entry struct {
	key eventKey
	moment
}

const (
	fewestBuckets = 16
	// fullBucket and sparseBucket are the average numbers of events per bucket at
	// which a table is too small or too large.
	fullBucket   = 16
	sparseBucket = 4
)

// table is a hash table. Its buckets are replaced, never changed. The hash is keyed
// with a secret of this process: clients can choose keys, since a front-channel
// logout may name any session of the provider, and must not be able to fill one
// bucket.
type table struct {
	seed    maphash.Seed
	shift   uint // hash >> shift is the index of the bucket
	buckets []atomic.Pointer[[]entry]
	// filter is a Bloom filter with two words for each bucket. An event sets three
	// bits in one of them, so that one load rules out nearly all absent keys.
	filter []atomic.Uint64
}

func newTable(buckets int, seed maphash.Seed) *table {
	return &table{
		seed:    seed,
		shift:   uint(64 - bits.TrailingZeros(uint(buckets))),
		buckets: make([]atomic.Pointer[[]entry], buckets),
		filter:  make([]atomic.Uint64, 2*buckets),
	}
}

// hash returns the keyed hash.
func (t *table) hash(key *eventKey) uint64 { return maphash.Bytes(t.seed, key[:]) }

// word and mask return the position of a hash in the filter.
func (t *table) word(h uint64) *atomic.Uint64 { return &t.filter[h>>(t.shift-1)] }
func mask(h uint64) uint64                    { return 1<<(h&63) | 1<<(h>>6&63) | 1<<(h>>12&63) }

func (t *table) bucket(number uint64) []entry {
	if b := t.buckets[number].Load(); b != nil {
		return *b
	}
	return nil
}

func (t *table) mark(h uint64) { t.word(h).Or(mask(h)) }

// find returns the moment of a key by our clocks or, if issued is set, by the
// provider's.
func (x *index) find(key eventKey, issued bool) (found moment, ok bool) {
	for _, e := range x.entries(&key) {
		if e.key == key && (e.issued != 0) == issued {
			return e.moment, true
		}
	}
	return moment{}, false
}

// entries returns the bucket of a key; nil if it cannot contain the key.
func (x *index) entries(key *eventKey) []entry {
	t := x.table.Load()
	if t == nil {
		return nil
	}
	h := t.hash(key)
	if m := mask(h); t.word(h).Load()&m != m {
		return nil
	}
	return t.bucket(h >> t.shift)
}

// addAfter adds events and returns them with their new dates: after all known
// events with the same key, so that they end what those spare.
func (x *index) addAfter(events []Event) []Event {
	dated := slices.Clone(events)
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range dated {
		if f := &dated[i]; f.later {
			for _, e := range x.entries(&f.key) {
				if e.key == f.key && e.later() && e.at >= f.at.UnixMilli() {
					f.at = time.UnixMilli(e.at + 1)
				}
			}
		}
		x.addOne(dated[i])
	}
	return dated
}

func (x *index) add(events ...Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, event := range events {
		x.addOne(event)
	}
}

// addOne adds an event. The caller holds the mutex.
func (x *index) addOne(event Event) {
	t := x.table.Load()
	switch {
	case t == nil:
		t = newTable(fewestBuckets, maphash.MakeSeed())
		x.table.Store(t)
	case x.count >= fullBucket*len(t.buckets):
		t = x.rebuild(t, 2*len(t.buckets), math.MinInt64)
	}
	m := event.moment()
	h := t.hash(&event.key)
	number := h >> t.shift
	old := t.bucket(number)
	i := slices.IndexFunc(old, func(e entry) bool { return e.key == event.key && (e.issued != 0) == (m.issued != 0) })
	if i < 0 {
		x.count++
		if m.later() {
			x.later.Add(1)
		}
		bucket := make([]entry, len(old)+1)
		copy(bucket, old)
		bucket[len(old)] = entry{event.key, m}
		t.buckets[number].Store(&bucket)
		t.mark(h)
		return
	}
	m = m.with(old[i].moment)
	if m == old[i].moment {
		return
	}
	if old[i].later() && !m.later() {
		x.later.Add(-1)
	}
	bucket := slices.Clone(old)
	bucket[i].moment = m
	t.buckets[number].Store(&bucket)
}

// sweep removes expired events.
func (x *index) sweep(now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.table.Load()
	if t == nil {
		return
	}
	kept, later := 0, int64(0)
	for number := range t.buckets {
		for _, e := range t.bucket(uint64(number)) {
			if !e.over(now.Unix()) {
				kept++
				if e.later() {
					later++
				}
			}
		}
	}
	if kept == x.count {
		return
	}
	x.count = kept
	buckets := len(t.buckets)
	for buckets > fewestBuckets && kept < sparseBucket*buckets {
		buckets /= 2
	}
	x.rebuild(t, buckets, now.Unix())
	x.later.Store(later)
}

// rebuild replaces the table by one of another size, without expired events. The
// caller holds the mutex.
func (x *index) rebuild(old *table, buckets int, now int64) *table {
	next := newTable(buckets, old.seed)
	var kept []entry
	for number := range buckets {
		first := number * len(old.buckets) / buckets
		last := max(first+1, (number+1)*len(old.buckets)/buckets)
		kept = kept[:0]
		for from := first; from < last; from++ {
			for _, e := range old.bucket(uint64(from)) {
				if h := next.hash(&e.key); !e.over(now) && h>>next.shift == uint64(number) {
					kept = append(kept, e)
					next.mark(h)
				}
			}
		}
		if len(kept) > 0 {
			bucket := slices.Clone(kept)
			next.buckets[number].Store(&bucket)
		}
	}
	x.table.Store(next)
	return next
}

// len returns the number of events.
func (x *index) len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.count
}

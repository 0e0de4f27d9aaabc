package session

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// known is the facts in memory: what every request asks, almost always for one
// that is not there. Who asks takes no lock and waits for nobody. Who changes
// something makes a new bucket, or a new table, and puts it in the place of
// the old one. A fact costs less than 40 bytes.
type known struct {
	table atomic.Pointer[table]
	later atomic.Int64 // how many are about subjects or provider's sessions

	mu    sync.Mutex // held by who changes any of this
	count int
}

// moment is what is known about a key.
type moment struct {
	at    int64  // in milliseconds
	until uint32 // in seconds
	later bool
}

// entry is 32 bytes, so that a bucket fills the memory that it is given.
type entry struct {
	key factKey
	moment
}

const (
	fewestBuckets = 16
	// fullBucket and sparseBucket are how many facts there are for each bucket,
	// on average, when a table is too small and too large.
	fullBucket   = 16
	sparseBucket = 4
)

// table is a hash table. Its buckets are never changed, only replaced.
type table struct {
	shift   uint // what makes of a hash the number of its bucket
	buckets []atomic.Pointer[[]entry]
	// filter has two words for each bucket. A fact sets three bits in one of
	// them, so that of what is absent nearly all is known to be by one look.
	filter []atomic.Uint64
}

func newTable(buckets int) *table {
	return &table{
		shift:   uint(64 - bits.TrailingZeros(uint(buckets))),
		buckets: make([]atomic.Pointer[[]entry], buckets),
		filter:  make([]atomic.Uint64, 2*buckets),
	}
}

// hash spreads keys, which are random or hashes already.
func (k factKey) hash() uint64 {
	return (binary.LittleEndian.Uint64(k[:8]) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(k[8:]), 32)) * 0x9e3779b97f4a7c15
}

// word and mask are a hash's place in the filter.
func (t *table) word(h uint64) *atomic.Uint64 { return &t.filter[h>>(t.shift-1)] }
func mask(h uint64) uint64                    { return 1<<(h&63) | 1<<(h>>6&63) | 1<<(h>>12&63) }

func (t *table) bucket(number uint64) []entry {
	if b := t.buckets[number].Load(); b != nil {
		return *b
	}
	return nil
}

func (t *table) mark(h uint64) { t.word(h).Or(mask(h)) }

func (k *known) find(key factKey) (moment, bool) {
	t := k.table.Load()
	if t == nil {
		return moment{}, false
	}
	h := key.hash()
	if m := mask(h); t.word(h).Load()&m != m {
		return moment{}, false
	}
	bucket := t.bucket(h >> t.shift)
	for i := range bucket {
		if bucket[i].key == key {
			return bucket[i].moment, true
		}
	}
	return moment{}, false
}

func (k *known) add(facts ...Fact) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, fact := range facts {
		k.addOne(fact)
	}
}

// addOne is add for who holds the mutex.
func (k *known) addOne(fact Fact) {
	t := k.table.Load()
	switch {
	case t == nil:
		t = newTable(fewestBuckets)
		k.table.Store(t)
	case k.count >= fullBucket*len(t.buckets):
		t = k.rebuild(t, 2*len(t.buckets), math.MinInt64)
	}
	m := fact.moment()
	h := fact.key.hash()
	number := h >> t.shift
	old := t.bucket(number)
	i := slices.IndexFunc(old, func(e entry) bool { return e.key == fact.key })
	if i < 0 {
		k.count++
		if m.later {
			k.later.Add(1)
		}
		bucket := make([]entry, len(old)+1)
		copy(bucket, old)
		bucket[len(old)] = entry{fact.key, m}
		t.buckets[number].Store(&bucket)
		t.mark(h)
		return
	}
	m = m.with(old[i].moment)
	if m == old[i].moment {
		return
	}
	if old[i].later && !m.later {
		k.later.Add(-1)
	}
	bucket := slices.Clone(old)
	bucket[i].moment = m
	t.buckets[number].Store(&bucket)
}

// sweep forgets the facts that are over.
func (k *known) sweep(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.table.Load()
	if t == nil {
		return
	}
	kept, later := 0, int64(0)
	for number := range t.buckets {
		for _, e := range t.bucket(uint64(number)) {
			if !e.over(now.Unix()) {
				kept++
				if e.later {
					later++
				}
			}
		}
	}
	if kept == k.count {
		return
	}
	k.count = kept
	buckets := len(t.buckets)
	for buckets > fewestBuckets && kept < sparseBucket*buckets {
		buckets /= 2
	}
	k.rebuild(t, buckets, now.Unix())
	k.later.Store(later)
}

// rebuild puts a table of another size, without what is over, in the place of
// the old one. The caller holds the mutex.
func (k *known) rebuild(old *table, buckets int, now int64) *table {
	next := newTable(buckets)
	var kept []entry
	for number := range buckets {
		first := number * len(old.buckets) / buckets
		last := max(first+1, (number+1)*len(old.buckets)/buckets)
		kept = kept[:0]
		for from := first; from < last; from++ {
			for _, e := range old.bucket(uint64(from)) {
				if h := e.key.hash(); !e.over(now) && h>>next.shift == uint64(number) {
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
	k.table.Store(next)
	return next
}

// len is how many facts are known.
func (k *known) len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.count
}

func (f Fact) moment() moment {
	return moment{f.at.UnixMilli(), uint32(min(max(f.until.Unix(), 0), math.MaxUint32)), f.later}
}

// with returns the stricter of two in each respect.
func (m moment) with(other moment) moment {
	return moment{max(m.at, other.at), max(m.until, other.until), m.later && other.later}
}

func (m moment) over(now int64) bool { return int64(m.until) < now }

// ends says whether the moment ends what began then.
func (m moment) ends(signedIn time.Time) bool { return !m.later || signedIn.UnixMilli() <= m.at }

package session

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// known is the facts in memory: what every request asks, almost always for one
// that is not there. A key has two entries at most, since what is dated by our
// clocks and what is dated by the provider's cannot be merged. Who asks takes no lock and waits for nobody. Who changes
// something makes a new bucket, or a new table, and puts it in the place of
// the old one. A fact costs less than 40 bytes.
type known struct {
	table atomic.Pointer[table]
	later atomic.Int64 // how many are about subjects or provider's sessions

	mu    sync.Mutex // held by who changes any of this
	count int
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

// table is a hash table. Its buckets are never changed, only replaced. Where a
// key is placed is a secret of this process: strangers can choose keys, since a
// front-channel logout may name any session of the provider's, and must not be
// able to choose many for one bucket.
type table struct {
	seed    maphash.Seed
	shift   uint // what makes of a hash the number of its bucket
	buckets []atomic.Pointer[[]entry]
	// filter has two words for each bucket. A fact sets three bits in one of
	// them, so that of what is absent nearly all is known to be by one look.
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

// hash depends on the table's secret.
func (t *table) hash(key *factKey) uint64 { return maphash.Bytes(t.seed, key[:]) }

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

// find returns what is known about a key, by our clocks or, where issued is
// set, by the provider's.
func (k *known) find(key factKey, issued bool) (found moment, ok bool) {
	for _, e := range k.about(&key) {
		if e.key == key && (e.issued != 0) == issued {
			return e.moment, true
		}
	}
	return moment{}, false
}

// about returns the entries among which those of a key are, none if it has
// none.
func (k *known) about(key *factKey) []entry {
	t := k.table.Load()
	if t == nil {
		return nil
	}
	h := t.hash(key)
	if m := mask(h); t.word(h).Load()&m != m {
		return nil
	}
	return t.bucket(h >> t.shift)
}

// tell adds facts and returns them with the times that they got: later than all
// that was known about the same, so that they end what those spare.
func (k *known) tell(facts []Fact) []Fact {
	told := slices.Clone(facts)
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range told {
		if f := &told[i]; f.later {
			for _, e := range k.about(&f.key) {
				if e.key == f.key && e.later() && e.at >= f.at.UnixMilli() {
					f.at = time.UnixMilli(e.at + 1)
				}
			}
		}
		k.addOne(told[i])
	}
	return told
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
		t = newTable(fewestBuckets, maphash.MakeSeed())
		k.table.Store(t)
	case k.count >= fullBucket*len(t.buckets):
		t = k.rebuild(t, 2*len(t.buckets), math.MinInt64)
	}
	m := fact.moment()
	h := t.hash(&fact.key)
	number := h >> t.shift
	old := t.bucket(number)
	i := slices.IndexFunc(old, func(e entry) bool { return e.key == fact.key && (e.issued != 0) == (m.issued != 0) })
	if i < 0 {
		k.count++
		if m.later() {
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
	if old[i].later() && !m.later() {
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
				if e.later() {
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
	k.table.Store(next)
	return next
}

// len is how many facts are known.
func (k *known) len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.count
}

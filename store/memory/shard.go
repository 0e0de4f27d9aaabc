package memory

import (
	"container/heap"
	"strings"
	"sync"
	"sync/atomic"
)

// sweepAtOnce is how many records are removed before the lock is released.
const sweepAtOnce = 1000

// shard is a part of the memory with a lock of its own.
type shard struct {
	mu      sync.RWMutex
	records map[string]*record
	ends    ends
}

// record is immutable, since its bytes have been returned to callers.
type record struct {
	key   string
	data  []byte
	end   int64 // in milliseconds since 1970
	place int   // in ends
}

// get returns a record that has not expired, or nil.
func (s *shard) get(key string, now int64) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.living(key, now)
}

// living is get for callers that hold the mutex.
func (s *shard) living(key string, now int64) []byte {
	if r, ok := s.records[key]; ok && now < r.end {
		return r.data
	}
	return nil
}

func (s *shard) put(key string, data []byte, end int64) {
	if r, ok := s.records[key]; ok {
		r.data, r.end = data, end
		heap.Fix(&s.ends, r.place)
		return
	}
	r := &record{key: strings.Clone(key), data: data, end: end}
	s.records[r.key] = r
	heap.Push(&s.ends, r)
}

func (s *shard) remove(key string) {
	if r, ok := s.records[key]; ok {
		delete(s.records, key)
		heap.Remove(&s.ends, r.place)
	}
}

// firstEnd returns when the first record expires.
func (s *shard) firstEnd() (end int64, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.ends) == 0 {
		return 0, false
	}
	return s.ends[0].end, true
}

// dropFirst drops the record that expires first.
func (s *shard) dropFirst(count *atomic.Int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ends) == 0 {
		return false
	}
	s.remove(s.ends[0].key)
	count.Add(-1)
	return true
}

// sweep removes expired records.
func (s *shard) sweep(now int64, count *atomic.Int64) {
	for more := true; more; {
		s.mu.Lock()
		for n := 0; ; n++ {
			if more = len(s.ends) > 0 && s.ends[0].end <= now; !more || n == sweepAtOnce {
				break
			}
			s.remove(s.ends[0].key)
			count.Add(-1)
		}
		s.mu.Unlock()
	}
}

// ends is a heap of records by expiry.
type ends []*record

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].end < e[j].end }

func (e ends) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i, j
}

func (e *ends) Push(r any) {
	r.(*record).place = len(*e)
	*e = append(*e, r.(*record))
}

func (e *ends) Pop() any {
	last := len(*e) - 1
	r := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return r
}

var _ heap.Interface = (*ends)(nil)

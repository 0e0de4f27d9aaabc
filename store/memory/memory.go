// Package memory keeps sessions in the memory of the process. They survive
// reloads of the configuration, but no restart, and other nodes do not have
// them.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

const (
	shardCount = 64
	sweepEvery = time.Minute
	logEvery   = time.Minute
	// defaultMax is the default of max_records: some 1 GB of typical sessions.
	defaultMax = 1_000_000
)

// memory is shared by all sites of a process.
type memory struct {
	now    func() time.Time
	seed   maphash.Seed
	shards [shardCount]shard
	locks  store.Locks

	count    atomic.Int64  // of records
	version  atomic.Uint64 // incremented by each change; see store.Versioned
	max      atomic.Int64
	loggedAt atomic.Int64 // when dropped records were last logged, or 0
	logger   atomic.Pointer[zap.Logger]

	mu      sync.Mutex
	demands map[*Memory]int // maximum number of records by configuration
	begun   sync.Once
	ended   chan struct{}
}

func newMemory(now func() time.Time) *memory {
	m := &memory{now: now, seed: maphash.MakeSeed(), demands: make(map[*Memory]int), ended: make(chan struct{})}
	for i := range m.shards {
		m.shards[i].records = make(map[string]*record)
	}
	m.max.Store(defaultMax)
	m.version.Store(1)
	return m
}

// attach adds a configuration. The largest demand is the limit, so that a
// configuration that is only validated drops no records.
func (m *memory) attach(c *Memory) {
	m.logger.Store(c.logger)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.demands[c] = c.MaxRecords
	m.demand()
}

// detach removes a configuration. The last one leaves the limit unchanged, since
// its requests continue.
func (m *memory) detach(c *Memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.demands, c)
	m.demand()
}

func (m *memory) demand() {
	most := 0
	for _, records := range m.demands {
		most = max(most, records)
	}
	if most > 0 {
		m.max.Store(int64(most))
	}
}

// Destruct implements caddy.Destructor. It ends sweeping. What requests in progress
// still save is lost.
func (m *memory) Destruct() error {
	close(m.ended)
	return nil
}

func (m *memory) shard(key string) *shard {
	return &m.shards[maphash.String(m.seed, key)%shardCount]
}

func (m *memory) load(ctx context.Context, keys []string) ([][]byte, error) {
	if ctx.Err() != nil {
		return nil, failed("load", ctx)
	}
	now := m.now().UnixMilli()
	records := make([][]byte, len(keys))
	for i, key := range keys {
		records[i] = m.shard(key).get(key, now)
	}
	return records, nil
}

func (m *memory) save(ctx context.Context, key string, bytes []byte, expires time.Time) error {
	if ctx.Err() != nil {
		return failed("save", ctx)
	}
	m.set(key, bytes, expires, nil)
	return nil
}

func (m *memory) replace(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
	if ctx.Err() != nil {
		return false, failed("replace", ctx)
	}
	return m.set(key, record, expires, func(had []byte) bool { return had != nil && bytes.Equal(had, old) }), nil
}

// set stores a record if the existing one is acceptable, and drops others if there
// are too many.
func (m *memory) set(key string, data []byte, expires time.Time, accept func(had []byte) bool) bool {
	m.begun.Do(func() { go m.sweepOften() })
	now := m.now().UnixMilli()
	data = bytes.Clone(data)
	s := m.shard(key)
	s.mu.Lock()
	if accept != nil && !accept(s.living(key, now)) {
		s.mu.Unlock()
		return false
	}
	before := len(s.records)
	if end := expires.UnixMilli(); end > now {
		s.put(key, data, end)
	} else {
		s.remove(key)
	}
	m.count.Add(int64(len(s.records) - before))
	s.mu.Unlock()
	m.shrink(now)
	m.version.Add(1)
	return true
}

func (m *memory) delete(ctx context.Context, keys []string) error {
	if ctx.Err() != nil {
		return failed("delete", ctx)
	}
	for _, key := range keys {
		s := m.shard(key)
		s.mu.Lock()
		before := len(s.records)
		s.remove(key)
		m.count.Add(int64(len(s.records) - before))
		s.mu.Unlock()
	}
	m.version.Add(1)
	return nil
}

// shrink drops the records that expire first until there are no more than allowed.
func (m *memory) shrink(now int64) {
	for m.count.Load() > m.max.Load() {
		var first *shard
		var end int64
		for i := range m.shards {
			if e, ok := m.shards[i].firstEnd(); ok && (first == nil || e < end) {
				first, end = &m.shards[i], e
			}
		}
		if first == nil || !first.dropFirst(&m.count) {
			continue // another goroutine has dropped it
		}
		if end > now {
			m.logDropped(now)
		}
	}
}

// logDropped logs, at most once a minute, that records were dropped.
func (m *memory) logDropped(now int64) {
	last := m.loggedAt.Load()
	if last != 0 && now-last < logEvery.Milliseconds() && now >= last || !m.loggedAt.CompareAndSwap(last, now) {
		return
	}
	m.logger.Load().Warn("the memory for sessions is full: those that expire first are dropped", zap.String("event", "store_full"), zap.Int64("max_records", m.max.Load()))
}

// sweepOften removes expired records until the last configuration has ended.
func (m *memory) sweepOften() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-m.ended:
			return
		case <-ticker.C:
			m.sweep()
		}
	}
}

func (m *memory) sweep() {
	now := m.now().UnixMilli()
	for i := range m.shards {
		m.shards[i].sweep(now, &m.count)
	}
	m.shrink(now)
}

func failed(what string, ctx context.Context) error {
	return fmt.Errorf("session store memory: %s: %w", what, context.Cause(ctx))
}

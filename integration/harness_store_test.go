package integration_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

func init() { caddy.RegisterModule(testStore{}) }

// testStore is a session store that fails when a test says so. All harnesses that use the same
// name share it, as nodes do.
//
//	store test <name> [<timeout>]
//
// With a timeout, it has a circuit breaker.
type testStore struct {
	Name    string         `json:"name"`
	Timeout caddy.Duration `json:"timeout,omitempty"`

	store.Store
}

func (testStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: store.Namespace + ".test", New: func() caddy.Module { return new(testStore) }}
}

func (s *testStore) Provision(caddy.Context) error {
	s.Store = recordsNamed(s.Name)
	if s.Timeout > 0 {
		s.Store = store.WithBreaker(s.Store, "test", time.Duration(s.Timeout), time.Now)
	}
	return nil
}

func (s *testStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&s.Name) {
		return d.ArgErr()
	}
	if d.NextArg() {
		timeout, err := caddy.ParseDuration(d.Val())
		s.Timeout = caddy.Duration(timeout)
		return err
	}
	return nil
}

var allRecords sync.Map

func recordsNamed(name string) *testRecords {
	r, _ := allRecords.LoadOrStore(name, &testRecords{
		records: make(map[string]testRecord), counts: make(map[string]int), faults: make(map[string]func(context.Context) error),
	})
	return r.(*testRecords)
}

type testRecord struct {
	record  []byte
	expires time.Time
}

// testRecords has the records of one test store.
type testRecords struct {
	locks store.Locks

	mu      sync.Mutex
	records map[string]testRecord
	counts  map[string]int                         // of calls, by method
	faults  map[string]func(context.Context) error // what a method does first, by method
	count   *int                                   // the number of records that a load returns, if set
}

var (
	errTestDown = errors.New("the store is down")
	errTestFull = errors.New("the store is full")

	reading = []string{"load", "reload"}
	writing = []string{"save", "replace"}
	calling = []string{"load", "reload", "save", "replace", "delete", "lock"}
)

// fault makes methods call do first, and fail if it fails.
func (r *testRecords) fault(methods []string, do func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, method := range methods {
		r.faults[method] = do
	}
}

func (r *testRecords) fail(methods []string, err error) {
	r.fault(methods, func(context.Context) error { return err })
}

// hang makes methods wait until their context ends.
func (r *testRecords) hang(methods []string) {
	r.fault(methods, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
}

// miscount makes loads return a wrong number of records.
func (r *testRecords) miscount(count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count = &count
}

// mend removes all faults.
func (r *testRecords) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count = nil
	clear(r.faults)
}

// flush deletes all records.
func (r *testRecords) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.records)
}

// calls returns how often a method was called.
func (r *testRecords) calls(method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[method]
}

// content returns a copy of all records.
func (r *testRecords) content() map[string][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string][]byte)
	for key, kept := range r.records {
		all[key] = bytes.Clone(kept.record)
	}
	return all
}

// sessions returns the keys of the session records.
func (r *testRecords) sessions() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.content())), func(key string) bool { return !strings.HasPrefix(key, sessionFolder) })
}

// put writes a record as an attacker with access to the store would.
func (r *testRecords) put(key string, record []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records[key] = testRecord{bytes.Clone(record), time.Now().Add(time.Hour)}
}

// begin counts a call and applies the method's fault.
func (r *testRecords) begin(ctx context.Context, method string) error {
	r.mu.Lock()
	r.counts[method]++
	do := r.faults[method]
	r.mu.Unlock()
	if do != nil {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (r *testRecords) get(key string) []byte {
	if kept, ok := r.records[key]; ok && time.Now().Before(kept.expires) {
		return kept.record
	}
	return nil
}

func (r *testRecords) look(ctx context.Context, method string, keys []string) ([][]byte, error) {
	if err := r.begin(ctx, method); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	records := make([][]byte, len(keys))
	for i, key := range keys {
		records[i] = r.get(key)
	}
	return records, nil
}

func (r *testRecords) Load(ctx context.Context, keys ...string) ([][]byte, error) {
	records, err := r.look(ctx, "load", keys)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count != nil && err == nil {
		return make([][]byte, *r.count), nil
	}
	return records, err
}

func (r *testRecords) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	return r.look(ctx, "reload", keys)
}

func (r *testRecords) Save(ctx context.Context, key string, record []byte, expires time.Time) error {
	if err := r.begin(ctx, "save"); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records[key] = testRecord{bytes.Clone(record), expires}
	return nil
}

func (r *testRecords) Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
	if err := r.begin(ctx, "replace"); err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if had := r.get(key); had == nil || !bytes.Equal(had, old) {
		return false, nil
	}
	r.records[key] = testRecord{bytes.Clone(record), expires}
	return true, nil
}

func (r *testRecords) Delete(ctx context.Context, keys ...string) error {
	if err := r.begin(ctx, "delete"); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		delete(r.records, key)
	}
	return nil
}

func (r *testRecords) Lock(ctx context.Context, name string) (func(), error) {
	if err := r.begin(ctx, "lock"); err != nil {
		return nil, err
	}
	return r.locks.Lock(ctx, name)
}

var (
	_ caddy.Provisioner     = (*testStore)(nil)
	_ caddyfile.Unmarshaler = (*testStore)(nil)
	_ store.Store           = (*testRecords)(nil)
)

package storetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestReferencePasses(t *testing.T) {
	t.Parallel()
	Run(t, func(*testing.T) Pair {
		r := newReference()
		return Pair{A: r, B: r, Shortest: 50 * time.Millisecond}
	})
}

// faults are mistakes that a store can make, and the first words of the checks that
// must find them.
var faults = []struct {
	name   string
	breaks func(*faulty)
	found  []string
}{
	{"absence is an error", func(f *faulty) {
		f.load = func(ctx context.Context, keys ...string) ([][]byte, error) {
			got, err := f.reference.Load(ctx, keys...)
			if err == nil && slices.ContainsFunc(got, func(r []byte) bool { return r == nil }) {
				err = errAbsent
			}
			return got, err
		}
	}, []string{"what was never", "what is deleted"}},
	{"what is absent is left out", func(f *faulty) {
		f.load = func(ctx context.Context, keys ...string) ([][]byte, error) {
			got, err := f.reference.Load(ctx, keys...)
			return slices.DeleteFunc(got, func(r []byte) bool { return r == nil }), err
		}
	}, []string{"what was never", "many keys"}},
	{"the order of keys is lost", func(f *faulty) {
		f.reload = func(ctx context.Context, keys ...string) ([][]byte, error) {
			return f.reference.Reload(ctx, slices.Sorted(slices.Values(keys))...)
		}
	}, []string{"many keys"}},
	{"a key is a file name", func(f *faulty) {
		f.save = func(ctx context.Context, key string, record []byte, expires time.Time) error {
			return f.reference.Save(ctx, strings.ReplaceAll(key, "/", "-"), record, expires)
		}
		f.load = func(ctx context.Context, keys ...string) ([][]byte, error) {
			for i := range keys {
				keys[i] = strings.ReplaceAll(keys[i], "/", "-")
			}
			return f.reference.Load(ctx, keys...)
		}
		f.reload = f.load
	}, []string{"keys of all forms"}},
	{"records are text", func(f *faulty) {
		f.save = func(ctx context.Context, key string, record []byte, expires time.Time) error {
			return f.reference.Save(ctx, key, bytes.TrimRight(record, "\x00\n "), expires)
		}
	}, []string{"records may hold"}},
	{"the first save wins", func(f *faulty) {
		f.save = func(ctx context.Context, key string, record []byte, expires time.Time) error {
			if got, _ := f.reference.Load(ctx, key); got != nil && got[0] != nil {
				return nil
			}
			return f.reference.Save(ctx, key, record, expires)
		}
	}, []string{"a record is saved over", "another save sets"}},
	{"only the first key is deleted", func(f *faulty) {
		f.delete = func(ctx context.Context, keys ...string) error {
			return f.reference.Delete(ctx, keys[:min(1, len(keys))]...)
		}
	}, []string{"what is deleted", "keys of all forms"}},
	{"the caller's bytes are kept", func(f *faulty) {
		f.save = func(_ context.Context, key string, record []byte, expires time.Time) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.records[key] = kept{record, expires}
			return nil
		}
	}, []string{"a caller may use"}},

	{"nothing expires", func(f *faulty) {
		f.save = func(ctx context.Context, key string, record []byte, _ time.Time) error {
			return f.reference.Save(ctx, key, record, time.Now().Add(hour))
		}
	}, []string{"a record ends", "another save sets", "what is saved too late"}},
	{"a replacement leaves the end as it was", func(f *faulty) {
		f.replace = func(ctx context.Context, key string, old, record []byte, _ time.Time) (bool, error) {
			f.mu.Lock()
			expires := f.records[key].expires
			f.mu.Unlock()
			return f.reference.Replace(ctx, key, old, record, expires)
		}
	}, []string{"a replacement sets"}},

	{"nothing is replaced as well", func(f *faulty) {
		f.replace = func(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
			if got, err := f.reference.Load(ctx, key); err == nil && got[0] == nil {
				return true, f.reference.Save(ctx, key, record, expires)
			}
			return f.reference.Replace(ctx, key, old, record, expires)
		}
	}, []string{"nothing is not", "a record ends"}},
	{"any record is replaced", func(f *faulty) {
		f.replace = func(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
			got, err := f.reference.Load(ctx, key)
			if err != nil || got[0] == nil {
				return false, err
			}
			return true, f.reference.Save(ctx, key, record, expires)
		}
	}, []string{"another record", "a record is replaced", "of many"}},
	{"a replacement looks first", func(f *faulty) {
		f.replace = func(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
			got, err := f.reference.Load(ctx, key)
			if err != nil || !bytes.Equal(got[0], old) {
				return false, err
			}
			time.Sleep(time.Millisecond)
			return true, f.reference.Save(ctx, key, record, expires)
		}
	}, []string{"of many"}},

	{"a copy is kept for ever", func(f *faulty) {
		var mu sync.Mutex
		copies := make(map[string][]byte)
		f.load = func(ctx context.Context, keys ...string) ([][]byte, error) {
			got, err := f.reference.Load(ctx, keys...)
			mu.Lock()
			defer mu.Unlock()
			for i, key := range keys {
				if _, ok := copies[key]; !ok {
					copies[key] = got[i]
				}
				got[i] = copies[key]
			}
			return got, err
		}
	}, []string{"a node sees its own", "a node sees changes", "a record never"}},
	{"a slow look puts an old record back", func(f *faulty) {
		f.reload = func(ctx context.Context, keys ...string) ([][]byte, error) {
			got, err := f.reference.Load(ctx, keys...)
			if err == nil && got[0] != nil {
				go func(old []byte) {
					time.Sleep(time.Millisecond)
					_ = f.reference.Save(ctx, keys[0], old, time.Now().Add(hour))
				}(got[0])
			}
			return got, err
		}
	}, []string{"a record never"}},

	{"without a context everything is absent", func(f *faulty) {
		f.load = func(ctx context.Context, keys ...string) ([][]byte, error) {
			if ctx.Err() != nil {
				return make([][]byte, len(keys)), nil
			}
			return f.reference.Load(ctx, keys...)
		}
	}, []string{"no answer"}},
	{"errors hold keys", func(f *faulty) {
		f.delete = func(ctx context.Context, keys ...string) error {
			if err := f.reference.Delete(ctx, keys...); err != nil {
				return fmt.Errorf("delete %v: %w", keys, err)
			}
			return nil
		}
		f.reload = func(ctx context.Context, keys ...string) ([][]byte, error) {
			got, err := f.reference.Load(ctx, keys...)
			if err != nil {
				return nil, fmt.Errorf("reload %v: %w", keys, err)
			}
			return got, nil
		}
	}, []string{"no answer"}},

	{"a lock is nothing", func(f *faulty) {
		f.lock = func(ctx context.Context, _ string) (func(), error) { return func() {}, ctx.Err() }
	}, []string{"a lock is held", "who waits gets", "the next one"}},
	{"a lock ends with patience", func(f *faulty) {
		f.lock = func(ctx context.Context, name string) (func(), error) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			unlock, err := f.reference.Lock(ctx, name)
			if err != nil {
				return func() {}, nil
			}
			return unlock, nil
		}
	}, []string{"a lock is held", "who waits for a lock"}},
	{"who waits for a lock cannot give up", func(f *faulty) {
		f.lock = func(ctx context.Context, name string) (func(), error) {
			return f.reference.Lock(context.WithoutCancel(ctx), name)
		}
	}, []string{"who waits for a lock", "no answer"}},
	{"another unlock gives it away", func(f *faulty) {
		f.lock = func(ctx context.Context, name string) (func(), error) {
			if _, err := f.reference.Lock(ctx, name); err != nil {
				return nil, err
			}
			return func() {
				select {
				case <-f.locks[name]:
				default:
				}
			}, nil
		}
	}, []string{"a lock is given back"}},
	{"there is one lock for all names", func(f *faulty) {
		f.lock = func(ctx context.Context, _ string) (func(), error) { return f.reference.Lock(ctx, "the one") }
	}, []string{"locks of other names"}},
	{"a lock is a record", func(f *faulty) {
		f.lock = func(ctx context.Context, name string) (func(), error) {
			unlock, err := f.reference.Lock(ctx, name)
			if err != nil {
				return nil, err
			}
			_ = f.reference.Save(ctx, name, []byte("locked"), time.Now().Add(hour))
			return func() { _ = f.reference.Delete(context.Background(), name); unlock() }, nil
		}
	}, []string{"a lock is no record"}},
}

// TestFaultsAreFound also checks that each check can fail.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	proved := make(map[string]bool)
	for _, fault := range faults {
		for _, words := range fault.found {
			for _, c := range checks {
				if !strings.HasPrefix(c.name, words) {
					continue
				}
				proved[c.name] = true
				t.Run(fault.name+"/"+c.name, func(t *testing.T) {
					t.Parallel()
					f := &faulty{reference: newReference()}
					fault.breaks(f)
					if !fails(t, c.run, Pair{A: f, B: f, Shortest: 50 * time.Millisecond}) {
						t.Error("the check passes")
					}
				})
			}
		}
	}
	for _, c := range checks {
		if !proved[c.name] {
			t.Errorf("nothing shows that this check can fail: %s", c.name)
		}
	}
}

// TestLockOfOneNodeIsFound has two nodes that share everything except their locks.
func TestLockOfOneNodeIsFound(t *testing.T) {
	t.Parallel()
	a, b := newReference(), newReference()
	alone := &faulty{reference: a, lock: b.Lock}
	for name, rule := range map[string]func(testing.TB, Pair){"once": lockOnce, "in order": lockOrders} {
		if !fails(t, rule, Pair{A: a, B: alone}) {
			t.Errorf("a lock of one node alone: expected the rule %q to fail, seen that it passes", name)
		}
	}
}

// fails reports whether a check fails.
func fails(t *testing.T, check func(testing.TB, Pair), p Pair) bool {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(r, p)
	}()
	<-done
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// recorder is a testing.TB that records failures.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	failed bool
}

func (r *recorder) fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *recorder) Helper()               {}
func (r *recorder) Error(...any)          { r.fail() }
func (r *recorder) Errorf(string, ...any) { r.fail() }
func (r *recorder) Fatalf(string, ...any) { r.fail(); runtime.Goexit() }

package session

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("the storage is down")

// memory is a storage of a test, with what can go wrong with one. It is used
// inside a synctest bubble, where its latency costs nothing.
type memory struct {
	mu       sync.Mutex
	files    map[string][]byte
	down     error         // of all calls
	readOnly error         // of Store and Delete
	latency  time.Duration // of every call
	hang     chan struct{} // every call waits for it, whatever its context says
	vanish   int           // so many times List sees something vanish

	// list makes of the children of a folder, and of all keys, what a storage
	// of another kind answers.
	list func(folder string, recursive bool, children, all []string) []string

	loads, stores, lists, deletes int
	bytes                         int // that were stored
}

func newMemory() *memory { return &memory{files: make(map[string][]byte)} }

func (m *memory) with(change func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *memory) wait(ctx context.Context) error {
	m.mu.Lock()
	hang, latency, down := m.hang, m.latency, m.down
	m.mu.Unlock()
	if hang != nil {
		<-hang
		return down
	}
	if latency > 0 {
		select {
		case <-time.After(latency):
		case <-ctx.Done():
		}
	}
	return cmp.Or(ctx.Err(), down)
}

func (m *memory) Load(ctx context.Context, key string) ([]byte, error) {
	err := m.wait(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	data, ok := m.files[key]
	if err == nil && !ok {
		err = fs.ErrNotExist
	}
	return data, err
}

func (m *memory) Store(ctx context.Context, key string, value []byte) error {
	err := m.wait(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stores++
	if err = cmp.Or(err, m.readOnly); err == nil {
		m.files[key] = slices.Clone(value)
		m.bytes += len(value)
	}
	return err
}

func (m *memory) Delete(ctx context.Context, key string) error {
	err := m.wait(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deletes++
	if err = cmp.Or(err, m.readOnly); err == nil {
		maps.DeleteFunc(m.files, func(k string, _ []byte) bool { return k == key || strings.HasPrefix(k, key+"/") })
	}
	return err
}

// List answers like certmagic's FileStorage: whole keys of what is directly
// below a folder, and ErrNotExist where there is none.
func (m *memory) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	err := m.wait(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lists++
	if err != nil {
		return nil, err
	}
	var children []string
	for key := range m.files {
		if below, ok := strings.CutPrefix(key, folder+"/"); ok {
			child, _, _ := strings.Cut(below, "/")
			children = append(children, folder+"/"+child)
		}
	}
	slices.Sort(children)
	children = slices.Compact(children)
	if m.vanish > 0 {
		m.vanish--
		return children[:len(children)/2], fs.ErrNotExist
	}
	if m.list != nil {
		return m.list(folder, recursive, children, slices.Sorted(maps.Keys(m.files))), nil
	}
	if children == nil {
		return nil, fs.ErrNotExist
	}
	return children, nil
}

// keys are those of a storage, in their order.
func (m *memory) keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.files))
}

func (m *memory) folders() (minutes []string) {
	for _, key := range m.keys() {
		minutes = append(minutes, path.Dir(key))
	}
	return slices.Compact(minutes)
}

func (m *memory) node(now func() time.Time) *Journal {
	return NewJournal(func() LockStorage { return unlocked{m} }, now)
}

// unlocked is a memory storage whose lock anybody gets at any time, as one that
// is stolen.
type unlocked struct{ *memory }

func (unlocked) Lock(context.Context, string) error   { return nil }
func (unlocked) Unlock(context.Context, string) error { return nil }

// inBubble runs a test whose time is not real.
func inBubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// living is a session that begins now.
func living() *Session {
	return &Session{ID: NewID(), Subject: "ada", SID: "op-session", SignedIn: time.Now(), Expires: time.Now().Add(12 * time.Hour)}
}

// ended is the fact of its local logout.
func (s *Session) endedNow() Fact {
	return EndedSession(s.ID, time.Now(), s.Expires.Add(10*time.Minute))
}

func end(t *testing.T, j *Journal, facts ...Fact) {
	t.Helper()
	if err := j.End(t.Context(), facts...); err != nil {
		t.Fatalf("End: %v", err)
	}
}

func poll(t *testing.T, nodes ...*Journal) {
	t.Helper()
	for _, j := range nodes {
		if err := j.Poll(t.Context()); err != nil {
			t.Fatalf("Poll: %v", err)
		}
	}
}

func sweep(t *testing.T, nodes ...*Journal) {
	t.Helper()
	for _, j := range nodes {
		if err := j.Sweep(t.Context()); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
	}
}

// knows says which of the sessions a node knows to have ended.
func knows(j *Journal, sessions ...*Session) (ended int) {
	for _, s := range sessions {
		if j.Ended(s, issuer) {
			ended++
		}
	}
	return ended
}

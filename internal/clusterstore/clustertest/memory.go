// Package clustertest has storages in memory for tests of packages that use
// clusterstore: they fail, hang and list as storages of all kinds do.
package clustertest

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrDown is an error of a storage that fails.
var ErrDown = errors.New("the storage is down")

// Memory is a storage in memory that fails on demand, without locks. Use it
// inside a synctest bubble, where its latency costs nothing.
type Memory struct {
	mu       sync.Mutex
	Files    map[string][]byte
	Down     error         // of all calls
	ReadOnly error         // of Store and Delete
	Latency  time.Duration // of every call
	Hang     chan struct{} // every call waits for it, whatever its context says
	Vanish   int           // so many times List sees something vanish

	// Listing makes of the children of a folder, and of all keys, what a storage
	// of another kind lists.
	Listing func(folder string, recursive bool, children, all []string) []string

	Loads, Stores, Lists, Deletes int
	Bytes                         int // that were stored
}

// NewMemory returns an empty storage.
func NewMemory() *Memory { return &Memory{Files: make(map[string][]byte)} }

// With changes the storage while no call uses it.
func (m *Memory) With(change func(*Memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *Memory) wait(ctx context.Context) error {
	m.mu.Lock()
	hang, latency, down := m.Hang, m.Latency, m.Down
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

// Load implements clusterstore.Storage.
func (m *Memory) Load(ctx context.Context, key string) ([]byte, error) {
	err := m.wait(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Loads++
	data, ok := m.Files[key]
	if err == nil && !ok {
		err = fs.ErrNotExist
	}
	return data, err
}

// Store implements clusterstore.Storage.
func (m *Memory) Store(ctx context.Context, key string, value []byte) error {
	err := m.wait(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Stores++
	if err = cmp.Or(err, m.ReadOnly); err == nil {
		m.Files[key] = slices.Clone(value)
		m.Bytes += len(value)
	}
	return err
}

// Delete implements clusterstore.Storage.
func (m *Memory) Delete(ctx context.Context, key string) error {
	err := m.wait(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Deletes++
	if err = cmp.Or(err, m.ReadOnly); err == nil {
		maps.DeleteFunc(m.Files, func(k string, _ []byte) bool { return k == key || strings.HasPrefix(k, key+"/") })
	}
	return err
}

// List implements clusterstore.Storage. It lists like certmagic's FileStorage: whole keys of what is directly
// below a folder, and ErrNotExist where there is none.
func (m *Memory) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	err := m.wait(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Lists++
	if err != nil {
		return nil, err
	}
	var children []string
	for key := range m.Files {
		if below, ok := strings.CutPrefix(key, folder+"/"); ok {
			child, _, _ := strings.Cut(below, "/")
			children = append(children, folder+"/"+child)
		}
	}
	slices.Sort(children)
	children = slices.Compact(children)
	if m.Vanish > 0 {
		m.Vanish--
		return children[:len(children)/2], fs.ErrNotExist
	}
	if m.Listing != nil {
		return m.Listing(folder, recursive, children, slices.Sorted(maps.Keys(m.Files))), nil
	}
	if children == nil {
		return nil, fs.ErrNotExist
	}
	return children, nil
}

// Keys returns the keys, sorted.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.Files))
}

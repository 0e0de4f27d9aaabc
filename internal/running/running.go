// Package running keeps a list of what is running, in the order in which it was
// started.
//
// While a configuration is loaded, the old and the new one run at once; if the
// new one fails, the old one is left. The package knows nothing of what runs.
package running

import (
	"slices"
	"sync"
)

// List holds the items that have started and not stopped. The zero value is an
// empty list. It is safe for concurrent use.
type List[T comparable] struct {
	mu    sync.Mutex
	items []T
}

// Add appends an item that has started, and returns the function that removes
// it, which never fails.
func (l *List[T]) Add(item T) (remove func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = append(l.items, item)
	return func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.items = slices.DeleteFunc(l.items, func(other T) bool { return other == item })
		return nil
	}
}

// Last returns the item that started last, or the zero value if nothing runs.
func (l *List[T]) Last() (last T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.items) > 0 {
		last = l.items[len(l.items)-1]
	}
	return last
}

// All returns the items in the order in which they started.
func (l *List[T]) All() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.items)
}

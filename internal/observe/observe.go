// Package observe counts what happens: logins, sessions, refusals, requests to
// providers. It has the numbers and their names, and begins spans where someone
// traces the request.
//
// The numbers are those of the process: they outlive configurations, so that a reload
// resets nothing. To count is one addition to an integer that was looked up before;
// whoever reads the numbers pays for the rest. Labels have fixed values, or are ids of
// providers of the configuration. Nothing about a user, a session, a host or an
// address is one.
//
// It does not know how numbers, spans and events leave the process: package telemetry
// does, which knows Prometheus, OpenTelemetry and Caddy.
package observe

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Counter counts up. Methods of a nil counter do nothing.
type Counter struct{ n atomic.Uint64 }

// Inc counts one more.
func (c *Counter) Inc() {
	if c != nil {
		c.n.Add(1)
	}
}

// Value returns the number.
func (c *Counter) Value() uint64 { return c.n.Load() }

// Bounds are the upper bounds of the buckets of all histograms, which are about
// requests to other servers.
var Bounds = []time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Histogram counts durations. Methods of a nil histogram do nothing.
type Histogram struct {
	counts [12]atomic.Uint64 // one more than there are bounds
	sum    atomic.Int64
}

// Observe counts a duration.
func (h *Histogram) Observe(d time.Duration) {
	if h == nil {
		return
	}
	i, _ := slices.BinarySearch(Bounds, d)
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Value returns how many durations there were, how long they took together, and how
// many of them were at most as long as each bound.
func (h *Histogram) Value() (count uint64, sum time.Duration, within []uint64) {
	within = make([]uint64, len(Bounds))
	for i := range h.counts {
		count += h.counts[i].Load()
		if i < len(within) {
			within[i] = count
		}
	}
	return count, time.Duration(h.sum.Load()), within
}

// Metric is one metric as it is shown: a name, what it means, and its labels.
type Metric struct {
	// Name is without the prefix of all names.
	Name, Help string
	Labels     []string
}

// Vector is the values of one metric, by the values of its labels.
type Vector[T any] struct {
	Metric
	mu     sync.RWMutex
	values map[string]*T // by the values of labels, separated by a byte that none has
}

const separator = "\x00"

// With returns the value for values of the labels. What is counted often keeps it.
func (v *Vector[T]) With(labels ...string) *T {
	key := strings.Join(labels, separator)
	v.mu.RLock()
	value := v.values[key]
	v.mu.RUnlock()
	if value != nil {
		return value
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if value = v.values[key]; value == nil {
		value = new(T)
		if v.values == nil {
			v.values = make(map[string]*T)
		}
		v.values[key] = value
	}
	return value
}

// Each calls a function with the values of the labels, and the value, of all there are.
func (v *Vector[T]) Each(do func(labels []string, value *T)) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for key, value := range v.values {
		var labels []string
		if len(v.Labels) > 0 {
			labels = strings.Split(key, separator)
		}
		do(labels, value)
	}
}

// forget drops the values that are about a provider.
func (v *Vector[T]) forget(provider string) {
	at := slices.Index(v.Labels, "provider")
	if at < 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for key := range v.values {
		if strings.Split(key, separator)[at] == provider {
			delete(v.values, key)
		}
	}
}

// Package observe counts events: logins, sessions, refusals, requests to
// providers. It defines the metrics and their names, and begins spans for
// traced requests.
//
// The metrics belong to the process and outlive configurations, so a reload does not
// reset them. Counting is one atomic addition to a value that was looked up in
// advance; the rest of the cost is paid by readers. The values of labels are fixed, or
// are ids of configured providers. No label identifies a user, a session, a host or an
// address.
//
// How metrics, spans and events leave the process is up to package telemetry, which
// uses Prometheus, OpenTelemetry and Caddy.
package observe

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Counter is a number that only increases. Inc does nothing on a nil counter.
type Counter struct{ n atomic.Uint64 }

// Inc adds one.
func (c *Counter) Inc() {
	if c != nil {
		c.n.Add(1)
	}
}

// Value returns the current value.
func (c *Counter) Value() uint64 { return c.n.Load() }

// Bounds are the upper bounds of the buckets of all histograms. They suit
// requests to other servers.
var Bounds = []time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Histogram counts durations. Observe does nothing on a nil histogram.
type Histogram struct {
	counts [12]atomic.Uint64 // one for each bound, and one for longer durations
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

// Value returns the number of durations, their sum, and for each bound how many of
// them were at most that long.
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

// Metric describes a metric: its name, help text and labels.
type Metric struct {
	// Name does not include the prefix that all names have in common.
	Name, Help string
	Labels     []string
}

// Vector has the values of one metric by the values of its labels.
type Vector[T any] struct {
	Metric
	mu     sync.RWMutex
	values map[string]*T // by the values of the labels, joined with separator
}

const separator = "\x00"

// With returns the value for the given label values, and creates it if necessary.
// Callers that count often should keep it.
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

// Each calls do for every value, with the values of its labels. It holds a lock
// meanwhile.
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

// forget drops the values with the given provider as label.
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

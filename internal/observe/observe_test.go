package observe

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"
)

// values returns the counts of a vector by the values of their labels.
func values(v *Vector[Counter]) map[string]uint64 {
	all := make(map[string]uint64)
	v.Each(func(labels []string, c *Counter) { all[fmt.Sprint(labels)] = c.Value() })
	return all
}

func TestCountersByLabels(t *testing.T) {
	t.Parallel()
	v := &Vector[Counter]{Metric: Metric{"x_total", "X.", []string{"provider", "outcome"}}}
	kept := v.With("a", "success")
	kept.Inc()
	v.With("a", "success").Inc()
	v.With("b", "").Inc()
	if got, want := values(v), map[string]uint64{"[a success]": 2, "[b ]": 1}; !maps.Equal(got, want) {
		t.Errorf("expected %v, seen %v", want, got)
	}
	v.forget("a")
	kept.Inc() // a caller may still hold a forgotten counter
	if got, want := values(v), map[string]uint64{"[b ]": 1}; !maps.Equal(got, want) {
		t.Errorf("without one provider: expected %v, seen %v", want, got)
	}
	var none *Counter
	none.Inc()
}

func TestCountersAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	v := &Vector[Counter]{Metric: Metric{"x_total", "X.", []string{"result"}}}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 1000 {
				v.With(fmt.Sprint(i % 3)).Inc()
			}
		})
	}
	group.Wait()
	sum := uint64(0)
	for _, n := range values(v) {
		sum += n
	}
	if sum != 8000 {
		t.Errorf("expected 8000, seen %d", sum)
	}
}

func TestHistogramsCountByBounds(t *testing.T) {
	t.Parallel()
	var h Histogram
	for _, d := range []time.Duration{0, 5 * time.Millisecond, 6 * time.Millisecond, time.Second, time.Minute} {
		h.Observe(d)
	}
	count, sum, within := h.Value()
	if count != 5 {
		t.Errorf("expected 5 observations, seen %d", count)
	}
	if want := time.Minute + time.Second + 11*time.Millisecond; sum != want {
		t.Errorf("expected %v together, seen %v", want, sum)
	}
	if got, want := fmt.Sprint(within), "[2 3 3 3 3 3 3 4 4 4 4]"; got != want {
		t.Errorf("by bounds: expected %s, seen %s", want, got)
	}
	if len(h.counts) != len(Bounds)+1 {
		t.Errorf("expected %d buckets, seen %d", len(Bounds)+1, len(h.counts))
	}
}

func TestProvidersAreForgottenWithTheirLastConfiguration(t *testing.T) {
	t.Parallel()
	const id = "of-this-test"
	first, second := UseProvider(id), UseProvider(id)
	Logins.With(id, "success").Inc()
	counted := func() bool { return values(Logins)["["+id+" success]"] == 1 }
	_ = first()
	if !counted() {
		t.Error("one configuration still has the provider, and its value is gone")
	}
	_ = second()
	if counted() {
		t.Error("no configuration has the provider, and its value is still there")
	}
}

// A metric allocates nothing. The benchmarks below measure its time, which should be at
// most 30 ns.
func TestAMetricCostsNoAllocation(t *testing.T) {
	c, h := SessionsOpened.With("valid"), ProviderLatency.With("of-another-test", "token")
	defer ProviderLatency.forget("of-another-test")
	if n := testing.AllocsPerRun(100, func() { c.Inc(); h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("expected no allocation, seen %v", n)
	}
}

func BenchmarkCounter(b *testing.B) {
	c := new(Counter)
	b.ReportAllocs()
	for b.Loop() {
		c.Inc()
	}
}

func BenchmarkCounterOfAllProcessors(b *testing.B) {
	c := new(Counter)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Inc()
		}
	})
}

func BenchmarkHistogram(b *testing.B) {
	h := new(Histogram)
	b.ReportAllocs()
	for b.Loop() {
		h.Observe(30 * time.Millisecond)
	}
}

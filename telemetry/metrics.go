package telemetry

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/streams"
)

// This file exports the metrics of package observe to Prometheus, through Caddy's
// registry. Caddy creates a registry for each configuration, while the metrics belong
// to the process, so all collectors read the same values.

// Sources provides the values of gauges when they are read. Its functions may be
// called at any time.
type Sources struct {
	// Providers calls do for each provider of the configuration.
	Providers func(do func(id string, discovery *op.Discovery))
	// Keys calls do for each set of keys, with its name and the time since when its
	// sealing key has existed.
	Keys func(do func(name string, since time.Time))
	Now  func() time.Time
}

// collector is the collector of one configuration.
type collector struct {
	Sources
	descriptions map[string]*prometheus.Desc // by name of the metric
}

// Register registers the metrics. It does nothing if registry is nil or has
// them already.
func Register(registry *prometheus.Registry, sources Sources) error {
	if registry == nil {
		return nil
	}
	c := &collector{sources, make(map[string]*prometheus.Desc)}
	for m := range allMetrics {
		c.descriptions[m.Name] = prometheus.NewDesc(prometheus.BuildFQName("caddy", "oidc_rp", m.Name), m.Help, m.Labels, nil)
	}
	err := registry.Register(c)
	if registered := (prometheus.AlreadyRegisteredError{}); errors.As(err, &registered) {
		return nil
	}
	return err
}

// allMetrics yields the description of each metric.
func allMetrics(yield func(observe.Metric) bool) {
	for _, v := range observe.Counters {
		if !yield(v.Metric) {
			return
		}
	}
	for _, v := range observe.Histograms {
		if !yield(v.Metric) {
			return
		}
	}
	for _, m := range observe.Gauges {
		if !yield(m) {
			return
		}
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, description := range c.descriptions {
		to <- description
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	for _, v := range observe.Counters {
		description := c.descriptions[v.Name]
		v.Each(func(labels []string, counter *observe.Counter) {
			to <- prometheus.MustNewConstMetric(description, prometheus.CounterValue, float64(counter.Value()), labels...)
		})
	}
	for _, v := range observe.Histograms {
		description := c.descriptions[v.Name]
		v.Each(func(labels []string, histogram *observe.Histogram) {
			count, sum, within := histogram.Value()
			buckets := make(map[float64]uint64, len(within))
			for i, n := range within {
				buckets[observe.Bounds[i].Seconds()] = n
			}
			to <- prometheus.MustNewConstHistogram(description, count, sum.Seconds(), buckets, labels...)
		})
	}
	c.collectGauges(func(m observe.Metric, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(c.descriptions[m.Name], prometheus.GaugeValue, value, labels...)
	})
}

// collectGauges calls show with the value of each gauge.
func (c *collector) collectGauges(show func(m observe.Metric, value float64, labels ...string)) {
	up := make(map[string]float64)
	c.Providers(func(id string, discovery *op.Discovery) {
		answers, known := discovery.Answers()
		if !known {
			return
		}
		value := 0.0
		if answers {
			value = 1
		}
		if before, seen := up[id]; !seen || value < before { // several sites may have a provider with this id
			up[id] = value
		}
	})
	for id, value := range up {
		show(observe.ProviderUp, value, id)
	}
	oldest := make(map[string]time.Time)
	c.Keys(func(name string, since time.Time) {
		if before, seen := oldest[name]; !seen || since.Before(before) {
			oldest[name] = since
		}
	})
	for name, since := range oldest {
		show(observe.KeyAge, c.Now().Sub(since).Seconds(), name)
	}
	show(observe.Streams, float64(streams.Shared.Len()))
	sessions, _ := sessionstore.Shared.Stats()
	show(observe.CacheSize, float64(sessions))
}

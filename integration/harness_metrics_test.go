package integration_test

import (
	"maps"
	"strings"
	"testing"
)

// metrics returns this plugin's metrics in Caddy's registry, by name and labels as
// `name{label="value"}`. The value of a histogram is its number of observations.
func (r *harness) metrics() map[string]float64 {
	r.t.Helper()
	families, err := r.ctx.GetMetricsRegistry().Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		name, ours := strings.CutPrefix(family.GetName(), "caddy_oidc_rp_")
		if !ours {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName()+`="`+label.GetValue()+`"`)
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			all[key] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// holdCounted checks how much metrics have grown. Metrics that are not listed are not checked.
func holdCounted(t *testing.T, before, after, want map[string]float64) {
	t.Helper()
	for name, expected := range want {
		if got := after[name] - before[name]; got != expected {
			t.Errorf("%s: expected %v more, seen %v more; all: %v", name, expected, got, grown(before, after))
		}
	}
}

// grown returns how much metrics have grown.
func grown(before, after map[string]float64) map[string]float64 {
	more := maps.Clone(after)
	maps.DeleteFunc(more, func(name string, value float64) bool {
		more[name] = value - before[name]
		return value == before[name]
	})
	return more
}

package main

import (
	"math/rand/v2"
	"slices"
)

// median returns the median of values, or 0 if there are none. It does not
// modify values.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// interval returns the 95 % confidence interval of the median, by the
// percentile bootstrap. It is deterministic.
func interval(values []float64) (low, high float64) {
	const times = 4000
	random := rand.New(rand.NewPCG(1, 2))
	medians := make([]float64, times)
	sample := make([]float64, len(values))
	for i := range medians {
		for j := range sample {
			sample[j] = values[random.IntN(len(values))]
		}
		medians[i] = median(sample)
	}
	slices.Sort(medians)
	return medians[times*25/1000], medians[times*975/1000-1]
}

package main

import (
	"math/rand/v2"
	"slices"
)

// median of values, which it leaves as they are.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// interval is where the median would lie in 95 of 100 such runs: the
// percentile bootstrap. It is the same for the same values.
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

package main

import "testing"

func TestMedian(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values []float64
		want   float64
	}{
		"none": {nil, 0},
		"one":  {[]float64{3}, 3},
		"odd":  {[]float64{9, 1, 5}, 5},
		"even": {[]float64{4, 1, 2, 100}, 3},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("%s: expected %v, seen %v", name, c.want, got)
		}
	}
}

func TestIntervalHoldsTheMedianAndLeavesOutOutliers(t *testing.T) {
	t.Parallel()
	values := []float64{50} // one outlier
	for i := range 40 {
		values = append(values, 1+float64(i%5)/100)
	}
	low, high := interval(values)
	if m := median(values); low > m || high < m {
		t.Errorf("expected an interval around %v, seen %v to %v", m, low, high)
	}
	if low < 1 {
		t.Errorf("expected an interval from 1 on, seen %v", low)
	}
	if high > 1.04 {
		t.Errorf("expected an interval up to 1.04, seen %v", high)
	}
	again, _ := interval(values)
	if again != low {
		t.Errorf("%v, and then %v, of the same values", low, again)
	}
}

package dashboard

import (
	"math"
	"strconv"
	"strings"
)

// units returns a function that formats values of one of Grafana's units.
func units(name string) (write func(float64) string, known bool) {
	if suffix, found := strings.CutPrefix(name, "suffix:"); found {
		return func(v float64) string { return number(v) + " " + suffix }, true
	}
	switch name {
	case "short":
		return number, true
	case "reqps":
		return func(v float64) string { return number(v) + " req/s" }, true
	case "percentunit":
		return func(v float64) string { return number(100*v) + "%" }, true
	case "s":
		return duration, true
	}
	return nil, false
}

// number formats a value with three significant digits.
func number(v float64) string {
	digits := 2
	if size := math.Abs(v); size >= 1 {
		digits = max(0, 2-int(math.Log10(size)))
	}
	return trim(v, digits)
}

// trim formats a number with at most this many decimals.
func trim(v float64, decimals int) string {
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// duration formats seconds in the largest unit that fits.
func duration(v float64) string {
	for _, unit := range []struct {
		seconds float64
		name    string
	}{{24 * 3600, "days"}, {3600, "hours"}, {60, "min"}, {1, "s"}, {1e-3, "ms"}} {
		if v >= unit.seconds {
			return number(v/unit.seconds) + " " + unit.name
		}
	}
	if v == 0 {
		return "0 s"
	}
	return number(v*1e6) + " µs"
}

// ticks returns round values, the first at most low and the last at least high.
func ticks(low, high float64, most int) (all []float64) {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/float64(most))))
	for _, factor := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*factor) <= float64(most) {
			step *= factor
			break
		}
	}
	for i := math.Floor(low / step); ; i++ {
		all = append(all, i*step)
		if i*step >= high-step*1e-9 {
			return all
		}
	}
}

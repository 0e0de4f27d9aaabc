package dashboard

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// rateInterval is Grafana's variable for the range of a rate.
const rateInterval = "$__rate_interval"

// Span is the time that a picture shows, with the scrape interval of its metrics.
type Span struct {
	From, To time.Time
	Scrape   time.Duration
}

// Point is a value at a time.
type Point struct {
	At    time.Time
	Value float64 // never NaN
}

// Series is one series of a query's result.
type Series struct {
	Name   string // as in the legend
	Points []Point
}

// Answers are the series of each query.
type Answers map[string][]Series

// Ask sends all queries of a dashboard to a Prometheus.
func (d *Dashboard) Ask(prometheus string, span Span) (Answers, error) {
	all := make(Answers)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			series, err := target.ask(prometheus, span)
			if err != nil {
				return nil, fmt.Errorf("panel %q: %w", p.Title, err)
			}
			all[target.Expr] = series
		}
	}
	return all, nil
}

// ask sends one query. As in Grafana, a rate covers four scrapes.
func (target Target) ask(prometheus string, span Span) ([]Series, error) {
	query := url.Values{
		"query": {strings.ReplaceAll(target.Expr, rateInterval, fmt.Sprintf("%dms", (4*span.Scrape).Milliseconds()))},
		"start": {seconds(span.From)}, "end": {seconds(span.To)}, "step": {fmt.Sprint(span.Scrape.Seconds())},
	}
	response, err := http.Get(prometheus + "/api/v1/query_range?" + query.Encode())
	if err != nil {
		return nil, fmt.Errorf("asking Prometheus: %w", err)
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("reading what Prometheus answers: %w", err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", target.Expr, answer.Error)
	}
	var all []Series
	for _, result := range answer.Data.Result {
		name, err := legend(target.LegendFormat, result.Metric)
		if err != nil {
			return nil, err
		}
		s := Series{Name: name}
		for _, pair := range result.Values {
			at, isNumber := pair[0].(float64)
			text, isText := pair[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if !isNumber || !isText || err != nil {
				return nil, fmt.Errorf("expected a time and a value of Prometheus, seen %v", pair)
			}
			if !math.IsNaN(value) && !math.IsInf(value, 0) {
				s.Points = append(s.Points, Point{time.UnixMilli(int64(at * 1000)), value})
			}
		}
		all = append(all, s)
	}
	return all, nil
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

var label = regexp.MustCompile(`\{\{\s*([a-z_]+)\s*\}\}`)

// legend returns the legend of a series.
func legend(format string, labels map[string]string) (name string, err error) {
	name = label.ReplaceAllStringFunc(format, func(shown string) string {
		value, exists := labels[label.FindStringSubmatch(shown)[1]]
		if !exists {
			err = fmt.Errorf("the legend %q shows a label that the series %v does not have", format, labels)
		}
		return value
	})
	return strings.TrimSpace(name), err
}

package dashboard

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func shipped(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var minute = Span{From: time.Unix(1_800_000_000, 0), To: time.Unix(1_800_000_060, 0), Scrape: 5 * time.Second}

// Read refuses a dashboard with anything that the picture would not show.
func TestWhatIsNotDrawnIsRefused(t *testing.T) {
	t.Parallel()
	text := shipped(t)
	for _, row := range []struct{ name, replace, by, expected string }{
		{"another type", `"type": "stat"`, `"type": "gauge"`, `panel "Sessions in memory": the type "gauge" is not drawn`},
		{"another unit", `"unit": "reqps"`, `"unit": "celsius"`, `the unit "celsius" is not known`},
		{"an option that the package does not know", `"fillOpacity": 10`, `"lineStyle": "dash"`, `unknown field "lineStyle"`},
		{"a value of an option that is not drawn", `"placement": "bottom"`, `"placement": "right"`, `the placement of the legend "right" is not drawn`},
		{"a variable", `[$__rate_interval]`, `[$window]`, `a variable other than $__rate_interval`},
		{"overrides", `"overrides": []`, `"overrides": [{}]`, "overrides are not drawn"},
		{"a collapsed row", `"collapsed": false`, `"collapsed": true`, `panel "Users": a row that is collapsed`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(text, row.replace) {
				t.Fatalf("the dashboard has no %s", row.replace)
			}
			_, err := Read([]byte(strings.ReplaceAll(text, row.replace, row.by)))
			if err == nil || !strings.Contains(err.Error(), row.expected) {
				t.Errorf("expected an error with %q, seen %v", row.expected, err)
			}
		})
	}
}

func TestAPanelWithoutQueriesIsRefused(t *testing.T) {
	t.Parallel()
	_, err := Read([]byte(`{"panels": [{"title": "Sign-ins", "type": "timeseries", "fieldConfig": {"defaults": {"unit": "short"}}}]}`))
	if err == nil || !strings.Contains(err.Error(), `panel "Sign-ins": it has no query`) {
		t.Errorf("expected an error about a panel without a query, seen %v", err)
	}
}

// A panel without data shows the dashboard's text for that.
func TestAPanelWithoutDataSaysSo(t *testing.T) {
	t.Parallel()
	d, err := Read([]byte(shipped(t)))
	if err != nil {
		t.Fatal(err)
	}
	svg, err := d.Draw(nil, minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		if !strings.Contains(svg, ">"+p.Title+"<") {
			t.Errorf("expected the panel %q, seen none", p.Title)
		}
	}
	for _, text := range []string{"No data", "No refusals", "No responses with 401"} {
		if !strings.Contains(svg, ">"+text+"<") {
			t.Errorf("expected %q, seen none", text)
		}
	}
}

func TestAnswersOfPrometheusAreDrawn(t *testing.T) {
	t.Parallel()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.FormValue("query"))
		fmt.Fprint(w, `{"status": "success", "data": {"resultType": "matrix", "result": [
			{"metric": {"provider": "a<b"}, "values": [[1800000000, "1"], [1800000005, "0"], [1800000010, "NaN"], [1800000030, "0.5"], [1800000035, "1"]]}]}}`)
	}))
	defer server.Close()
	target := Target{Expr: "rate(x[$__rate_interval])", LegendFormat: "at {{provider}}"}
	series, err := target.ask(server.URL, minute)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := asked[0], "rate(x[20000ms])"; got != want {
		t.Errorf("expected the query %s, seen %s", want, got)
	}
	d := &Dashboard{Panels: []Panel{{Type: "timeseries", Title: "Sign-ins", Targets: []Target{target}}}}
	d.Panels[0].GridPos.W, d.Panels[0].GridPos.H = 8, 7
	d.Panels[0].FieldConfig.Defaults.Unit = "percentunit"
	d.Panels[0].Options.Legend.ShowLegend = true
	svg, err := d.Draw(Answers{target.Expr: series}, minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{">Sign-ins<", ">at a&lt;b<", ">100%<", ">60%<", ">0%<"} {
		if !strings.Contains(svg, text) {
			t.Errorf("expected %s, seen none in %s", text, svg)
		}
	}
	if got := strings.Count(svg, `stroke-width="1.5"`); got != 2 {
		t.Errorf("expected a line that is broken where values are missing, so two parts, seen %d", got)
	}

	target.LegendFormat = "{{user}}"
	if _, err := target.ask(server.URL, minute); err == nil {
		t.Error("expected an error about a label that the series do not have, seen none")
	}
}

func TestAQueryThatPrometheusRefusesIsAnError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"status": "error", "error": "parse error"}`)
	}))
	defer server.Close()
	_, err := Target{Expr: "sum("}.ask(server.URL, minute)
	if err == nil || !strings.Contains(err.Error(), "sum(: parse error") {
		t.Errorf("expected the error of Prometheus with the query, seen %v", err)
	}
}

func TestAStateWithoutAMappingIsAnError(t *testing.T) {
	t.Parallel()
	d, err := Read([]byte(shipped(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		if p.Type != "state-timeline" {
			continue
		}
		_, err := d.Draw(Answers{p.Targets[0].Expr: {{Name: "corp", Points: []Point{{minute.From, 2}}}}}, minute)
		if err == nil || !strings.Contains(err.Error(), "the value 2") {
			t.Errorf("%s: expected an error about the value 2, seen %v", p.Title, err)
		}
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		unit     string
		value    float64
		expected string
	}{
		{"short", 0, "0"}, {"short", 12, "12"}, {"short", 1234.5, "1234"}, {"short", 0.256, "0.26"},
		{"reqps", 2.5, "2.5 req/s"}, {"suffix:/min", 20, "20 /min"}, {"percentunit", 0.5, "50%"},
		{"s", 0, "0 s"}, {"s", 0.0125, "12.5 ms"}, {"s", 90, "1.5 min"}, {"s", 3 * 24 * 3600, "3 days"},
	} {
		write, known := units(row.unit)
		if !known {
			t.Fatalf("%s: expected a known unit", row.unit)
		}
		if got := write(row.value); got != row.expected {
			t.Errorf("%v %s: expected %q, seen %q", row.value, row.unit, row.expected, got)
		}
	}
}

func TestTicksAreRoundAndEnclose(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		low, high float64
		expected  string
	}{
		{0, 1, "0 0.2 0.4 0.6 0.8 1"}, {0, 7, "0 2 4 6 8"}, {0, 10, "0 2 4 6 8 10"}, {3, 4, "3 3.2 3.4 3.6 3.8 4"}, {0, 99, "0 20 40 60 80 100"},
	} {
		var seen []string
		for _, tick := range ticks(row.low, row.high, 5) {
			seen = append(seen, number(tick))
		}
		if got := strings.Join(seen, " "); got != row.expected {
			t.Errorf("%v to %v: expected %s, seen %s", row.low, row.high, row.expected, got)
		}
	}
}

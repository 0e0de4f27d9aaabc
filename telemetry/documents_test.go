package telemetry

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// labelsByName returns the labels of each metric's series, by full name.
func labelsByName() map[string][]string {
	all := make(map[string][]string)
	for m := range allMetrics {
		all["caddy_oidc_rp_"+m.Name] = m.Labels
	}
	for _, v := range observe.Histograms {
		name := "caddy_oidc_rp_" + v.Name
		all[name+"_bucket"] = append(slices.Clone(v.Labels), "le")
		all[name+"_sum"], all[name+"_count"] = v.Labels, v.Labels
	}
	return all
}

var (
	namedMetric   = regexp.MustCompile(`caddy_oidc_rp_[a-z_]+`)
	selected      = regexp.MustCompile(`(caddy_oidc_rp_[a-z_]+)\{([^}]*)\}`)
	selectedLabel = regexp.MustCompile(`([a-z_]+)\s*[=!]`)
	grouped       = regexp.MustCompile(`by \(([a-z_, ]+)\)`)
	shownLabel    = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
)

// checkQuery returns the errors in a query and in the legend that shows its labels.
func checkQuery(query, legend string) (wrong []string) {
	known := labelsByName()
	names := namedMetric.FindAllString(query, -1)
	if len(names) == 0 {
		return []string{"it names no metric"}
	}
	var labels []string
	for _, name := range names {
		if _, exists := known[name]; !exists {
			wrong = append(wrong, "there is no metric "+name)
		}
		labels = append(labels, known[name]...)
	}
	for _, m := range selected.FindAllStringSubmatch(query, -1) {
		for _, label := range selectedLabel.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(known[m[1]], label[1]) {
				wrong = append(wrong, m[1]+" has no label "+label[1])
			}
		}
	}
	var by []string
	for _, m := range grouped.FindAllStringSubmatch(query, -1) {
		for _, label := range strings.Split(m[1], ",") {
			label = strings.TrimSpace(label)
			by = append(by, label)
			if !slices.Contains(labels, label) {
				wrong = append(wrong, "it groups by "+label+", which its metrics do not have")
			}
		}
	}
	for _, m := range shownLabel.FindAllStringSubmatch(legend, -1) {
		if !slices.Contains(by, m[1]) {
			wrong = append(wrong, "it shows "+m[1]+", by which it does not group")
		}
	}
	return wrong
}

func TestDashboardNamesMetricsThatExist(t *testing.T) {
	t.Parallel()
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	text := read(t, "deploy", "grafana.json")
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := make(map[int]bool)
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] {
			t.Errorf("%s: another panel has its id", panel.Title)
		}
		ids[panel.ID] = true
		if len(panel.Targets) == 0 && panel.Type != "row" {
			t.Errorf("%s: expected a query, seen none", panel.Title)
		}
		for _, target := range panel.Targets {
			for _, wrong := range checkQuery(target.Expr, target.LegendFormat) {
				t.Errorf("%s: %s: %s", panel.Title, target.Expr, wrong)
			}
		}
	}
	for m := range allMetrics {
		if !strings.Contains(text, "caddy_oidc_rp_"+m.Name) {
			t.Errorf("no panel shows %s", m.Name)
		}
	}
}

func TestAlertsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	rules := strings.Split(read(t, "deploy", "alerts.yml"), "- alert: ")[1:]
	if len(rules) == 0 {
		t.Fatal("there is no alert")
	}
	for _, rule := range rules {
		name, rest, _ := strings.Cut(rule, "\n")
		query, annotations, _ := strings.Cut(rest, "labels:")
		for _, wrong := range checkQuery(query, annotations) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}

// This test checks checkQuery itself, so that a rule that never matches is noticed.
func TestQueriesThatAreWrong(t *testing.T) {
	t.Parallel()
	for query, legend := range map[string]string{
		"sum(up)":                                               "",
		"sum(caddy_oidc_rp_login_total)":                        "",
		`caddy_oidc_rp_logins_total{user="alice"}`:              "",
		"sum by (host) (caddy_oidc_rp_logins_total)":            "",
		"sum by (provider) (caddy_oidc_rp_logins_total)":        "{{outcome}}",
		`sum by (le) (caddy_oidc_rp_provider_up{provider="a"})`: "",
	} {
		if len(checkQuery(query, legend)) == 0 {
			t.Errorf("%s: expected an error, seen none", query)
		}
	}
}

// The table of docs/operations.md has exactly the existing metrics with their labels.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	documented := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `caddy_oidc_rp_([a-z_]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(read(t, "docs", "operations.md"), -1) {
		documented[m[1]] = m[2]
	}
	for m := range allMetrics {
		labels := make([]string, len(m.Labels))
		for i, label := range m.Labels {
			labels[i] = "`" + label + "`"
		}
		want := strings.Join(labels, " ")
		if got, there := documented[m.Name]; !there || strings.TrimSpace(got) != want {
			t.Errorf("%s: expected a row with the labels %q, seen %q (%v)", m.Name, want, got, there)
		}
		delete(documented, m.Name)
		if m.Help == "" || !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: expected a sentence, seen %q", m.Name, m.Help)
		}
	}
	for name := range documented {
		t.Errorf("docs/operations.md has the metric %s, which does not exist", name)
	}
}

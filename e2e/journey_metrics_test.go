package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A real Prometheus scrapes Caddy, evaluates the alert rules that we ship, and answers
// each question of the dashboard.
func TestPrometheusReadsMetricsRulesAndDashboard(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Abs("../deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("prometheus/.dist/usr/bin/promtool", "check", "rules", rules).CombinedOutput(); err != nil {
		t.Errorf("expected rules that promtool takes, seen %v: %s", err, out)
	}
	w := start(t, oidcProvider, site{tls: true})
	b := w.newBrowser()
	if status := b.script("/data").status; status != 401 {
		t.Fatalf("a script without a session: expected 401, seen %d", status)
	}
	b.signIn("/page", "alice").isFor("alice", "/page")
	b.open("/Special:UserLogout")

	folder := t.TempDir()
	writeLines(t, filepath.Join(folder, "prometheus.yml"), fmt.Sprintf(`
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: [%s]
scrape_configs:
- job_name: caddy
  static_configs: [{targets: ['127.0.0.1:%d']}]`, rules, w.caddy.admin))
	prometheus := fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	spawn(t, "prometheus", nil, "prometheus/.dist/usr/bin/prometheus", "--config.file="+filepath.Join(folder, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+mustParse(prometheus).Host)

	var evaluated struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	eventually(t, 30*time.Second, "all rules are evaluated", func() bool {
		if readJSON(prometheus+"/api/v1/rules", &evaluated) != nil || len(evaluated.Data.Groups) == 0 {
			return false
		}
		for _, rule := range evaluated.Data.Groups[0].Rules {
			if rule.Health == "unknown" {
				return false
			}
		}
		return true
	})
	for _, rule := range evaluated.Data.Groups[0].Rules {
		if rule.Health != "ok" {
			t.Errorf("%s: expected a rule that works, seen %s: %s", rule.Name, rule.Health, rule.LastError)
		}
	}

	// What this journey cannot have brought about has no series.
	silent := []string{"Sign-ins that failed", "Refusals by rule", "Refreshes", "Programs", "Failed requests to providers", "Store errors", "Known users"}
	for title, queries := range dashboardQueries(t) {
		for _, query := range queries {
			query = strings.ReplaceAll(query, "$__rate_interval", "1m")
			var answer struct {
				Status, Error string
				Data          struct{ Result []json.RawMessage }
			}
			series := func() int {
				if err := readJSON(prometheus+"/api/v1/query?query="+url.QueryEscape(query), &answer); err != nil {
					t.Fatalf("%s: %v", title, err)
				}
				return len(answer.Data.Result)
			}
			if slices.Contains(silent, title) {
				series()
			} else {
				eventually(t, 20*time.Second, title+" has series for "+query, func() bool { return series() > 0 })
			}
			if answer.Status != "success" {
				t.Errorf("%s: expected a query that Prometheus answers, seen %s: %s", title, answer.Error, query)
			}
		}
	}
}

// dashboardQueries returns the queries of the dashboard, by the titles of its panels.
func dashboardQueries(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := make(map[string][]string)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries[panel.Title] = append(queries[panel.Title], target.Expr)
		}
	}
	if len(queries) == 0 {
		t.Fatal("expected a dashboard with queries, seen none")
	}
	return queries
}

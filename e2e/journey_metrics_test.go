package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A real Prometheus scrapes Caddy and evaluates the alert rules of the documentation.
func TestPrometheusEvaluatesTheAlertRules(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Abs("../deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("prometheus/.dist/usr/bin/promtool", "check", "rules", rules).CombinedOutput(); err != nil {
		t.Errorf("expected rules that promtool takes, seen %v: %s", err, out)
	}
	w := start(t, oidcProvider, site{})
	prometheus := w.startPrometheus(time.Second, rules)
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
}

// startPrometheus starts a Prometheus that scrapes the world's Caddy and returns its
// origin.
func (w *world) startPrometheus(scrape time.Duration, rules ...string) string {
	w.t.Helper()
	folder := w.t.TempDir()
	writeLines(w.t, filepath.Join(folder, "prometheus.yml"), fmt.Sprintf(`
global:
  scrape_interval: %s
  evaluation_interval: %[1]s
rule_files: [%s]
scrape_configs:
- job_name: caddy
  static_configs: [{targets: ['127.0.0.1:%d']}]`, scrape, strings.Join(rules, ", "), w.caddy.admin))
	origin := fmt.Sprintf("http://127.0.0.1:%d", freePort(w.t))
	spawn(w.t, "prometheus", nil, "prometheus/.dist/usr/bin/prometheus", "--config.file="+filepath.Join(folder, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+mustParse(origin).Host)
	return origin
}

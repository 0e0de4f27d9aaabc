package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// cacheSaw is what browser/cache.mjs reports.
type cacheSaw struct {
	Steps []struct {
		Name, URL, Text string
		Form            int
	}
	Error string
}

// If nothing forbids it, a browser may show a file with an old Last-Modified for months
// without asking again, even after a logout.
func TestChromiumShowsNoPrivatePageAfterALogout(t *testing.T) {
	t.Parallel()
	needFile(t, "/usr/bin/chromium")
	needFile(t, "browser/node_modules/playwright-core/package.json")
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	const report = "The report of 2024, for alice alone"
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/report.html" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
		if r.Header.Get("If-Modified-Since") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "<!doctype html><title>Report</title><p>", report)
	}))
	t.Cleanup(files.Close)
	s := site{}
	w := newWorld(t, zitadel, s)
	w.op.start(t)
	w.startCaddyWith(s, strings.ReplaceAll(w.site(w.base, s), w.app.addr(), files.Listener.Addr().String()))

	order, _ := json.Marshal(map[string]string{"site": w.base, "page": "/report.html", "logout": logoutPath, "password": "alice" + habits[w.op.kind].password})
	script := spawn(t, "chromium cache", nil, node, "browser/cache.mjs", string(order))
	var saw cacheSaw
	awaitSteps(t, script, 2*time.Minute, &saw)
	if saw.Error != "" {
		t.Fatalf("the journey ended early: %s\n%s", saw.Error, script.log.tail(10))
	}
	if len(saw.Steps) != 4 {
		t.Fatalf("expected four steps, seen %d\n%s", len(saw.Steps), script.log.tail(10))
	}
	for _, step := range saw.Steps[:2] {
		if step.Text != report {
			t.Errorf("%s: alice sees %q at %s", step.Name, step.Text, step.URL)
		}
	}
	last := saw.Steps[3]
	if strings.Contains(last.Text, report) {
		t.Errorf("after the logout: expected nothing of the report, seen %q", last.Text)
	}
	if last.Form != 1 {
		t.Errorf("after the logout: expected a login form, seen %q", last.Text)
	}
	if !strings.HasPrefix(last.URL, w.op.issuer) {
		t.Errorf("after the logout: expected a page of the provider, seen %s", last.URL)
	}
}

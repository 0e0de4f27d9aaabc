package integration_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// audited returns the audit lines of an event in the log.
func (r *harness) audited(event string) (lines []map[string]any) {
	r.t.Helper()
	for text := range strings.Lines(r.logs()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			r.t.Fatalf("%v: %s", err, text)
		}
		if line["event"] == event {
			lines = append(lines, line)
		}
	}
	return lines
}

// lastAudited returns the last audit line of an event, which must exist.
func (r *harness) lastAudited(event string) map[string]any {
	r.t.Helper()
	lines := r.audited(event)
	if len(lines) == 0 {
		r.t.Fatalf("the log has no line with the event %s:\n%s", event, r.logs())
	}
	return lines[len(lines)-1]
}

func holdFields(t *testing.T, line map[string]any, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if fmt.Sprint(line[name]) != fmt.Sprint(value) {
			t.Errorf("field %s: expected %v, seen %v in %v", name, value, line[name], line)
		}
	}
}

// logLines returns the lines of the log whose fields have the given values.
func (r *harness) logLines(fields map[string]string) (found []map[string]any) {
	r.t.Helper()
	lines := bufio.NewScanner(strings.NewReader(r.logs()))
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			r.t.Fatalf("a line of the log is not JSON: %s", lines.Bytes())
		}
		matches := true
		for name, want := range fields {
			if got, _ := line[name].(string); got != want {
				matches = false
			}
		}
		if matches {
			found = append(found, line)
		}
	}
	return found
}

// holdLog checks that each line of this plugin's loggers has an event and no stack trace.
func (r *harness) holdLog() {
	for text := range strings.Lines(r.logs()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) != nil {
			continue
		}
		logger, _ := line["logger"].(string)
		if logger != "oidc_rp" && logger != "http.handlers.oidc_rp" && !strings.HasPrefix(logger, "oidc_rp.") {
			continue
		}
		if event, _ := line["event"].(string); event == "" {
			r.t.Errorf("a line of the log has no event: %s", text)
		}
		if _, has := line["stacktrace"]; has {
			r.t.Errorf("a line of the log has a stack trace: %s", text)
		}
	}
}

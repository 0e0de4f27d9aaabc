package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// canaries are the secrets of one journey. None of them may appear in a log line, at any
// level, or in what the admin endpoint shows.
type canaries struct {
	mu    sync.Mutex
	value map[string]string // from the secret to its kind
}

func (c *canaries) add(what, value string) {
	if len(value) < 8 { // too short to tell from ordinary text
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.value == nil {
		c.value = map[string]string{}
	}
	c.value[value] = what
	if escaped := url.QueryEscape(value); escaped != value {
		c.value[escaped] = what
	}
}

// watch collects the secrets in one answer of the relying party.
func (c *canaries) watch(asked *url.URL, answer *http.Response) {
	for _, cookie := range answer.Cookies() {
		c.add("cookie "+cookie.Name, cookie.Value)
	}
	if strings.HasPrefix(asked.Path, "/@app/auth/") {
		c.add("code", asked.Query().Get("code"))
		c.add("state", asked.Query().Get("state"))
	}
	if to, err := url.Parse(answer.Header.Get("Location")); err == nil {
		for _, name := range []string{"state", "nonce", "id_token_hint"} {
			c.add(name, to.Query().Get(name))
		}
	}
}

// found returns the kind of secret that the text contains, or "".
func (c *canaries) found(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for value, what := range c.value {
		if strings.Contains(text, value) {
			return what
		}
	}
	return ""
}

// checkLogs looks for canaries and for signs of a crash. It skips Caddy's own request
// logs (access, and errors with error_pages caddy), because they log requests as they
// are: they show the query of the callback, for which docs/recipes/access-logs.md has a
// filter.
func (c *canaries) checkLogs(t testing.TB, n *node) {
	t.Helper()
	for _, line := range n.lines() {
		for _, crash := range []string{"DATA RACE", "panic:", "panic serving", "fatal error:"} {
			if strings.Contains(line, crash) {
				t.Errorf("Caddy crashed or raced: %s\n%s", line, n.process.log.tail(60))
			}
		}
		var entry struct{ Logger string }
		if json.Unmarshal([]byte(line), &entry) == nil && (strings.HasPrefix(entry.Logger, "http.log.access") || strings.HasPrefix(entry.Logger, "http.log.error")) {
			continue
		}
		if n.balances && strings.HasPrefix(entry.Logger, "http.handlers.reverse_proxy") {
			continue
		}
		if what := c.found(line); what != "" {
			t.Errorf("the log holds a secret (%s): %s", what, line)
		}
	}
}

// checkAdmin looks for the canaries in the configuration and the metrics.
func (c *canaries) checkAdmin(t testing.TB, n *node) {
	t.Helper()
	if n.process == nil || !n.process.running() {
		return
	}
	for _, path := range []string{"/config/", "/metrics"} {
		status, body := n.get(path)
		if status != http.StatusOK {
			t.Errorf("admin%s answers %d", path, status)
		}
		if what := c.found(body); what != "" {
			t.Errorf("admin%s holds a secret (%s)", path, what)
		}
	}
}

package e2e

import (
	"crypto/rand"
	"strings"
	"time"
)

// Another goroutine reads Caddy's log from a pipe. A line arrives shortly after the
// answer to the request that it is about.

// lines returns all log lines so far, of every process of this node.
func (n *node) lines() []string {
	var all []string
	for _, log := range n.logs {
		all = append(all, strings.Split(log.String(), "\n")...)
	}
	return all
}

// count returns how many of the log lines that Caddy wrote before the call contain the
// words. It can also check that there are no more.
func (n *node) count(words string) (times int) {
	n.t.Helper()
	n.awaitLog()
	for _, line := range n.lines() {
		if strings.Contains(line, words) {
			times++
		}
	}
	return times
}

// awaitLog returns once everything that Caddy logged before the call has arrived. Caddy
// logs each request to its admin endpoint, at the level INFO, before it answers. The log
// of a process that has ended is complete.
func (n *node) awaitLog() {
	n.t.Helper()
	mark := rand.Text()
	eventually(n.t, 30*time.Second, "the log holds a request to the admin endpoint", func() bool {
		if n.process == nil || !n.process.running() {
			return true
		}
		if strings.Contains(n.process.log.String(), mark) {
			return true
		}
		_, _ = n.get("/config/admin?mark=" + mark) // a reload may cut the connection
		return strings.Contains(n.process.log.String(), mark)
	})
}

// awaitLine waits for a log line, even one that Caddy writes after its answer, as in
// access logs.
func (n *node) awaitLine(what string, isIt func(line string) bool) {
	n.t.Helper()
	eventually(n.t, logDelay, what, func() bool {
		for _, line := range n.lines() {
			if isIt(line) {
				return true
			}
		}
		return false
	})
}

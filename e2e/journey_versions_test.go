package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// earlierCommit is an earlier version that stores sessions only in cookies.
const earlierCommit = "3bba0f6b0ebc1d3337990d0062aae9a05410aecd"

// earlierProgram is built from this repository's history.
var earlierProgram = &program{name: "caddy-earlier", pkg: "./cmd/caddy", race: true}

var takeEarlier = sync.OnceValue(func() error {
	earlierProgram.dir = bin + "/earlier"
	text, err := exec.Command("sh", "-c", `mkdir "$1" && cd .. && git archive --output "$1.tar" "$2" && tar -xf "$1.tar" -C "$1"`,
		"sh", earlierProgram.dir, earlierCommit).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	return nil
})

// One of three nodes runs an earlier version, as during an update. Its sessions work on
// the others, and a logout on any node ends them on all. It cannot open the others'
// sessions and begins a new login, without an error.
func TestAnEarlierVersionServesBesideThisOne(t *testing.T) {
	t.Parallel()
	if err := takeEarlier(); err != nil {
		if long {
			t.Fatalf("the earlier version is not there: %v", err)
		}
		t.Skipf("nothing was shown of two versions side by side, since this clone does not have the earlier one: %v", err)
	}
	c := newCluster(t, clusterKinds[0], site{client: "rp-bcl"})
	earlier, later := c.nodes[2], c.nodes[:2]
	earlier.program = earlierProgram
	c.start()
	start := func(n *clusterNode) { n.start(c.configOf(n, c.kind.store)) }

	for _, n := range later {
		n.kill()
	}
	var people []*browser
	for range 3 {
		b := c.newBrowser()
		b.signIn("/private", "alice").isFor("alice", "/private")
		people = append(people, b)
	}
	for _, n := range later {
		start(n)
	}
	for _, b := range people {
		c.liveEverywhere("alice", b.cookieHeader())
	}
	for i, n := range []*clusterNode{earlier, later[0]} {
		copied := people[i].cookieHeader()
		if status, _ := c.askFor(n, logoutPath, copied); status/100 != 3 {
			t.Errorf("the logout at %s answers %d", n.name, status)
		}
		c.deadEverywhere(copied, time.Now())
	}
	copied := people[2].cookieHeader()
	c.liveEverywhere("alice", copied)
	people[2].leaveProvider() // the provider notifies a later node
	c.deadEverywhere(copied, time.Now())

	earlier.kill()
	b := c.newBrowser()
	b.signIn("/private", "alice").isFor("alice", "/private")
	start(earlier)
	for _, n := range later {
		status, user := c.ask(n, b.cookieHeader())
		if status != http.StatusOK {
			t.Errorf("%s: expected status 200, seen %d", n.name, status)
		}
		if user != "alice" {
			t.Errorf("%s: expected the user alice, seen %q", n.name, user)
		}
	}
	if status, _ := c.ask(earlier, b.cookieHeader()); status != http.StatusUnauthorized {
		t.Errorf("the earlier version answers %d to a session that it cannot open", status)
	}
}

package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// earlierCommit is an earlier version, which has sessions in cookies only.
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

// One of three nodes is of an earlier version, as while an update is under way.
func TestAnEarlierVersionServesBesideThisOne(t *testing.T) {
	t.Parallel()
	if err := takeEarlier(); err != nil {
		if long {
			t.Fatalf("the earlier version is not there: %v", err)
		}
		t.Skipf("nothing was shown of two versions side by side, since this clone does not have the earlier one: %v", err)
	}
	const life = 8 * time.Second
	c := newCluster(t, clusterKinds[0], site{client: "rp-bcl", options: "scopes openid profile email offline_access\nupstream {\naccess_token\n}"})
	c.op.env = []string{fmt.Sprintf("AT_TTL=%d", int(life.Seconds()))}
	earlier := c.nodes[2]
	earlier.program = earlierProgram
	c.start()
	people := c.loginsEndOnOtherNodes(40)
	for _, n := range c.nodes[:2] {
		if c.pairs[n.name+" "+earlier.name] == 0 || c.pairs[earlier.name+" "+n.name] == 0 {
			t.Errorf("of the logins none went between %s and %s in both directions: %v", n.name, earlier.name, c.pairs)
		}
	}
	c.everyNodeServes(people)
	for _, n := range []*clusterNode{earlier, c.nodes[0]} {
		b := c.newBrowser()
		b.signIn("/private", "alice").isFor("alice", "/private")
		copied := b.cookieHeader()
		c.liveEverywhere("alice", copied)
		if status, _ := c.askFor(n, logoutPath, copied); status/100 != 3 {
			t.Errorf("the logout at %s answers %d", n.name, status)
		}
		c.deadEverywhere(copied, time.Now())
	}
	c.backchannelLogoutsReachAllNodes()
	c.refreshesOnce(life, 2)
	if status, _ := c.ask(earlier, people[0].cookieHeader()); status != http.StatusOK {
		t.Errorf("a session whose token expired gets %d at the earlier version", status)
	}
}

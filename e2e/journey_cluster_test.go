package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Users sign in, work, and sign out on three nodes behind a balancer without sticky
// sessions. Nodes are killed, and secrets and Redis change, under load.
//
// See docs/faults.md, row F43.
func TestThreeNodesAreOneSite(t *testing.T) {
	eachKind(t, func(t *testing.T, kind clusterKind) {
		c := startCluster(t, kind, site{client: "rp-bcl"})
		people := c.loginsEndOnOtherNodes(50)
		c.everyNodeServes(people)
		c.logoutsReachAllNodes()
		c.backchannelLogoutsReachAllNodes()
		c.revocationsReachAllNodes()
		c.aNodeDiesUnderLoad(people)
		if kind.apart {
			c.secretsRotateUnderLoad(people)
		}
		if kind.redis {
			c.redisRestartsUnderLoad(people)
			c.redisForgets(people)
		}
	})
}

// loginsEndOnOtherNodes signs people in, all at once. Many logins that begin on one node
// end on another.
func (c *cluster) loginsEndOnOtherNodes(number int) []person {
	c.t.Helper()
	people := make([]person, number)
	var mu sync.Mutex
	c.pairs = map[string]int{}
	elsewhere, begun, ended := 0, map[string]int{}, map[string]int{}
	var all sync.WaitGroup
	for i := range people {
		people[i] = person{c.newBrowser(), fmt.Sprintf("user%d", i)}
		all.Go(func() {
			p := people[i]
			form := p.open("/first").asks(c.world)
			home := form.signIn(p.user)
			home.isFor(p.user, "/first")
			from, to := nodeOf(form, "/first"), nodeOf(home, "/code?")
			mu.Lock()
			defer mu.Unlock()
			begun[from]++
			ended[to]++
			c.pairs[from+" "+to]++
			if from != to {
				elsewhere++
			}
		})
	}
	all.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
	c.t.Logf("%d of %d logins ended on another node; begun %v, ended %v", elsewhere, number, begun, ended)
	if elsewhere < number/3 {
		c.t.Errorf("expected %d logins at least to end on another node, seen %d", number/3, elsewhere)
	}
	for what, nodes := range map[string]map[string]int{"begin": begun, "end": ended} {
		if len(nodes) != 3 {
			c.t.Errorf("expected logins to %s on three nodes, seen %v", what, nodes)
		}
	}
	return people
}

// nodeOf returns the node that answered a request of a page load.
func nodeOf(p *page, part string) string {
	for _, h := range p.hops {
		if p.b.w.isSite(mustParse(h.url)) && strings.Contains(h.url, part) {
			return h.header.Get("X-Node")
		}
	}
	return "anonymous"
}

// everyNodeServes sends each session's cookies to each node directly.
func (c *cluster) everyNodeServes(people []person) {
	c.t.Helper()
	for _, p := range people {
		c.liveEverywhere(p.user, p.cookieHeader())
	}
}

func (c *cluster) logoutsReachAllNodes() {
	c.t.Helper()
	b, other := c.newBrowser(), c.newBrowser()
	b.signIn("/private", "alice").isFor("alice", "/private")
	other.signIn("/private", "alice").isFor("alice", "/private")
	copied := b.cookieHeader()
	c.liveEverywhere("alice", copied) // so that the nodes cache it
	question := b.open(logoutPath)
	c.deadEverywhere(copied, time.Now())
	question.signOut()
	c.liveEverywhere("alice", other.cookieHeader())
}

// backchannelLogoutsReachAllNodes ends a session by a logout token, which the provider
// sends only to the first node.
func (c *cluster) backchannelLogoutsReachAllNodes() {
	c.t.Helper()
	b, other := c.newBrowser(), c.newBrowser()
	b.signIn("/private", "alice").isFor("alice", "/private")
	other.signIn("/private", "alice").isFor("alice", "/private")
	copied := b.cookieHeader()
	c.liveEverywhere("alice", copied)
	b.leaveProvider() // returns once the site has been notified
	c.deadEverywhere(copied, time.Now())
	c.liveEverywhere("alice", other.cookieHeader())
	b.signIn("/again", "alice").isFor("alice", "/again")
}

// revocationsReachAllNodes revokes a user's sessions on one node.
func (c *cluster) revocationsReachAllNodes() {
	c.t.Helper()
	b, bob := c.newBrowser(), c.newBrowser()
	b.signIn("/private", "alice").isFor("alice", "/private")
	bob.signIn("/private", "bob").isFor("bob", "/private")
	copied := b.cookieHeader()
	c.liveEverywhere("alice", copied)
	var answer struct{ Ended []struct{ Kind string } }
	c.nodes[1].post("/oidc_rp/revoke", `{"subject": "alice"}`, &answer)
	if len(answer.Ended) != 1 {
		c.t.Fatalf("expected one revocation, seen %+v", answer)
	}
	if got := answer.Ended[0].Kind; got != "subject" {
		c.t.Errorf("expected a revocation of a subject, seen one of a %s", got)
	}
	c.deadEverywhere(copied, time.Now())
	c.liveEverywhere("bob", bob.cookieHeader())
	b.open("/again").isFor("alice", "/again") // the user is not banned
}

// aNodeDiesUnderLoad kills a node. The balancer sends its requests to the others, and no
// user notices.
func (c *cluster) aNodeDiesUnderLoad(people []person) {
	c.t.Helper()
	l := newRush(c.world, people, 20*time.Millisecond)
	l.goOn(200)
	for _, n := range c.nodes {
		n.kill()
		l.goOn(500)
		n.start(c.configOf(n, c.kind.store))
		l.goOn(200)
		if !long {
			break
		}
	}
	l.endsWell()
	c.everyNodeServes(people)
}

// secretsRotateUnderLoad gives the nodes a new secret, one after another. The new secret
// seals only once all nodes open with it, and then the old one is removed.
func (c *cluster) secretsRotateUnderLoad(people []person) {
	c.t.Helper()
	before := people[0].cookieHeader()
	l := newRush(c.world, people, 20*time.Millisecond)
	for _, secrets := range []string{
		firstSecret + " " + secondSecret,
		secondSecret + " " + firstSecret,
		secondSecret,
	} {
		for _, n := range c.nodes {
			l.goOn(100)
			if err := n.reload(c.configOf(n, "secret "+secrets)); err != nil {
				c.t.Fatal(err)
			}
		}
		l.goOn(500) // every user has sent a request
	}
	l.endsWell()
	c.kind.store = "secret " + secondSecret
	c.everyNodeServes(people)
	for _, n := range c.nodes {
		if status, _ := c.ask(n, before); status != http.StatusUnauthorized {
			c.t.Errorf("%s answers %d to a cookie that the old secret sealed", n.name, status)
		}
	}
}

// redisRestartsUnderLoad restarts Redis. Meanwhile no user is let in or sent to the
// login; afterwards all sessions work again.
func (c *cluster) redisRestartsUnderLoad(people []person) {
	c.t.Helper()
	l := newRush(c.world, people, 20*time.Millisecond)
	l.goOn(200)
	c.redis.stop()
	time.Sleep(500 * time.Millisecond)
	c.redis.start()
	back := time.Now()
	l.goOn(1000)
	var last time.Duration
	refused := 0
	for _, o := range l.end() {
		if o.what != "503" {
			c.t.Errorf("while Redis was away a request got %s", o.what)
		}
		refused++
		last = max(last, o.at.Sub(back))
	}
	if refused == 0 {
		c.t.Error("expected requests to fail while Redis was away, seen none")
	}
	if last > 1500*time.Millisecond {
		c.t.Errorf("a request was refused %v after Redis was back", last)
	}
	c.t.Logf("%d requests were refused, the last %v after Redis was back; %d were answered", refused, last.Round(time.Millisecond), l.good)
	c.everyNodeServes(people)
}

// redisForgets empties Redis. Each user then needs one login, without a password at the
// provider.
func (c *cluster) redisForgets(people []person) {
	c.t.Helper()
	c.redis.ask("FLUSHALL")
	calls := c.op.hits(c.t, "/token")
	for range 2 {
		for _, p := range people {
			p.open("/after").isFor(p.user, "/after")
		}
	}
	if got := c.op.hits(c.t, "/token") - calls; got != len(people) {
		c.t.Errorf("%d logins of %d people", got, len(people))
	}
	c.everyNodeServes(people)
}

// The access token of one session expires while many of its requests are in flight on all
// nodes. The provider accepts each refresh token only once.
func TestThreeNodesRefreshOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, kind clusterKind) {
		const life = 30 * time.Second
		c := newCluster(t, kind, site{options: `scopes openid profile email offline_access
		upstream {
			access_token
		}`})
		c.op.env = []string{fmt.Sprintf("AT_TTL=%d", int(life.Seconds()))}
		c.start()
		c.refreshesOnce(life, few(1, 5))
	})
}

// refreshesOnce signs a user in, and each time the access token has expired, sends many
// requests at once.
func (c *cluster) refreshesOnce(life time.Duration, rounds int) {
	c.t.Helper()
	b := c.newBrowser()
	b.signIn("/first", "alice").isFor("alice", "/first")
	issued := time.Now()
	for round := range rounds {
		calls := c.op.hits(c.t, "/token")
		time.Sleep(time.Until(issued.Add(life + 100*time.Millisecond)))
		cookies := b.cookieHeader()
		var mu sync.Mutex
		answers := map[string]int{}
		var all sync.WaitGroup
		for i := range 150 {
			all.Go(func() {
				status, user := c.ask(c.nodes[i%3], cookies)
				mu.Lock()
				defer mu.Unlock()
				answers[fmt.Sprint(status, " ", user)]++
			})
		}
		all.Wait()
		issued = time.Now()
		if got := c.op.hits(c.t, "/token") - calls; got != 1 {
			c.t.Errorf("round %d: %d token calls", round, got)
		}
		if answers["200 alice"] != 150 {
			c.t.Errorf("round %d: the answers were %v", round, answers)
		}
		b.script("/after").isFor("alice", "/after") // stores the new cookie, if there is one
	}
}

// The keys in the storage that all nodes share rotate under load. A new key seals once
// all nodes have read it, three minutes after it was made. The short run shifts the times
// in the storage instead of waiting.
func TestTheStoragesKeysRotateUnderLoad(t *testing.T) {
	eachKindOf(t, withStorage(), func(t *testing.T, kind clusterKind) {
		c := startCluster(t, kind, site{})
		people := c.loginsEndOnOtherNodes(20)
		before := people[0].cookieHeader()
		l := newRush(c.world, people, 100*time.Millisecond)
		l.goOn(100)
		type rings struct {
			Rings []struct {
				Made bool
				Keys []struct{ ID, State string }
			}
		}
		var made rings
		c.nodes[0].post("/oidc_rp/keys/rotate", "", &made)
		if len(made.Rings) != 1 {
			t.Fatalf("expected one ring, seen %+v", made)
		}
		if !made.Rings[0].Made {
			t.Fatalf("expected a new key, seen %+v", made)
		}
		fresh := ""
		for _, key := range made.Rings[0].Keys {
			if key.State == "waiting" {
				fresh = key.ID
			}
		}
		if !long {
			balancers := c.storage
			c.storage = c.nodes[0].storage // the keys are in the nodes' storage
			c.pass(t, published)
			c.storage = balancers
		}
		for _, n := range c.nodes {
			eventually(t, 6*time.Minute, n.name+" seals with the new key", func() bool {
				var now rings
				status, text := n.get("/oidc_rp/keys")
				if status != http.StatusOK {
					t.Fatalf("the keys of %s: expected status 200, seen %d: %s", n.name, status, text)
				}
				if err := json.Unmarshal([]byte(text), &now); err != nil {
					t.Fatalf("the keys of %s: %v: %s", n.name, err, text)
				}
				if len(now.Rings) != 1 {
					t.Fatalf("the keys of %s: expected one ring, seen %s", n.name, text)
				}
				for _, key := range now.Rings[0].Keys {
					if key.ID == fresh && key.State == "sealing" {
						return true
					}
				}
				return false
			})
		}
		l.goOn(500)
		l.endsWell()
		for _, p := range people {
			if p.cookieHeader() == before {
				t.Errorf("the session of %s is sealed with the old key", p.user)
			}
		}
		c.everyNodeServes(people)
		c.liveEverywhere(people[0].user, before)
	})
}

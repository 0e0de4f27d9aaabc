package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A cluster is three Caddys behind a fourth one that balances requests round-robin,
// whoever the client is. The world's site is the fourth Caddy's.
type cluster struct {
	*world
	kind  clusterKind
	nodes []*clusterNode
	redis *redisServer
	pairs map[string]int // of nodes: where logins began and where they ended
}

// A clusterNode is one of the three Caddys.
type clusterNode struct {
	*node
	name string // in the header X-Node of its answers
	port int
	site site
}

// A clusterKind is the configuration that the nodes have in common.
type clusterKind struct {
	name   string
	tls    bool // the balancer serves HTTPS, and the nodes trust its forwarded headers
	apart  bool // each node has its own storage
	redis  bool
	within time.Duration // how long a logout may take to reach all nodes
	store  string        // lines of the session option
}

// Secrets that nodes share if they don't share a storage.
const (
	firstSecret  = "first-secret-0123456789abcdef0123456789abcdef"
	secondSecret = "second-secret-0123456789abcdef0123456789abcdef"
)

var clusterKinds = []clusterKind{
	{name: "cookie", tls: true, within: factDelay, store: "store cookie"},
	{name: "storage", within: factDelay, store: "store storage"},
	{name: "redis", apart: true, redis: true, within: 200 * time.Millisecond, store: "secret " + firstSecret},
}

// eachKind runs a journey on a cluster of each kind, in parallel.
func eachKind(t *testing.T, journey func(t *testing.T, kind clusterKind)) {
	t.Helper()
	eachKindOf(t, clusterKinds, journey)
}

// withStorage returns the kinds whose nodes share a storage and therefore the keys in it.
func withStorage() []clusterKind {
	return slices.DeleteFunc(slices.Clone(clusterKinds), func(k clusterKind) bool { return k.apart })
}

func eachKindOf(t *testing.T, kinds []clusterKind, journey func(t *testing.T, kind clusterKind)) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			journey(t, kind)
		})
	}
}

// newCluster reserves the ports; start starts everything. In between, a test may add to
// the provider's environment.
func newCluster(t testing.TB, kind clusterKind, s site) *cluster {
	t.Helper()
	c := &cluster{world: newWorld(t, oidcProvider, site{tls: kind.tls}), kind: kind}
	c.caddy.program, c.caddy.balances = storesProgram, true
	s.before = `header X-Node %s
	` + s.before
	if !kind.tls {
		s.options += `
		base_url ` + c.base
	} else {
		s.global += `servers {
		trusted_proxies static 127.0.0.1/32
	}`
	}
	if kind.redis {
		c.redis = newRedis(t, "--appendonly", "yes")
	}
	folder := t.TempDir()
	for _, name := range []string{"north", "south", "west"} {
		n := &clusterNode{node: c.newNode(), name: name, port: freePort(t), site: s}
		n.program, n.storage = storesProgram, folder
		if kind.apart {
			n.storage = t.TempDir()
		}
		c.nodes = append(c.nodes, n)
	}
	// The provider sends its logout notifications to one of the nodes, bypassing the
	// balancer.
	c.op.rpBases = []string{fmt.Sprintf("http://127.0.0.1:%d", c.nodes[0].port), c.base}
	return c
}

func startCluster(t testing.TB, kind clusterKind, s site) *cluster {
	t.Helper()
	c := newCluster(t, kind, s)
	c.start()
	return c
}

func (c *cluster) start() {
	c.t.Helper()
	c.op.start(c.t)
	if c.redis != nil {
		c.redis.start()
	}
	for _, n := range c.nodes {
		n.start(c.configOf(n, c.kind.store))
	}
	c.startBalancer()
}

// configOf returns a node's Caddyfile, with these lines of the session option.
func (c *cluster) configOf(n *clusterNode, store string) string {
	s := n.site
	s.before = fmt.Sprintf(s.before, n.name)
	if c.kind.redis {
		store += `
		store redis ` + c.redis.url()
	}
	s.options += fmt.Sprintf(`
		session {
			%s
		}`, store)
	address := fmt.Sprintf("http://127.0.0.1:%d", n.port)
	if c.kind.tls {
		address += fmt.Sprintf(", http://%s:%d", mustParse(c.base).Hostname(), n.port)
	}
	return n.caddyfile(s.global, c.site(address, s))
}

// startBalancer starts the fourth Caddy. No cookie or client address decides where a
// request goes. A request that meets a stopped node is retried at another.
func (c *cluster) startBalancer() {
	var addresses []string
	for _, n := range c.nodes {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", n.port))
	}
	certificate := ""
	if c.kind.tls {
		certificate = "tls internal"
	}
	c.startCaddyWith(site{tls: c.kind.tls}, fmt.Sprintf(`
%s {
	bind 127.0.0.1
	%s
	reverse_proxy %s {
		lb_policy round_robin
		lb_try_duration 5s
		lb_try_interval 50ms
		fail_duration 1s
	}
}
`, c.base, certificate, strings.Join(addresses, " ")))
}

// ask sends a program's request to one node directly, with a copy of a browser's cookies.
func (c *cluster) ask(n *clusterNode, cookies string) (status int, user string) {
	c.t.Helper()
	return c.askFor(n, "/asked", cookies)
}

func (c *cluster) askFor(n *clusterNode, path, cookies string) (status int, user string) {
	c.t.Helper()
	r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", n.port, path), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	site := mustParse(c.base)
	r.Host = site.Host
	r.Header.Set("X-Forwarded-Proto", site.Scheme)
	r.Header.Set("X-Forwarded-Host", site.Host)
	r.Header.Set("Cookie", cookies)
	answer, err := http.DefaultTransport.RoundTrip(r) // follows no redirects
	if err != nil {
		c.t.Fatalf("%s does not answer: %v", n.name, err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("X-Node"); got != n.name {
		c.t.Errorf("%s answered instead of %s", got, n.name)
	}
	var s seen
	_ = json.NewDecoder(answer.Body).Decode(&s)
	return answer.StatusCode, s.Headers.Get("X-User")
}

// cookieHeader returns the Cookie header that the browser would send to the site's root.
func (b *browser) cookieHeader() string {
	var pairs []string
	for _, c := range b.jar.Cookies(mustParse(b.w.base + "/")) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// liveEverywhere fails unless each node accepts the session.
func (c *cluster) liveEverywhere(user, cookies string) {
	c.t.Helper()
	for _, n := range c.nodes {
		status, got := c.ask(n, cookies)
		if status != http.StatusOK {
			c.t.Errorf("%s: expected status 200, seen %d", n.name, status)
		}
		if got != user {
			c.t.Errorf("%s: expected the user %q, seen %q", n.name, user, got)
		}
	}
}

// deadEverywhere fails unless each node soon refuses the session.
func (c *cluster) deadEverywhere(cookies string, ended time.Time) {
	c.t.Helper()
	for _, n := range c.nodes {
		for {
			asked := time.Now()
			status, _ := c.ask(n, cookies)
			if status == http.StatusUnauthorized {
				break
			}
			if status != http.StatusOK {
				c.t.Errorf("%s answers %d to a copied cookie", n.name, status)
			}
			if asked.Sub(ended) > c.kind.within {
				c.t.Errorf("a copied cookie serves at %s %v after the logout", n.name, asked.Sub(ended))
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	c.t.Logf("known on all nodes %v after the logout", time.Since(ended).Round(time.Millisecond))
}

// kill stops a node's process with SIGKILL; start brings it back.
func (n *clusterNode) kill() { n.process.stop(n.t, syscall.SIGKILL) }

// post sends a POST request to the node's admin endpoint and decodes the response.
func (n *clusterNode) post(path, body string, answer any) {
	n.t.Helper()
	r, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d%s", n.admin, path), "application/json", strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		n.t.Fatalf("admin%s: %v", path, err)
	}
	if r.StatusCode != http.StatusOK {
		n.t.Fatalf("admin%s: expected status 200, seen %d: %s", path, r.StatusCode, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		n.t.Fatalf("admin%s: %v: %s", path, err, text)
	}
}

package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// An idpCluster is three Caddys that together are one identity provider and one site that
// uses it, with one PostgreSQL and one storage. Browsers know one address for each; the
// test chooses which node a connection goes to.
type idpCluster struct {
	*issuer
	site     string
	postgres *postgresServer
	nodes    []*idpNode
}

// An idpNode is one of the three Caddys.
type idpNode struct {
	*node
	login, app int // its ports
}

func startIDPCluster(t *testing.T, options string) *idpCluster {
	t.Helper()
	c := &idpCluster{issuer: newIssuer(t), site: fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), postgres: newPostgres(t)}
	c.app = newUpstream(t)
	c.postgres.start()
	c.secrets.add("address of the database", c.postgres.url())
	for range 3 {
		n := &idpNode{node: newNode(t, c.storage, "DATABASE="+c.postgres.url(), "CLIENT_SECRET="+clientSecret), login: freePort(t), app: freePort(t)}
		n.program = idpCaddy
		c.nodes = append(c.nodes, n)
		t.Cleanup(func() { c.secrets.checkLogs(t, n.node) })
		n.start(c.caddyfileOf(n, options))
	}
	c.caddy = c.nodes[0].node
	c.addAda()
	return c
}

func (c *idpCluster) caddyfileOf(n *idpNode, options string) string {
	return n.caddyfile(fmt.Sprintf(`
	oidc_idp {
		issuer %s
		database {env.DATABASE}
		%s
	}`, c.url, options), fmt.Sprintf(`
http://localhost:%d {
	bind 127.0.0.1
	log
	oidc_idp
}
http://127.0.0.1:%d {
	bind 127.0.0.1
	log
	oidc_rp {
		builtin
		base_url %s
	}
	reverse_proxy %s {
		header_up X-User {http.auth.user.id}
	}
}
`, n.login, n.app, c.site, c.app.addr()))
}

// in returns the cluster for a subtest.
func (c *idpCluster) in(t *testing.T) *idpCluster {
	w, i, copied := *c.world, *c.issuer, *c
	w.t, i.world, copied.issuer = t, &w, &i
	return &copied
}

// A clusterBrowser is a browser that a test can move from one node to another.
type clusterBrowser struct {
	*browser
	c  *idpCluster
	mu sync.Mutex
	at *idpNode
}

func (c *idpCluster) browserAt(n *idpNode) *clusterBrowser {
	b := &clusterBrowser{browser: c.newBrowser(), c: c, at: n}
	b.http.Timeout = 5 * time.Minute // the tests don't measure how long a request waits for its turn
	b.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", b.portOf(addr)))
	}
	return b
}

func (b *clusterBrowser) portOf(addr string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch "http://" + addr {
	case b.c.url:
		return b.at.login
	case b.c.site:
		return b.at.app
	}
	return 0
}

// move sends the next connections to a node.
func (b *clusterBrowser) move(n *idpNode) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = n
}

// asked opens the site and enters a username.
func (b *clusterBrowser) asked(name string) *page {
	b.t.Helper()
	p := b.open(b.c.site + "/docs")
	if !strings.HasPrefix(p.url.String(), b.c.url+"/signin") {
		b.t.Fatalf("expected the issuer to ask, seen:%s", p)
	}
	return p.send(p.formWith("username"), "username", name).gone()
}

// signedIn opens the site and signs in.
func (b *clusterBrowser) signedIn(name, password string) *page {
	b.t.Helper()
	p := b.asked(name)
	return p.send(p.formWith("password"), "password", password).gone()
}

// userAt returns the user that the application's page is for, or "" if it is not a page
// of the application.
func userAt(p *page) string {
	var s seen
	if json.Unmarshal([]byte(p.body), &s) != nil {
		return ""
	}
	return s.Headers.Get("X-User")
}

// addUser adds a user with the password of all journeys.
func (c *idpCluster) addUser(name string) {
	c.t.Helper()
	c.operate(issuerPassword, "user", "add", name, "--password-stdin")
}

// events counts, by reason, the events about a user in the logs of all nodes.
func (c *idpCluster) events(event, subject string) map[string]int {
	all := make(map[string]int)
	for _, n := range c.nodes {
		for _, line := range n.lines() {
			var entry struct{ Event, User, Reason string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Event == event && entry.User == subject {
				all[entry.Reason]++
			}
		}
	}
	return all
}

// subject returns a user's sub.
func (c *idpCluster) subject(name string) string {
	c.t.Helper()
	var user struct{ Subject string }
	text := c.operate("", "user", "show", name, "--json")
	if err := json.Unmarshal([]byte(text), &user); err != nil {
		c.t.Fatalf("user show: %v\n%s", err, text)
	}
	return user.Subject
}

// A hardwareToken computes codes from a counter (RFC 4226).
type hardwareToken struct{ seed []byte }

var secretTag = regexp.MustCompile(`<code class="secret">([A-Z2-7 ]+)</code>`)

func (h hardwareToken) code(counter uint64) string {
	mac := hmac.New(sha1.New, h.seed)
	_ = binary.Write(mac, binary.BigEndian, counter)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1e6)
}

// enrolToken adds a token to a user on the account page. Its counter is then at 1.
func (b *clusterBrowser) enrolToken(name string) hardwareToken {
	b.t.Helper()
	p := b.open(b.c.url + "/account")
	if strings.HasPrefix(p.url.Path, "/signin") {
		p = b.c.proves(p, name, issuerPassword)
	}
	f := p.formWith("kind")
	f.method = "GET"
	p = p.send(f, "kind", "hotp").gone()
	m := secretTag.FindStringSubmatch(p.body)
	if m == nil {
		b.t.Fatalf("expected a seed, seen:%s", p)
	}
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", ""))
	if err != nil {
		b.t.Fatal(err)
	}
	b.c.secrets.add("seed", strings.ReplaceAll(m[1], " ", ""))
	h := hardwareToken{seed}
	if p = p.send(p.formWith("code"), "code", h.code(0)).gone(); p.status != http.StatusOK || secretTag.MatchString(p.body) {
		b.t.Fatalf("expected the token to be added, seen:%s", p)
	}
	return h
}

package integration_test

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// backend is a way of keeping sessions. Every journey is made with all of them.
type backend struct {
	name string
	// option is that of the session block, for one test; {node} in it is the
	// node's number, so that none shares a connection with another.
	option func(t *testing.T) string
	// ticket: the browser has no more than a ticket.
	ticket bool
	// late is how long a node may not see what another one has changed.
	late time.Duration
}

const testKind = "test"

var kinds = []backend{
	{name: "cookie", option: func(*testing.T) string { return "store cookie" }, late: 2 * time.Second},
	{name: "memory", option: func(*testing.T) string { return "store memory" }, ticket: true},
	{name: "storage", option: storageOption, ticket: true, late: 2 * time.Second},
	{name: "redis", option: redisOption, ticket: true, late: time.Second},
	{name: testKind, option: func(*testing.T) string { return "store test " + rand.Text() }, ticket: true},
}

// storageOption is a store that waits for a busy disk.
func storageOption(*testing.T) string {
	return `
store storage {
	timeout 30s
}
`
}

// storeBackends are those where the browser has a ticket.
func storeBackends() (stores []backend) {
	for _, k := range kinds {
		if k.ticket {
			stores = append(stores, k)
		}
	}
	return stores
}

// backendNamed is a kind by its name.
func backendNamed(name string) backend {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic("there is no kind " + name)
}

// settle waits until all nodes see the same.
func (k backend) settle() {
	if k.late > 0 && k.ticket {
		time.Sleep(k.late + 100*time.Millisecond)
	}
}

// forBackends runs a test for each of some kinds.
func forBackends(t *testing.T, some []backend, run func(*testing.T, backend)) {
	t.Helper()
	for _, k := range some {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			run(t, k)
		})
	}
}

// cluster is a provider that gives refresh tokens, and some nodes that share
// what they keep.
type cluster struct {
	t       *testing.T
	kind    backend
	op      *refreshOP
	storage string
	// site are its lines, session those of its session block.
	site, session string
	store         string
	nodes         []*harness
	ahead         time.Duration // the time there
}

func newCluster(t *testing.T, k backend, nodes int, site, session string, options ...oidctest.Option) *cluster {
	t.Helper()
	if !strings.Contains(session, "rotate") && !strings.Contains(session, "secret") {
		// Nodes that start at once wait a second for managed keys.
		session += `
			secret ` + strings.Repeat("s", 40)
	}
	s := &cluster{t: t, kind: k, op: newRefreshOP(t, options...), storage: storageDir(t), site: site, session: session, store: k.option(t)}
	for range nodes {
		s.another()
	}
	return s
}

// options are the lines of the site's directive.
func (s *cluster) options() string {
	return options(s.op.Provider) + `
timeout 1m
` + s.site + `
session {
	` + strings.ReplaceAll(s.store, "{node}", strconv.Itoa(len(s.nodes))) + `
	` + s.session + `
}
`
}

// another is one more node over the same places, with the site as it is
// configured now.
func (s *cluster) another() *harness {
	s.t.Helper()
	// Another storage object on the same folder is what another process has.
	r := newHarnessAt(s.t, s.storage+strings.Repeat("/.", len(s.nodes)), `
http://rp.test {
	oidc_rp {
		`+s.options()+`
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`)
	r.ahead(s.ahead)
	s.nodes = append(s.nodes, r)
	return r
}

// at moves all clocks.
func (s *cluster) at(d time.Duration) {
	s.ahead = d
	s.op.at(d, s.nodes...)
}

// records are those of the test store.
func (s *cluster) records() *testRecords { return recordsNamed(strings.Fields(s.store)[2]) }

// signIn signs somebody in at a node.
func (s *cluster) signIn(r *harness, who string) *browser {
	s.t.Helper()
	s.op.SignIn(who)
	return signedIn(s.t, r)
}

// use is what a program gets that has the cookies and nothing else.
func (s *cluster) use(r *harness, cookies string) int {
	s.t.Helper()
	return r.use(cookies)
}

// holds says that the cookies are a session at all nodes.
func (s *cluster) holds(what, cookies string) {
	s.t.Helper()
	for i, r := range s.nodes {
		if got := s.use(r, cookies); got != http.StatusOK {
			s.t.Errorf("%s: status %d at node %d\n%s", what, got, i, r.logs())
		}
	}
}

// over says that the cookies are no session: here, at node 0, from this moment,
// and at other nodes soon.
func (s *cluster) over(what, cookies string) {
	s.t.Helper()
	for i, r := range s.nodes {
		end := time.Now().Add(patience)
		for {
			got := s.use(r, cookies)
			if got == http.StatusUnauthorized {
				break
			}
			waits := i > 0 && s.kind.late > 0 && got == http.StatusOK && time.Now().Before(end)
			if !waits {
				s.t.Errorf("%s: expected status 401 at node %d, seen %d", what, i, got)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// bursts are one at a time: several at once meet the limits that stores have for
// their answers.
var bursts sync.Mutex

// together makes requests with the same cookies at nodes in turn, all at once,
// and counts the answers by status.
func (s *cluster) together(requests int, cookies string) map[int]int {
	bursts.Lock()
	defer bursts.Unlock()
	var mu sync.Mutex
	counts := make(map[int]int)
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() {
			status, _, err := s.nodes[i%len(s.nodes)].ask(s.t.Context(), cookies)
			if err != nil {
				s.t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			counts[status]++
		})
	}
	all.Wait()
	return counts
}

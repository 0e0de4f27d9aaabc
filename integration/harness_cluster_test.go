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

// backend is a way to store sessions.
type backend struct {
	name string
	// option returns the option of the session block for one test. It may contain {node}, the
	// number of the node, so that no two nodes share a connection.
	option func(t *testing.T) string
	// ticket reports whether the browser only has a ticket.
	ticket bool
	// late is how long another node's change may stay unnoticed.
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

// storageOption is the option of a store that waits for a busy disk.
func storageOption(*testing.T) string {
	return `
store storage {
	timeout 30s
}
`
}

// storeBackends returns the backends with tickets.
func storeBackends() (stores []backend) {
	for _, k := range kinds {
		if k.ticket {
			stores = append(stores, k)
		}
	}
	return stores
}

// backendNamed returns the backend with a name.
func backendNamed(name string) backend {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic("there is no kind " + name)
}

// settle waits until all nodes see the same records.
func (k backend) settle() {
	if k.late > 0 && k.ticket {
		time.Sleep(k.late + 100*time.Millisecond)
	}
}

// forBackends runs a test for each of the given backends.
func forBackends(t *testing.T, some []backend, run func(*testing.T, backend)) {
	t.Helper()
	for _, k := range some {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			run(t, k)
		})
	}
}

// cluster is a provider that issues refresh tokens, and nodes that share a storage and sessions.
type cluster struct {
	t       *testing.T
	kind    backend
	op      *refreshOP
	storage string
	// site has options of the site, and session those of its session block.
	site, session string
	store         string
	nodes         []*harness
	ahead         time.Duration // of the clock
}

func newCluster(t *testing.T, k backend, nodes int, site, session string, options ...oidctest.Option) *cluster {
	t.Helper()
	if !strings.Contains(session, "rotate") && !strings.Contains(session, "secret") {
		// With managed keys, nodes that start at the same time would wait a second.
		session += `
			secret ` + strings.Repeat("s", 40)
	}
	s := &cluster{t: t, kind: k, op: newRefreshOP(t, options...), storage: storageDir(t), site: site, session: session, store: k.option(t)}
	for range nodes {
		s.another()
	}
	return s
}

// options returns all options of the site.
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

// another adds a node with the same storage and the current configuration.
func (s *cluster) another() *harness {
	s.t.Helper()
	// Another storage object for the same folder behaves like another process.
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

// records returns the records of the test store.
func (s *cluster) records() *testRecords { return recordsNamed(strings.Fields(s.store)[2]) }

// signIn signs a user in at a node.
func (s *cluster) signIn(r *harness, who string) *browser {
	s.t.Helper()
	s.op.SignIn(who)
	return signedIn(s.t, r)
}

// use returns the status for a program that sends only these cookies.
func (s *cluster) use(r *harness, cookies string) int {
	s.t.Helper()
	return r.use(cookies)
}

// holds checks that the cookies are a session at all nodes.
func (s *cluster) holds(what, cookies string) {
	s.t.Helper()
	for i, r := range s.nodes {
		if got := s.use(r, cookies); got != http.StatusOK {
			s.t.Errorf("%s: status %d at node %d\n%s", what, got, i, r.logs())
		}
	}
}

// over checks that the cookies are no session: at node 0 immediately, and soon at the others.
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

// bursts allows one burst of requests at a time. Several would exceed the timeouts of the
// stores.
var bursts sync.Mutex

// together makes concurrent requests with the same cookies at nodes in turn, and counts the
// responses by status.
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

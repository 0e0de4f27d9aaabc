package e2e

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

// each calls do for every number below n, with at most atOnce calls at a time, and fails
// with the first few errors.
func each(t testing.TB, n, atOnce int, do func(i int) error) {
	t.Helper()
	next := make(chan int)
	errs := make(chan error, n)
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					errs <- fmt.Errorf("number %d: %w", i, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	close(errs)
	var first []error
	failed := len(errs)
	for err := range errs {
		if len(first) < 5 {
			first = append(first, err)
		}
	}
	if failed > 0 {
		t.Fatalf("%d of %d failed, the first: %v", failed, n, errors.Join(first...))
	}
}

// long is set for runs that may take their time, like run-all.
var long = os.Getenv("E2E_LONG") == "1"

// few returns short, or full in a long run.
func few[T any](short, full T) T {
	if long {
		return full
	}
	return short
}

// A place is where a site under load keeps its sessions: lines of the session block and
// of the global options.
type place struct {
	name, session, global string
	kept                  int64 // how much of Caddy's memory a session may take
}

// places returns where every load keeps its sessions. A short run has only the first one.
func places() []place {
	all := []place{
		{name: "cookie", kept: 1536}, // Caddy caches opened sessions
		{name: "memory", session: "store memory", kept: 2 << 10},
		{name: "storage", session: "store storage", kept: 5 << 9},
	}
	if long {
		return all
	}
	return all[:1]
}

// eachStore runs a load once for each place, one after another and without other tests in
// parallel.
func eachStore(t *testing.T, load func(t *testing.T, w *world, s site)) {
	for _, block := range places() {
		t.Run(block.name, func(t *testing.T) {
			w := newWorld(t, zitadel, site{})
			w.caddy.level, w.kept = "WARN", block.kept
			w.op.start(t)
			s := site{global: block.global}
			if block.session != "" {
				s.options = fmt.Sprintf(`session {
					%s
				}`, block.session)
			}
			load(t, w, s)
		})
	}
}

// plainSite is a site for loads. It is public except for /in/*, and Caddy itself answers,
// so that a load measures only Caddy and this plugin.
func (w *world) plainSite(s site) string {
	return w.caddy.caddyfile(s.global, fmt.Sprintf(`
%s {
	bind 127.0.0.1
%s
	oidc_rp public {
		issuer %s
		client_id rp
		client_secret {env.OIDC_CLIENT_SECRET}
		private /in/*
%s
	}
	respond "user={http.auth.user.id}"
}
`, w.base, s.before, w.op.issuer, s.options))
}

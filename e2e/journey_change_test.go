package e2e

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Caddy reloads and restarts while people are signed in and signing in.
func TestReloadsAndRestartsLoseNoSession(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{})
		signedIn := w.newBrowser()
		signedIn.signIn("/stays", "alice").isFor("alice", "/stays")

		reload := func(s site) func() {
			return func() {
				if err := w.caddy.reload(w.config(s)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, change := range []struct {
			name string
			make func()
		}{
			{"reload", reload(site{})},
			{"reload with other options", reload(site{options: "userinfo always", before: "header X-New yes"})},
			{"restart", func() { w.caddy.restart(syscall.SIGTERM) }},
			{"kill -9 and start", func() { w.caddy.restart(syscall.SIGKILL) }},
		} {
			pending := w.newBrowser().open("/middle?of=login").asks(w)
			change.make()
			page := signedIn.open("/stays")
			t.Log("after:", change.name)
			page.isFor("alice", "/stays")
			if len(page.hops) != 1 {
				t.Errorf("the signed-in user was sent around:%s", page)
			}
			pending.signIn("bob").isFor("bob", "/middle?of=login")
		}
	})
}

func TestARejectedConfigurationChangesNothing(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{})
	b := w.newBrowser()
	b.signIn("/stays", "alice").isFor("alice", "/stays")
	pending := w.newBrowser().open("/middle").asks(w)
	for _, options := range []string{"no_such_word", "endpoints not-a-path", "scopes"} {
		if err := w.caddy.reload(w.config(site{options: options})); err == nil {
			t.Errorf("%q was accepted", options)
		}
	}
	b.open("/stays").isFor("alice", "/stays")
	pending.signIn("bob").isFor("bob", "/middle")
}

// A balancer sends each request to the node that the test chooses.
type balancer struct {
	base string
	node atomic.Pointer[url.URL]
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	port := freePort(t)
	l := &balancer{base: fmt.Sprintf("http://127.0.0.1:%d", port)}
	server := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", port), Handler: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(l.node.Load())
			r.Out.Host = r.In.Host
		},
	}}
	go func() { _ = server.ListenAndServe() }()
	t.Cleanup(func() { _ = server.Close() })
	return l
}

func TestALoginBegunOnOneNodeIsFinishedOnAnother(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := newWorld(t, kind, site{})
		l := newBalancer(t)
		w.op.rpBases = []string{l.base}
		w.op.start(t)
		w.startCaddy(site{})
		peer := w.peer(site{})
		one, other := mustParse(w.base), mustParse(peer.base)

		front := *w // the site with the balancer's address
		front.base = l.base
		b := front.newBrowser()
		l.node.Store(one)
		form := b.open("/across?x=1").asks(w)
		l.node.Store(other)
		form.signIn("alice").isFor("alice", "/across?x=1")
		for range 2 { // both nodes accept the session
			for _, node := range []*url.URL{one, other} {
				l.node.Store(node)
				b.script("/both").isFor("alice", "/both")
			}
		}
	})
}

func TestCaddyStartsWithoutTheProviderAndFindsItLater(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		s := site{options: "public /open/*"}
		w := newWorld(t, kind, s)
		if err := w.caddy.validate(w.config(s)); err != nil {
			t.Error(err)
		}
		w.startCaddy(s)
		b := w.newBrowser()
		b.open("/open/page").isFor("", "/open/page")

		closed := b.open("/private?x=1").is(503)
		wait, err := strconv.Atoi(closed.header.Get("Retry-After"))
		if err != nil {
			t.Errorf("Retry-After: %v", err)
		}
		if wait < 1 {
			t.Errorf("Retry-After: expected a second or more, seen %d", wait)
		}
		b.open("/@app/auth/default/login").is(403) // an endpoint's error on a private site
		if w.app.hits() != 1 {
			t.Errorf("the application was asked %d times, wanted 1 for the public page", w.app.hits())
		}
		if err := w.caddy.reload(w.config(s)); err != nil {
			t.Error(err)
		}

		w.op.start(t)
		var form *page
		eventually(t, time.Duration(wait+5)*time.Second, "a login begins once the provider is there", func() bool {
			form = b.open("/private?x=1")
			return form.status == 200
		})
		form.asks(w).signIn("alice").isFor("alice", "/private?x=1")
	})
}

func TestAProviderThatStopsLaterEndsNoSession(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{})
		b := w.newBrowser()
		b.signIn("/stays", "alice").isFor("alice", "/stays")
		w.op.stop(t)
		b.open("/stays").isFor("alice", "/stays")
		if err := w.caddy.reload(w.config(site{})); err != nil {
			t.Error(err)
		}
		b.open("/stays").isFor("alice", "/stays")
		w.caddy.restart(syscall.SIGTERM)
		b.open("/stays").isFor("alice", "/stays")
	})
}

func TestAfterTheProvidersKeysChangedTheNextLoginWorks(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{})
		b := w.newBrowser()
		b.signIn("/stays", "alice").isFor("alice", "/stays")
		for range 2 {
			w.op.stop(t)
			w.op.start(t) // with new keys under new key IDs
			w.newBrowser().signIn("/new", "bob").isFor("bob", "/new")
			b.open("/stays").isFor("alice", "/stays")
		}
	})
}

func TestABadCallbackDoesNotKeepTheProvidersNextKeysOut(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{})
	b := w.newBrowser()
	form := b.open("/first").asks(w)
	// The provider forgets the pending login, so it refuses the code.
	held := w.hold(b, func() *page { return form.signIn("alice") })
	w.op.stop(t)
	w.op.start(t)
	b.open(held).is(403, "token_exchange_failed")
	if w.app.hits() != 0 {
		t.Error("the application was reached")
	}
	b.signIn("/second", "alice").isFor("alice", "/second")
}

// hold lets the browser continue until the provider redirects to the callback, and
// returns the callback's address.
func (w *world) hold(b *browser, goOn func() *page) string {
	w.t.Helper()
	b.holdAt = func(u *url.URL) bool { return w.isSite(u) && strings.HasSuffix(u.Path, "/code") }
	defer func() { b.holdAt = nil }()
	p := goOn()
	if p.status != 0 {
		w.t.Fatalf("the provider did not hand back:%s", p)
	}
	return p.url.String()
}

package telemetry

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// await waits for a channel to be closed.
func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("expected %s, seen nothing for a minute", what)
	}
}

// After a handler that panics, the next ones still run. A handler that does not return
// blocks the others, and the queue is limited.
func TestQueueWithBadHandlers(t *testing.T) {
	t.Parallel()
	var q queue
	begun, release, last := make(chan struct{}), make(chan struct{}), make(chan struct{})
	q.add(func() {
		close(begun)
		<-release
		panic("a handler has panicked")
	})
	await(t, "the first call", begun)
	var mu sync.Mutex
	calls := 0
	for range maxWaiting - 1 {
		q.add(func() {
			mu.Lock()
			defer mu.Unlock()
			calls++
		})
	}
	q.add(func() { close(last) })
	for range 10 {
		q.add(func() { t.Error("expected that a full queue takes nothing, seen a call") })
	}
	close(release)
	await(t, "the last call", last)
	mu.Lock()
	defer mu.Unlock()
	if calls != maxWaiting-1 {
		t.Errorf("expected %d calls, seen %d", maxWaiting-1, calls)
	}
}

// Events about a user may be emitted in any goroutine, where a panic would end the
// process.
func TestHandlerOfAUserEventThatPanics(t *testing.T) {
	t.Parallel()
	called := false
	e := newEvents(t, "signed_out", func() {
		called = true
		panic("a handler has panicked")
	})
	e.Emit(&audit.Event{Kind: audit.SignedOut})
	if !called {
		t.Error("expected a call of the handler, seen none")
	}
}

// A configuration that is being loaded or only validated emits nothing about providers.
// The running one with the same provider does.
func TestOutagesAreThoseOfRunningConfigurations(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	running := newEvents(t, "provider_down", func() { seen <- "running" })
	loading := newEvents(t, "provider_down", func() { seen <- "loading" })
	running.Start()
	var all Listeners
	all.Add(Listener{Provider: "a", Events: running})
	all.Add(Listener{Provider: "a", Events: loading})
	emit := all.EmitOutage("https://op.example")
	for _, want := range []string{"running", "loading"} {
		if want == "loading" {
			loading.Start()
		}
		emit(op.Outage{Endpoint: "token", Err: errors.New("no answer")})
		select {
		case got := <-seen:
			if got != want {
				t.Errorf("expected an event of the configuration %s, seen %s", want, got)
			}
		case <-time.After(time.Minute):
			t.Fatalf("expected an event of the configuration %s, seen none", want)
		}
	}
}

// newEvents returns Events with a handler for one event.
func newEvents(t *testing.T, name string, handle handler) *Events {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	app := new(caddyevents.App)
	if err := app.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if err := app.On(namespace+name, handle); err != nil {
		t.Fatal(err)
	}
	return &Events{ctx: ctx, app: app}
}

// handler handles events.
type handler func()

func (h handler) Handle(context.Context, caddy.Event) error {
	h()
	return nil
}

package telemetry

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file emits events of Caddy. Emit returns only after all event handlers have run.
// Events about requests are therefore emitted without holding locks, and those about
// providers in a goroutine.

// maxError limits the length of the error in an event, in bytes.
const maxError = 500

// namespace is the prefix of the names of our events.
const namespace = "oidc_rp."

// Events emits the events of one configuration.
type Events struct {
	ctx     caddy.Context
	app     *caddyevents.App
	started atomic.Bool
}

// NewEvents returns an emitter of events, whose origin is the module of ctx.
func NewEvents(ctx caddy.Context) (*Events, error) {
	module, err := ctx.App("events")
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return &Events{ctx: ctx, app: module.(*caddyevents.App)}, nil
}

// Start enables events about providers, which can occur at any time. They are disabled
// before, because other modules may not have subscribed yet while a configuration is
// being provisioned, and a configuration that is only examined must not emit any.
func (e *Events) Start() { e.started.Store(true) }

// Wanted reports whether there is a handler for an event about a user.
func (e *Events) Wanted(kind audit.Kind) bool { return e.app.ShouldEmit(namespace + string(kind)) }

// Emit emits an event about a user.
func (e *Events) Emit(event *audit.Event) {
	name := namespace + string(event.Kind)
	if !e.app.ShouldEmit(name) {
		return
	}
	data := make(map[string]any)
	for _, attr := range event.Attrs() {
		if attr.Key != "event" {
			data[attr.Key] = attr.Value.String()
		}
	}
	call(func() { e.app.Emit(e.ctx, name, data) })
}

// provider emits an event about a provider in the background.
func (e *Events) provider(id, issuer string, o op.Outage) {
	name, data := namespace+"provider_up", map[string]any{"provider": id, "issuer": issuer}
	if !o.Over {
		name = namespace + "provider_down"
		data["endpoint"], data["error"] = o.Endpoint, logtext.Clean(o.Err.Error(), maxError)
	}
	if e.app.ShouldEmit(name) {
		later.add(func() { e.app.Emit(e.ctx, name, data) })
	}
}

// later emits events in the background, in order.
var later queue

// maxWaiting limits the length of a queue, in case a handler never returns.
const maxWaiting = 1000

// queue calls functions one after another in a goroutine. It drops functions that
// are added when it is full.
type queue struct {
	mu      sync.Mutex
	waiting []func()
	running bool
}

func (q *queue) add(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == maxWaiting {
		return
	}
	q.waiting = append(q.waiting, f)
	if !q.running {
		q.running = true
		go q.run()
	}
}

func (q *queue) run() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		next := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		call(next)
	}
}

// call calls f, which runs event handlers, and logs panics. A panic must not end Caddy,
// and the queue, logins and refreshes run in goroutines in which nothing else would
// recover it.
func call(f func()) {
	defer func() {
		if cause := recover(); cause != nil {
			logger := caddy.Log()
			logger.Error("a handler of an event panicked", zap.String("event", "event_handler_panicked"), zap.Any("error", cause), zap.Stack("stack"))
		}
	}()
	f()
}

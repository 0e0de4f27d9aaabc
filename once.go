package oidcrp

import (
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// maxOnce bounds the things that a configuration remembers as logged. Names of
// claims and scopes come from the configuration, and members of answers from a
// short list, so requests never fill it.
const maxOnce = 1000

// onceLog remembers what a configuration has logged once and for all. It is
// safe for concurrent use.
type onceLog struct {
	mu   sync.Mutex
	seen map[onceKey]bool
}

// onceKey is one thing to log: its kind, and the claim, scope or other name that
// it is about. Equal providers of several sites share it.
type onceKey struct {
	provider     string
	registration session.Binding
	kind, name   string
}

// first reports whether this is the first time that something is to be logged.
func (o *onceLog) first(key onceKey) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[key] || len(o.seen) >= maxOnce {
		return false
	}
	if o.seen == nil {
		o.seen = make(map[onceKey]bool)
	}
	o.seen[key] = true
	return true
}

// isFirst reports whether this is the first time in this configuration that
// something of this kind is to be logged about a provider and a name.
func (h *Handler) isFirst(p *provider, kind, name string) bool {
	return h.app.once.first(onceKey{p.id, p.registration, kind, name})
}

// warnOnce logs a warning once per configuration, provider, kind and name.
func (h *Handler) warnOnce(p *provider, kind, name, message string, fields ...zap.Field) {
	if h.isFirst(p, kind, name) {
		h.logger.Warn(message, append([]zap.Field{zap.String("provider", p.id)}, fields...)...)
	}
}

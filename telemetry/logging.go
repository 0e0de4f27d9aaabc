// Package telemetry is what operators see of the plugin in their tools: the metrics of
// package observe in Prometheus, spans of OpenTelemetry, events of Caddy, and log
// messages about objects that outlive a configuration.
//
// It connects Caddy's metrics registry, events and loggers with the notifications of
// other packages. It does not see requests or secrets.
package telemetry

import (
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// This file logs events of providers, which outlive a configuration, and of the
// files of options.

// Listener receives the log messages and events about a provider of one
// configuration.
type Listener struct {
	Provider string // the provider's id in this configuration
	Logger   *zap.Logger
	Events   *Events
}

// Listeners has a Listener for each configuration that uses a shared object, such
// as a provider.
type Listeners struct {
	mu  sync.Mutex
	all []*Listener
}

// Add adds a listener, and returns a function that removes it. The last
// remaining listener is not removed.
func (l *Listeners) Add(listener Listener) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	added := &listener
	l.all = append(l.all, added)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.all, added); i >= 0 && len(l.all) > 1 {
			l.all = slices.Delete(slices.Clone(l.all), i, i+1)
		}
	}
}

// Logger returns the logger of the newest listener, or Caddy's logger if there
// is none.
func (l *Listeners) Logger() *zap.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return caddy.Log()
	}
	return l.all[len(l.all)-1].Logger
}

// EmitOutage returns a function that emits the events about outages of a provider: one
// event for each id of the provider, from the newest running configuration that has
// this id.
func (l *Listeners) EmitOutage(issuer string) func(op.Outage) {
	return func(o op.Outage) {
		l.mu.Lock()
		all := l.all
		l.mu.Unlock()
		emitted := make(map[string]bool)
		for _, listener := range slices.Backward(all) {
			if !emitted[listener.Provider] && listener.Events != nil && listener.Events.started.Load() {
				emitted[listener.Provider] = true
				listener.Events.provider(listener.Provider, issuer, o)
			}
		}
	}
}

// LogProviderOutage returns a function that logs when a provider stops
// answering and earlier documents are used instead, and when it answers again.
func LogProviderOutage(logger func() *zap.Logger) func(op.Notice) {
	return func(n op.Notice) {
		part := zap.String("of", n.Part)
		if n.Over {
			logger().Info("the provider answers again", zap.String("event", "provider_documents_current"), part)
			return
		}
		logger().Error("the provider does not answer; using what was fetched before, for at most 24 hours", zap.String("event", "provider_documents_stale"), part, zap.Time("fetched", n.Fetched), zap.Error(n.Err))
	}
}

// LogFiles returns a function that logs events of the files of an option.
func LogFiles(logger func() *zap.Logger, option string) func(livefile.Event) {
	return func(e livefile.Event) {
		fields := []zap.Field{zap.String("option", option), zap.Strings("files", e.Files)}
		switch e.Kind {
		case livefile.Changed:
			logger().Info("a file of the configuration has changed and is in use", append([]zap.Field{zap.String("event", "file_reloaded")}, fields...)...)
		case livefile.Broken:
			logger().Error("a file of the configuration has changed and cannot be used; keeping the last good content", append([]zap.Field{zap.String("event", "file_broken")}, append(fields, zap.Error(e.Err))...)...)
		case livefile.Writable:
			logger().Warn("every user of this machine can write to a file of the configuration", append([]zap.Field{zap.String("event", "file_writable_by_all")}, fields...)...)
		}
	}
}

// WarnOfFileName logs a warning if the value of an option is the name of an
// existing file.
func WarnOfFileName(logger *zap.Logger, option, value string) {
	if placeholder.NamesFile(value) {
		logger.Warn("the value of this option looks like a file name, and is used literally; to use the content of the file, write a placeholder", zap.String("event", "option_names_file"),
			zap.String("option", option), zap.String("placeholder", "{file."+value+"}"))
	}
}

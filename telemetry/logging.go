// Package telemetry is what operators see of the plugin in their tools: the numbers of
// package observe as metrics of Prometheus, spans of OpenTelemetry, events of Caddy, and
// log lines about what outlives a configuration.
//
// It knows Caddy, its registry, its events and its loggers, and how other packages say
// that something happened. It knows nothing of requests, and nothing that a browser or a
// provider keeps secret.
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

// This file logs what happens to providers, which outlive a configuration, and to
// the files of options.

// Listener is who learns what happens to a provider of one configuration.
type Listener struct {
	Provider string // the id there
	Logger   *zap.Logger
	Events   *Events
}

// Listeners are those of the configurations that use something which outlives them.
type Listeners struct {
	mu  sync.Mutex
	all []*Listener
}

// Add adds a listener, and returns what removes it. The last one stays.
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

// Logger returns the newest logger, or that of Caddy.
func (l *Listeners) Logger() *zap.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return caddy.Log()
	}
	return l.all[len(l.all)-1].Logger
}

// EmitOutage returns what emits the events about outages of a provider: one for each id
// that it has, by the newest running configuration that has it.
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

// LogProviderOutage returns what logs that a provider does not answer, and that
// what was learned before serves.
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

// LogFiles returns what logs what happens to the files of an option.
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

// WarnOfFileName warns that the value of an option is the name of a file.
func WarnOfFileName(logger *zap.Logger, option, value string) {
	if placeholder.NamesFile(value) {
		logger.Warn("the value of this option looks like a file name, and is used literally; to use the content of the file, write a placeholder", zap.String("event", "option_names_file"),
			zap.String("option", option), zap.String("placeholder", "{file."+value+"}"))
	}
}

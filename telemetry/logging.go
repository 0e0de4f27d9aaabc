// Package telemetry is what operators see of the plugin in their tools, apart from
// pages and the admin API: log lines about what outlives a configuration.
//
// It knows Caddy and zap, and how the other packages say that something happened. It
// knows nothing of requests, and nothing that a browser or a provider keeps secret.
package telemetry

import (
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// This file logs what happens to providers, which outlive a configuration, and to
// the files of options.

// Loggers are the loggers of the configurations that use something which outlives
// them. The newest one counts.
type Loggers struct {
	mu      sync.Mutex
	loggers []*zap.Logger
}

// Add adds a logger, and returns what removes it. The last one stays.
func (l *Loggers) Add(logger *zap.Logger) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loggers = append(l.loggers, logger)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, one := range l.loggers {
			if one == logger && len(l.loggers) > 1 {
				l.loggers = append(l.loggers[:i:i], l.loggers[i+1:]...)
				return
			}
		}
	}
}

// Logger returns the newest logger, or that of Caddy.
func (l *Loggers) Logger() *zap.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.loggers) == 0 {
		return caddy.Log()
	}
	return l.loggers[len(l.loggers)-1]
}

// LogProviderOutage returns what logs that a provider does not answer, and that
// what was learned before serves.
func LogProviderOutage(logger func() *zap.Logger) func(op.Notice) {
	return func(n op.Notice) {
		part := zap.String("of", n.Part)
		if n.Over {
			logger().Info("the provider answers again", part)
			return
		}
		logger().Error("the provider does not answer; using what was fetched before, for at most 24 hours", part, zap.Time("fetched", n.Fetched), zap.Error(n.Err))
	}
}

// LogFiles returns what logs what happens to the files of an option.
func LogFiles(logger func() *zap.Logger, option string) func(livefile.Event) {
	return func(e livefile.Event) {
		fields := []zap.Field{zap.String("option", option), zap.Strings("files", e.Files)}
		switch e.Kind {
		case livefile.Changed:
			logger().Info("a file of the configuration has changed and is in use", fields...)
		case livefile.Broken:
			logger().Error("a file of the configuration has changed and cannot be used; keeping the last good content", append(fields, zap.Error(e.Err))...)
		case livefile.Writable:
			logger().Warn("every user of this machine can write to a file of the configuration", fields...)
		}
	}
}

// WarnOfFileName warns that the value of an option is the name of a file.
func WarnOfFileName(logger *zap.Logger, option, value string) {
	if placeholder.NamesFile(value) {
		logger.Warn("the value of this option is the name of a file, and is used as it is; to use what the file holds, write a placeholder",
			zap.String("option", option), zap.String("placeholder", "{file."+value+"}"))
	}
}

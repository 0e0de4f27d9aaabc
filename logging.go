package oidcrp

import (
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file logs what happens to providers, which outlive a configuration.

// logs are the loggers of the configurations that use something which outlives
// them. The newest one counts.
type logs struct {
	mu      sync.Mutex
	loggers []*zap.Logger
}

// add adds a logger, and returns what removes it. The last one stays.
func (l *logs) add(logger *zap.Logger) (remove func()) {
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

func (l *logs) logger() *zap.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.loggers) == 0 {
		return caddy.Log()
	}
	return l.loggers[len(l.loggers)-1]
}

// logProviderOutage returns what logs that a provider does not answer, and that
// what was learned before serves.
func logProviderOutage(logger func() *zap.Logger) func(op.Notice) {
	return func(n op.Notice) {
		part := zap.String("of", n.Part)
		if n.Over {
			logger().Info("the provider answers again", part)
			return
		}
		logger().Error("the provider does not answer; using what was fetched before, for at most 24 hours", part, zap.Time("fetched", n.Fetched), zap.Error(n.Err))
	}
}

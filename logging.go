package oidcrp

import (
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file logs what happens to what a configuration names and shares: files and
// providers. And it keeps secrets out of logs that print whole modules.

// logFiles returns what logs what happens to the files of an option.
func logFiles(logger func() *zap.Logger, option string) func(livefile.Event) {
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

// MarshalLogObject keeps the client secret out of logs.
func (p *ProviderConfig) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("issuer", p.Issuer)
	enc.AddString("client_id", p.ClientID)
	return nil
}

// MarshalLogObject keeps the secrets out of logs.
func (s *SessionConfig) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	kind, _ := storeKind(s.StoreRaw)
	enc.AddString("store", kind)
	enc.AddInt("secrets", len(s.Secret))
	return nil
}

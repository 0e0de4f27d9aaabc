package oidcidp

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// logSwitch is the log handler of a provider that outlives configurations. It
// writes to the logger of the last configuration that started.
type logSwitch struct {
	current *atomic.Pointer[slog.Logger]
	with    []func(slog.Handler) slog.Handler
}

// use sets the logger to write to.
func (l *logSwitch) use(logger *slog.Logger) {
	if l.current == nil {
		l.current = new(atomic.Pointer[slog.Logger])
	}
	l.current.Store(logger)
}

func (l *logSwitch) handler() slog.Handler {
	handler := l.current.Load().Handler()
	for _, add := range l.with {
		handler = add(handler)
	}
	return handler
}

// Enabled implements slog.Handler.
func (l *logSwitch) Enabled(ctx context.Context, level slog.Level) bool {
	return l.current.Load().Handler().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l *logSwitch) Handle(ctx context.Context, record slog.Record) error {
	return l.handler().Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (l *logSwitch) WithAttrs(attrs []slog.Attr) slog.Handler {
	return l.and(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (l *logSwitch) WithGroup(name string) slog.Handler {
	return l.and(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (l *logSwitch) and(add func(slog.Handler) slog.Handler) slog.Handler {
	return &logSwitch{l.current, append(l.with[:len(l.with):len(l.with)], add)}
}

package telemetry

import (
	"context"
	"log/slog"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/trace"
)

// NewLogger returns a logger for a module that logs no stack traces. Caddy's handler
// adds them to errors if the request has extra log fields, such as those of its tracing
// handler. They are of no use for our errors, which have their causes elsewhere.
// NewLogger adds the trace fields itself.
func NewLogger(logger *slog.Logger) *slog.Logger { return slog.New(plainHandler{logger.Handler()}) }

type plainHandler struct{ slog.Handler }

func (h plainHandler) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelError {
		if ids := trace.SpanContextFromContext(ctx); ids.IsValid() {
			record = record.Clone()
			record.AddAttrs(slog.String("traceID", ids.TraceID().String()), slog.String("spanID", ids.SpanID().String()))
		}
		ctx = plainContext{ctx}
	}
	return h.Handler.Handle(ctx, record)
}

func (h plainHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return plainHandler{h.Handler.WithAttrs(attrs)}
}

func (h plainHandler) WithGroup(name string) slog.Handler {
	return plainHandler{h.Handler.WithGroup(name)}
}

// plainContext hides the extra log fields of a context.
type plainContext struct{ context.Context }

func (c plainContext) Value(key any) any {
	if key == caddyhttp.ExtraLogFieldsCtxKey {
		return nil
	}
	return c.Context.Value(key)
}

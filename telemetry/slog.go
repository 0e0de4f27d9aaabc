package telemetry

import (
	"context"
	"log/slog"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/trace"
)

// NewLogger returns a logger of a module whose lines have no stack traces. Caddy's adds
// them to errors where a request has further log fields, such as those of its handler
// tracing; our errors are about what others do, and a stack says nothing of that. The
// fields of the trace are added here.
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

// plainContext is a context without further log fields.
type plainContext struct{ context.Context }

func (c plainContext) Value(key any) any {
	if key == caddyhttp.ExtraLogFieldsCtxKey {
		return nil
	}
	return c.Context.Value(key)
}

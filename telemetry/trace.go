package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
)

// This file creates OpenTelemetry spans. They have the tracer provider of the span in
// the request's context, which Caddy's tracing handler begins. Without that handler,
// nothing is recorded.

// scope is the name of the instrumentation scope of our spans.
const scope = "github.com/caddy-oidc-rp/caddy-oidc-rp"

func init() { observe.SetTracer(tracer{}) }

// tracer implements observe.Tracer.
type tracer struct{}

func (tracer) Start(ctx context.Context, name string, remote bool) (context.Context, observe.Recorder) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nil
	}
	kind := trace.SpanKindInternal
	if remote {
		kind = trace.SpanKindClient
	}
	ctx, span := parent.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind))
	return ctx, recorder{span}
}

func (tracer) Current(ctx context.Context) observe.Recorder {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return nil
	}
	return recorder{span}
}

// recorder implements observe.Recorder.
type recorder struct{ span trace.Span }

func (r recorder) Set(name, value string) { r.span.SetAttributes(attribute.String(name, value)) }

func (r recorder) SetInt(name string, value int) { r.span.SetAttributes(attribute.Int(name, value)) }

func (r recorder) End(failed bool) {
	if failed {
		r.span.SetStatus(codes.Error, "")
	}
	r.span.End()
}

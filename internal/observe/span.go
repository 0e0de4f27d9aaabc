package observe

import "context"

// Tracer begins spans for traced requests. Package telemetry implements it.
type Tracer interface {
	// Start begins a child of the span in ctx and returns it with a context that
	// contains it. The Recorder is nil if ctx is not traced. remote marks a request
	// to another server.
	Start(ctx context.Context, name string, remote bool) (context.Context, Recorder)
	// Current returns the span in ctx, or nil if ctx is not traced.
	Current(ctx context.Context) Recorder
}

// Recorder is a span that is being recorded.
type Recorder interface {
	Set(name, value string)
	SetInt(name string, value int)
	// End ends the span. failed reports whether the operation failed.
	End(failed bool)
}

// tracer is set by SetTracer before any request is traced; nil if there is
// none.
var tracer Tracer

// SetTracer sets the tracer. It must be called from an init function.
func SetTracer(t Tracer) { tracer = t }

// Span is a piece of work in a trace. Methods of a nil span do nothing.
type Span struct{ recorder Recorder }

// Start begins a span if ctx belongs to a traced request. Otherwise it returns
// ctx and a nil span.
func Start(ctx context.Context, name string) (context.Context, *Span) { return start(ctx, name, false) }

// StartCall is like Start, for a request to another server.
func StartCall(ctx context.Context, name string) (context.Context, *Span) {
	return start(ctx, name, true)
}

func start(ctx context.Context, name string, remote bool) (context.Context, *Span) {
	if tracer == nil {
		return ctx, nil
	}
	within, recorder := tracer.Start(ctx, name, remote)
	if recorder == nil {
		return ctx, nil
	}
	return within, &Span{recorder}
}

// Current returns the span in ctx, or nil.
func Current(ctx context.Context) *Span {
	if tracer == nil {
		return nil
	}
	if recorder := tracer.Current(ctx); recorder != nil {
		return &Span{recorder}
	}
	return nil
}

// Set sets an attribute, unless the value is empty. The value must not be a secret, a
// user or a URL with a query.
func (s *Span) Set(name, value string) *Span {
	if s != nil && value != "" {
		s.recorder.Set(name, value)
	}
	return s
}

// SetInt sets an attribute to a number.
func (s *Span) SetInt(name string, value int) *Span {
	if s != nil {
		s.recorder.SetInt(name, value)
	}
	return s
}

// End ends the span. failed reports whether the operation failed.
func (s *Span) End(failed bool) {
	if s != nil {
		s.recorder.End(failed)
	}
}

// The names of span attributes.
const (
	AttrProvider  = "oidc_rp.provider"
	AttrOutcome   = "oidc_rp.outcome"
	AttrStore     = "oidc_rp.store"
	AttrOperation = "oidc_rp.operation"
	AttrDirectory = "oidc_rp.directory"
	AttrEndpoint  = "oidc_rp.endpoint"
	AttrStatus    = "http.response.status_code"
)

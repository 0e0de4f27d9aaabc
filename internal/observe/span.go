package observe

import "context"

// Tracer begins spans for traced requests. Package telemetry has it.
type Tracer interface {
	// Start returns a span below that of a context, and a context that has it; nil if
	// the context is not traced.
	Start(ctx context.Context, name string, remote bool) (context.Context, Recorder)
	// Current returns the span of a context; nil if it is not traced.
	Current(ctx context.Context) Recorder
}

// Recorder is one span that someone records.
type Recorder interface {
	Set(name, value string)
	SetInt(name string, value int)
	// End ends the span. failed says that what it is about did not work.
	End(failed bool)
}

// tracer is what SetTracer has set, before anything is traced.
var tracer Tracer

// SetTracer sets what begins spans, in an init function.
func SetTracer(t Tracer) { tracer = t }

// Span is a piece of work in a trace. Methods of a nil span do nothing.
type Span struct{ recorder Recorder }

// Start begins a span, if the context is that of a traced request.
func Start(ctx context.Context, name string) (context.Context, *Span) { return start(ctx, name, false) }

// StartCall begins a span about a request to another server.
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

// Current returns the span of a context.
func Current(ctx context.Context) *Span {
	if tracer == nil {
		return nil
	}
	if recorder := tracer.Current(ctx); recorder != nil {
		return &Span{recorder}
	}
	return nil
}

// Set sets an attribute, unless it is empty. It is never a secret, a user or an address
// with a query.
func (s *Span) Set(name, value string) *Span {
	if s != nil && value != "" {
		s.recorder.Set(name, value)
	}
	return s
}

// SetInt sets an attribute that is a number.
func (s *Span) SetInt(name string, value int) *Span {
	if s != nil {
		s.recorder.SetInt(name, value)
	}
	return s
}

// End ends the span.
func (s *Span) End(failed bool) {
	if s != nil {
		s.recorder.End(failed)
	}
}

// The names of attributes.
const (
	AttrProvider  = "oidc_rp.provider"
	AttrOutcome   = "oidc_rp.outcome"
	AttrStore     = "oidc_rp.store"
	AttrOperation = "oidc_rp.operation"
	AttrDirectory = "oidc_rp.directory"
	AttrEndpoint  = "oidc_rp.endpoint"
	AttrStatus    = "http.response.status_code"
)

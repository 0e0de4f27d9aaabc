package integration_test

import (
	"net/http"
	"slices"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// spans makes the harness trace its requests, as Caddy's tracing handler does, and returns the
// recorder of the spans.
func (r *harness) spans() *tracetest.SpanRecorder {
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("caddy")
	r.traced = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			ctx, span := tracer.Start(request.Context(), "handler")
			defer span.End()
			next.ServeHTTP(w, request.WithContext(ctx))
		})
	}
	return recorder
}

// ended returns this plugin's spans, sorted, each as its name and its attributes in order.
func ended(recorder *tracetest.SpanRecorder) (all []string) {
	for _, span := range recorder.Ended() {
		if !strings.HasPrefix(span.Name(), "oidc_rp.") {
			continue
		}
		var attributes []string
		for _, attribute := range span.Attributes() {
			attributes = append(attributes, string(attribute.Key)+"="+attribute.Value.String())
		}
		slices.Sort(attributes)
		all = append(all, strings.TrimSpace(span.Name()+" "+strings.Join(attributes, " ")))
	}
	slices.Sort(all)
	return all
}

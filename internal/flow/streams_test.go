package flow

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/streams"
)

// A check runs outside of requests, where a panic would end the server.
func TestAStreamEndsWhoseCheckPanics(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	in := &Instance{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	all := watches{{at: in, cookie: new(liveCookie)}} // no keys open it
	if verdict := all.Check(context.Background()); verdict != streams.Over {
		t.Errorf("expected the stream to be over, seen %v", verdict)
	}
	if !strings.Contains(log.String(), "the check of a stream has panicked") {
		t.Errorf("expected a line about the panic, seen %q", log.String())
	}
}

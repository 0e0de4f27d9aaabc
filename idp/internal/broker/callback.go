package broker

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
)

// serveCallback serves the redirect URI of an external provider that responds with
// OAuth 2.0 parameters. Each provider has its own, so that a response of one cannot
// be used as that of another.
func (b *Broker) serveCallback(w http.ResponseWriter, r *http.Request, e *external, kind returning) {
	secure(w)
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	states := query.Only(r.URL.RawQuery, "state")["state"]
	if len(states) != 1 {
		b.fail(w, r, e, "", errors.New("there is not exactly one state"))
		return
	}
	l, err := b.take(w, r, e, states[0])
	if err != nil {
		b.fail(w, r, e, "", err)
		return
	}
	// The code is spent even if the browser disconnects.
	ctx := context.WithoutCancel(r.Context())
	assertion, err := kind.finish(r.WithContext(ctx), l)
	if err != nil {
		b.fail(w, r, e, l.RequestID, err)
		return
	}
	b.deliver(w, r, e, l.RequestID, assertion)
}

// deliver looks up the account of a user and continues the sign-in.
func (b *Broker) deliver(w http.ResponseWriter, r *http.Request, e *external, requestID string, a *Assertion) {
	answer, err := b.resolve(r.Context(), e, a)
	if err != nil {
		b.fail(w, r, e, requestID, failed(kindOfStore(err), err))
		return
	}
	b.report(r, e, answer)
	b.SignIn.Continue(w, r, requestID, answer)
}

// report logs and counts an answer.
func (b *Broker) report(r *http.Request, e *external, answer *Answer) {
	attrs := []slog.Attr{slog.String("outcome", string(answer.Outcome))}
	if answer.User != nil {
		attrs = append(attrs, slog.String("user", answer.User.ID))
	}
	b.log(r, slog.LevelInfo, "external_authenticated", "an external provider authenticated a user", e, attrs...)
	b.count(e, string(answer.Outcome))
}

// secure sets the headers of responses at addresses that contain secrets.
func secure(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

package broker

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// FailureKind says how a login failed, as far as users see it.
type FailureKind string

const (
	// Invalid: what the browser brought is not accepted. All reasons look the same.
	Invalid FailureKind = "external_invalid"
	// Denied: the external provider says that the user was not let in, or that
	// the user canceled.
	Denied FailureKind = "external_denied"
	// Stale: the browser has not begun this login, or it is over.
	Stale FailureKind = "external_expired"
	// Unproved: the user has not signed in as recently as the application wants,
	// or the external provider cannot say so.
	Unproved FailureKind = "external_unproved"
	// Down: the external provider does not answer.
	Down FailureKind = "external_unavailable"
	// Unconfigured: there is no such external provider, or its configuration
	// does not work.
	Unconfigured FailureKind = "external_unconfigured"
	// Unavailable: our own database does not answer.
	Unavailable FailureKind = "unavailable"
)

// Failure is a login that failed.
type Failure struct {
	Kind     FailureKind
	External string // the id
	// Err is why, for the log alone; it was logged.
	Err error
}

func (f *Failure) Error() string { return string(f.Kind) + ": " + f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// Status returns the status of the response. It depends on the kind alone.
func (f *Failure) Status() int {
	switch f.Kind {
	case Denied, Unproved:
		return http.StatusForbidden
	case Down, Unavailable:
		return http.StatusServiceUnavailable
	case Unconfigured:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

func failed(kind FailureKind, err error) *Failure { return &Failure{Kind: kind, Err: err} }

// failureOf makes the failure of an error. What is not known to be something else
// is an answer that is not accepted.
func failureOf(err error) *Failure {
	var (
		failure  *Failure
		down     *op.UnavailableError
		settings *op.SettingsError
	)
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return failed(Unavailable, err)
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &settings):
		return failed(Unconfigured, err)
	case errors.As(err, &down):
		return failed(Down, err)
	}
	return failed(Invalid, err)
}

const (
	// maxCause bounds what is logged of an error.
	maxCause = 600
	// retryAfter is when to try again what is not available, in seconds.
	retryAfter = "5"
)

// fail logs an error and shows the failure.
func (b *Broker) fail(w http.ResponseWriter, r *http.Request, e *external, requestID string, err error) {
	f := failureOf(err)
	shown := &Failure{Kind: f.Kind, External: e.ID, Err: f.Err}
	b.log(r, slog.LevelWarn, "external_failed", "the login at an external provider failed", e,
		slog.String("kind", string(f.Kind)), slog.String("cause", logtext.Clean(err.Error(), maxCause)))
	b.count(e, string(f.Kind))
	if shown.Status() == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	b.SignIn.Fail(w, r, requestID, shown)
}

func (b *Broker) log(r *http.Request, level slog.Level, event, message string, e *external, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("event", event), slog.String("external", e.ID)}, attrs...)
	b.Logger.LogAttrs(r.Context(), level, message, attrs...)
}

func (b *Broker) count(e *external, outcome string) {
	if b.Count != nil {
		b.Count(e.ID, outcome)
	}
}

// kindOfStore is the kind of an error that came of the database and not of what
// the browser brought.
func kindOfStore(err error) FailureKind {
	if errors.Is(err, store.ErrUnavailable) {
		return Unavailable
	}
	return Unconfigured
}

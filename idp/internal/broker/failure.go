package broker

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// FailureKind is how a login failed, as far as users can see it.
type FailureKind string

const (
	// Invalid means that the response was not accepted. All reasons look the same.
	Invalid FailureKind = "external_invalid"
	// Denied means that the external provider refused the user, or that the user
	// canceled.
	Denied FailureKind = "external_denied"
	// Stale means that this browser did not begin the login, or that it has
	// expired.
	Stale FailureKind = "external_expired"
	// Unproved means that the user did not authenticate as recently as the
	// application demands, or that the external provider cannot tell.
	Unproved FailureKind = "external_unproved"
	// Down means that the external provider does not respond.
	Down FailureKind = "external_unavailable"
	// Unconfigured means that the external provider does not exist, or its
	// configuration does not work.
	Unconfigured FailureKind = "external_unconfigured"
	// Unavailable means that our own database does not respond.
	Unavailable FailureKind = "unavailable"
)

// Failure is a login that failed.
type Failure struct {
	Kind     FailureKind
	External string // the id
	// Err is the cause. It is already logged and must not be shown.
	Err error
}

func (f *Failure) Error() string { return string(f.Kind) + ": " + f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// Status returns the status of the response. It depends only on the kind.
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

// failureOf returns the failure for an error. Unknown errors are Invalid.
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
	// maxCause is the maximum length of a logged error.
	maxCause = 600
	// retryAfter is the Retry-After, in seconds, for unavailable services.
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

// kindOfStore returns the kind of an error of the database.
func kindOfStore(err error) FailureKind {
	if errors.Is(err, store.ErrUnavailable) {
		return Unavailable
	}
	return Unconfigured
}

package provider

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// Kind is the kind of the requests that begin at the authorization endpoint.
const Kind = "authorize"

// Sessions are the single sign-on sessions, as far as the provider needs them.
type Sessions interface {
	Current(r *http.Request) (*store.Session, *store.User, error)
	End(ctx context.Context, sid string) error
	// HasCookie reports whether a request has a session's cookie.
	HasCookie(r *http.Request) bool
	// FormToken returns what a form of the session's browser carries.
	FormToken(r *http.Request, purpose string) string
	// Forget removes the cookie.
	Forget(w http.ResponseWriter)
}

// Pages are what users see of the provider itself.
type Pages interface {
	// Error says that a request cannot be answered. The description is for the
	// developers of applications.
	Error(w http.ResponseWriter, r *http.Request, status int, code, description string)
	// Redirect sends a browser to an address, which may follow a form of ours.
	Redirect(w http.ResponseWriter, r *http.Request, address string)
	// FormPost posts fields to a redirect URI (OAuth 2.0 Form Post Response Mode).
	FormPost(w http.ResponseWriter, r *http.Request, action string, fields map[string]string)
	// SignOut asks whether to sign out. Its form posts hidden, and the field choice
	// with the value "signout" or "stay", to action.
	SignOut(w http.ResponseWriter, r *http.Request, user *store.User, action string, hidden map[string]string)
	// SignedOut says that the user is signed out.
	SignedOut(w http.ResponseWriter, r *http.Request)
}

// Options are what a Provider needs.
type Options struct {
	Issuer   address.Origin
	Store    store.Store
	Keys     *Keys
	Clients  *Clients
	Sessions Sessions
	Pages    Pages
	// Begin has an authorization request answered: it calls Finish or Refuse, now
	// or after a sign-in.
	Begin func(w http.ResponseWriter, r *http.Request, request *request.Request)
	// Application returns the application user whose access key a program has
	// shown, or store.ErrNotFound. It may be nil.
	Application func(ctx context.Context, name, key string) (*store.User, error)
	// Languages are those of the pages.
	Languages []string
	Now       func() time.Time
	Logger    *slog.Logger
	// Count counts the requests of an endpoint by their outcome; it may be nil.
	Count func(endpoint, outcome string)
}

// Provider is the OpenID Provider.
type Provider struct {
	Options
	issuer   string
	library  http.Handler
	metadata []byte
	origins  map[string]bool // of public clients
}

// New returns a Provider. It touches no file and no connection.
func New(o Options) (*Provider, error) {
	p := &Provider{Options: o, issuer: o.Issuer.String(), origins: o.Clients.publicOrigins()}
	var err error
	if p.library, err = newLibrary(p.issuer, o.Keys, o.Logger); err != nil {
		return nil, err
	}
	if p.metadata, err = p.newMetadata(); err != nil {
		return nil, err
	}
	return p, nil
}

var _ request.Finisher = (*Provider)(nil)

// unavailable reports whether an error is of a database that does not answer.
func unavailable(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// fail logs what went wrong here.
func (p *Provider) fail(ctx context.Context, endpoint string, err error) {
	p.Logger.LogAttrs(ctx, slog.LevelError, "a request failed",
		slog.String("event", "provider_failed"), slog.String("endpoint", endpoint), slog.Any("error", err))
}

// refused logs what a client or a browser got wrong.
func (p *Provider) refused(ctx context.Context, endpoint, clientID string, err *protocolError) {
	p.Logger.LogAttrs(ctx, slog.LevelInfo, "a request was refused",
		slog.String("event", "request_refused"), slog.String("endpoint", endpoint), slog.String("client_id", logtext.Clean(clientID, 256)),
		slog.String("error", err.code), slog.String("description", err.description))
}

func (p *Provider) count(endpoint, outcome string) {
	if p.Count != nil {
		p.Count(endpoint, outcome)
	}
}

// failPage says to a user that something went wrong here.
func (p *Provider) failPage(w http.ResponseWriter, r *http.Request, endpoint string, err error) {
	p.fail(r.Context(), endpoint, err)
	if unavailable(err) {
		w.Header().Set("Retry-After", "5")
		p.Pages.Error(w, r, http.StatusServiceUnavailable, "temporarily_unavailable", "")
		return
	}
	p.Pages.Error(w, r, http.StatusInternalServerError, "server_error", "")
}

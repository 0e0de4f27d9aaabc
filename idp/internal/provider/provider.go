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

// Kind is the kind of requests that begin at the authorization endpoint.
const Kind = "authorize"

// Sessions has the single sign-on sessions, as far as the provider needs them.
type Sessions interface {
	Current(r *http.Request) (*store.Session, *store.User, error)
	End(ctx context.Context, sid string) error
	// HasCookie reports whether a request has a session's cookie.
	HasCookie(r *http.Request) bool
	// FormToken returns the token for a form in the session's browser.
	FormToken(r *http.Request, purpose string) string
	// Forget clears the cookie.
	Forget(w http.ResponseWriter)
}

// Pages shows the provider's own pages.
type Pages interface {
	// Error shows that a request cannot be processed. The description is for
	// developers of applications.
	Error(w http.ResponseWriter, r *http.Request, status int, code, description string)
	// Redirect redirects a browser, possibly after a form of ours.
	Redirect(w http.ResponseWriter, r *http.Request, address string)
	// FormPost posts fields to a redirect URI (OAuth 2.0 Form Post Response Mode).
	FormPost(w http.ResponseWriter, r *http.Request, action string, fields map[string]string)
	// SignOut asks whether to sign out. Its form posts hidden, and the field choice
	// with the value "signout" or "stay", to action.
	SignOut(w http.ResponseWriter, r *http.Request, user *store.User, action string, hidden map[string]string)
	// SignedOut shows that the user is signed out.
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
	// Begin processes an authorization request: it calls Finish or Refuse, now or
	// after a sign-in.
	Begin func(w http.ResponseWriter, r *http.Request, request *request.Request)
	// Application, if not nil, returns the application user with an access key, or
	// store.ErrNotFound.
	Application func(ctx context.Context, name, key string) (*store.User, error)
	// Languages are the languages of the pages.
	Languages []string
	Now       func() time.Time
	Logger    *slog.Logger
	// Count, if not nil, counts the requests of an endpoint by their outcome.
	Count func(endpoint, outcome string)
}

// Provider is the OpenID Provider.
type Provider struct {
	Options
	issuer   string
	library  http.Handler
	metadata []byte
	origins  map[string]bool // origins of public clients
}

// New returns a Provider. It accesses no file and opens no connection.
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

// unavailable reports whether an error means that the database does not respond.
func unavailable(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// fail logs an internal error.
func (p *Provider) fail(ctx context.Context, endpoint string, err error) {
	p.Logger.LogAttrs(ctx, slog.LevelError, "a request failed",
		slog.String("event", "provider_failed"), slog.String("endpoint", endpoint), slog.Any("error", err))
}

// refused logs an error of a client or a browser.
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

// failPage shows an internal error to a user.
func (p *Provider) failPage(w http.ResponseWriter, r *http.Request, endpoint string, err error) {
	p.fail(r.Context(), endpoint, err)
	if unavailable(err) {
		w.Header().Set("Retry-After", "5")
		p.Pages.Error(w, r, http.StatusServiceUnavailable, "temporarily_unavailable", "")
		return
	}
	p.Pages.Error(w, r, http.StatusInternalServerError, "server_error", "")
}

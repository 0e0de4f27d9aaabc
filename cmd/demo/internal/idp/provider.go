// Package idp is a small OpenID provider for the demo: a few users, one
// client, one browser session per sign-in, everything in memory. The protocol
// is the work of github.com/zitadel/oidc; the storage behind it and the pages
// in front of it are here.
//
// It is made for loopback and for looking at. It is no provider for real users.
package idp

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	"golang.org/x/text/language"
)

// The paths of the pages of our own; those of the protocol are the library's
// and listed in the discovery document.
const (
	loginPath      = "/login"
	stylesheetPath = "/style.css"
	sessionCookie  = "demo_idp_session"
)

// scopeGroups is the scope that asks for the claim of the same name.
const scopeGroups = "groups"

// User is somebody who can sign in.
type User struct {
	// Subject is the user's name for machines: the sub claim.
	Subject string
	// Username and Password are what the login page asks for.
	Username, Password string
	// GivenName, FamilyName and Email are claims of the scopes profile and email.
	GivenName, FamilyName, Email string
	// Groups is the claim of the scope groups.
	Groups []string
}

// Config says what a provider knows.
type Config struct {
	// Issuer is the URL at which browsers and relying parties reach the provider.
	Issuer string
	// ClientID and ClientSecret are those of the only client.
	ClientID, ClientSecret string
	// RedirectURI and PostLogoutRedirectURI are where its users come back.
	RedirectURI, PostLogoutRedirectURI string
	// Home is the client's site, the way out of a page that leads nowhere else.
	Home string
	// Users are those who can sign in.
	Users []User
	// Stylesheet is the CSS of all pages.
	Stylesheet []byte
}

// provider joins the library's endpoints and the pages of our own.
type provider struct {
	config  Config
	storage *storage
	op      *op.Provider
}

// New returns a provider, ready to be served at its issuer URL. Its keys are
// new each time.
func New(config Config) (http.Handler, error) {
	store, err := newStorage(config)
	if err != nil {
		return nil, err
	}
	var cryptoKey [32]byte
	if _, err := rand.Read(cryptoKey[:]); err != nil {
		return nil, fmt.Errorf("making the provider's key for access tokens: %w", err)
	}
	engine, err := op.NewProvider(&op.Config{
		CryptoKey:                cryptoKey,
		CodeMethodS256:           true,
		DefaultLogoutRedirectURI: "/",
		SupportedUILocales:       []language.Tag{language.English},
		SupportedScopes:          []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, scopeGroups},
		SupportedClaims: []string{
			"sub", "preferred_username", "name", "given_name", "family_name",
			"email", "email_verified", scopeGroups,
		},
	}, store, op.StaticIssuer(config.Issuer), op.WithAllowInsecure())
	if err != nil {
		return nil, fmt.Errorf("setting up the provider %s: %w", config.Issuer, err)
	}

	p := &provider{config: config, storage: store, op: engine}
	mux := http.NewServeMux()
	mux.Handle("/", engine)
	mux.HandleFunc("GET /{$}", p.showHome)
	mux.HandleFunc("GET "+loginPath, p.showLogin)
	mux.HandleFunc("POST "+loginPath, p.answerLogin)
	mux.HandleFunc("GET "+stylesheetPath, p.showStylesheet)
	return p.withSession(mux), nil
}

// sessionKey is the key of the browser's session id in a request's context.
type sessionKey struct{}

// withSession hands the id in the session cookie to the storage, which sees
// contexts but no requests.
func (p *provider) withSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slog.Debug("provider", "method", r.Method, "path", r.URL.Path)
		if cookie, err := r.Cookie(sessionCookie); err == nil {
			r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, cookie.Value))
		}
		next.ServeHTTP(w, r)
	})
}

// sessionID returns the browser's session id, "" without one.
func sessionID(ctx context.Context) string {
	id, _ := ctx.Value(sessionKey{}).(string)
	return id
}

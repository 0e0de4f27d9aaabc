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
	"strings"

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
	// loginCookie and its id name the cookie of a login. A provider on HTTPS would
	// give both cookies the prefix __Host-.
	loginCookie = "demo_idp_login_"
)

// scopeGroups is the scope that asks for the claim of the same name.
const scopeGroups = "groups"

// User is a user who can sign in.
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
	return p.withVisitor(p.withoutPanics(mux)), nil
}

// visitorKey is the key of the visitor in a request's context.
type visitorKey struct{}

// visitor is the browser that sent a request, as far as its cookies tell.
type visitor struct {
	session string            // the value of the session cookie
	logins  map[string]string // logins that began in this browser: id to secret
	// begun is what the login that this request begins will have.
	begun *login
}

// login is what ties a login to the browser that it began in.
type login struct{ id, secret string }

// withVisitor hands the cookies to the storage, which sees contexts but no
// requests, and gives each login a cookie when it begins.
func (p *provider) withVisitor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slog.Debug("provider", "method", r.Method, "path", r.URL.Path)
		v := visitor{logins: make(map[string]string)}
		for _, cookie := range r.Cookies() {
			if id, ok := strings.CutPrefix(cookie.Name, loginCookie); ok {
				v.logins[id] = cookie.Value
			} else if cookie.Name == sessionCookie {
				v.session = cookie.Value
			}
		}
		if r.URL.Path == p.op.AuthorizationEndpoint().Relative() {
			v.begun = &login{rand.Text(), rand.Text()}
			for _, id := range p.storage.superfluous(v.logins) {
				http.SetCookie(w, &http.Cookie{Name: loginCookie + id, Path: "/", MaxAge: -1})
			}
			http.SetCookie(w, &http.Cookie{
				Name: loginCookie + v.begun.id, Value: v.begun.secret, Path: "/", MaxAge: int(loginLifetime.Seconds()),
				HttpOnly: true, SameSite: http.SameSiteLaxMode,
			})
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, v)))
	})
}

// visitorOf returns the browser of a request.
func visitorOf(ctx context.Context) visitor {
	v, _ := ctx.Value(visitorKey{}).(visitor)
	return v
}

// withoutPanics answers where the library trips over what a stranger sent, such
// as an id_token_hint that holds null.
func (p *provider) withoutPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if trouble := recover(); trouble != nil {
				slog.Error("a request of the provider failed", "path", r.URL.Path, "error", trouble)
				p.showGone(w)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

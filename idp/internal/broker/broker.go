// Package broker lets external providers authenticate users, by OpenID Connect,
// SAML 2.0, or OAuth 2.0 with an API, and links their accounts to ours.
//
// It redirects browsers to external providers, verifies the responses, and looks up the
// accounts. Package signin implements the steps of a sign-in, pages and sessions, with
// the Answer that it gets.
//
// An identity is the id of the external provider, its issuer and its subject. No
// external provider can name a user or a group of another one or of ours; see
// link.go for the rules.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Broker has the external providers of a configuration. It is safe for concurrent
// use.
type Broker struct {
	Options
	externals []*external // in the order of the configuration
}

// Options are what a Broker needs from other parts.
type Options struct {
	Issuer  string // ours, without a slash at the end
	Store   store.Store
	Cookies request.Cookies
	// Expand resolves the placeholders of an option, such as {env.SECRET}.
	Expand   func(text string) (string, error)
	Accounts Accounts
	SignIn   SignIn
	Vault    Vault
	// InitiateURL returns where an application begins a login that a third party
	// initiates (OpenID Connect Core 4); "" if it has no such address.
	InitiateURL func(clientID string) string
	// Count, if not nil, counts the outcome of a login at an external provider.
	Count  func(external, outcome string)
	Logger *slog.Logger
	Now    func() time.Time
}

// Accounts has the rules of accounts that the broker needs.
type Accounts interface {
	// NewUser stores a new account, reserves its names, and sets its ID. It returns
	// store.ErrExists if a name is taken.
	NewUser(tx store.Tx, user *store.User) error
	// Linked notifies a user that an external account was linked to theirs. It must
	// not wait for the mail.
	Linked(ctx context.Context, user *store.User, external string)
}

// Vault seals the keys that the broker makes.
type Vault interface {
	Seal(ctx context.Context, row, column string, value []byte) ([]byte, error)
	Open(ctx context.Context, row, column string, sealed []byte) ([]byte, error)
}

// SignIn continues a sign-in when a browser comes back. All methods respond to the
// request.
type SignIn interface {
	// Continue continues the request that the login was begun for. It must still
	// belong to this browser. If the Answer is Unknown, the user has no account
	// here.
	Continue(w http.ResponseWriter, r *http.Request, requestID string, answer *Answer)
	// Current returns the user who is signed in in this browser, or nil.
	Current(r *http.Request) (*store.User, error)
	// Ask asks the user of an unsolicited response whether to continue as that
	// user.
	Ask(w http.ResponseWriter, r *http.Request, offer *Offer)
	// Begin begins a request for the user who has accepted an unsolicited response,
	// and continues it like Continue.
	Begin(w http.ResponseWriter, r *http.Request, request *request.Request, answer *Answer)
	// Fail shows that a login failed. requestID is empty if it is unknown; then the
	// page has no way back.
	Fail(w http.ResponseWriter, r *http.Request, requestID string, failure *Failure)
	// Redirect redirects the browser to another site, also after a form.
	Redirect(w http.ResponseWriter, r *http.Request, address string)
	// Post sends the browser to an address with a form that submits itself.
	Post(w http.ResponseWriter, r *http.Request, action string, fields map[string]string)
}

// New checks the configurations and returns a Broker. It opens no connection and
// does not access the database.
func New(configs []Config, options Options) (*Broker, error) {
	b := &Broker{Options: options}
	if err := CheckAll(configs); err != nil {
		return nil, err
	}
	for i := range configs {
		e, err := b.newExternal(&configs[i])
		if err != nil {
			return nil, fmt.Errorf("external %s: %w", configs[i].ID, err)
		}
		b.externals = append(b.externals, e)
	}
	return b, nil
}

// external is one external provider.
type external struct {
	*Config
	kind     provider
	callback string // where browsers return to
}

// provider implements a protocol.
type provider interface {
	// leave returns where to send the browser. It may change the login.
	leave(ctx context.Context, l *login) (departure, error)
	// close releases the provider's resources.
	close()
}

// departure is how a browser leaves: by a redirect, or by a form if there are
// fields.
type departure struct {
	url    string
	fields map[string]string
}

// returning is a provider from which browsers return by a redirect, with an OAuth
// 2.0 response.
type returning interface {
	provider
	finish(r *http.Request, l *login) (*Assertion, error)
}

func (b *Broker) newExternal(c *Config) (*external, error) {
	e := &external{Config: c, callback: b.Issuer + "/external/" + c.ID + "/callback"}
	var err error
	switch {
	case c.OIDC != nil:
		e.kind, err = b.newOIDC(e)
	case c.OAuth2 != nil:
		e.kind, err = b.newOAuth2(e)
	case c.SAML != nil:
		e.kind, err = b.newSAML(e)
	}
	return e, err
}

// Close closes connections.
func (b *Broker) Close() {
	for _, e := range b.externals {
		e.kind.close()
	}
}

// External describes an external provider for pages and commands.
type External struct {
	ID, Name string
	Icon     string // a file, or empty
	Kind     string // oidc, saml or oauth2
	Domains  []string
	Disabled bool
}

// Externals returns the external providers in the order of the configuration.
func (b *Broker) Externals() []External {
	all := make([]External, 0, len(b.externals))
	for _, e := range b.externals {
		all = append(all, External{ID: e.ID, Name: e.title(), Icon: e.Icon, Kind: e.Config.kind(), Domains: e.Domains, Disabled: e.Disabled})
	}
	return all
}

// ForDomain returns the external provider for the domain of an e-mail address. It
// depends on the domain alone, never on an account.
func (b *Broker) ForDomain(address string) (id string, ok bool) {
	domain := identity.DomainOf(strings.TrimSpace(address))
	for _, e := range b.externals {
		if domain != "" && !e.Disabled && slices.Contains(e.Domains, domain) {
			return e.ID, true
		}
	}
	return "", false
}

func (b *Broker) external(id string) *external {
	for _, e := range b.externals {
		if e.ID == id && !e.Disabled {
			return e
		}
	}
	return nil
}

// Begin sends the browser to an external provider, with the prompt, max_age and
// acr_values of the request. hint is what the user typed and may be empty.
func (b *Broker) Begin(w http.ResponseWriter, r *http.Request, id string, request *request.Request, hint string) {
	e := b.external(id)
	if e == nil {
		b.SignIn.Fail(w, r, request.ID, &Failure{Kind: Unconfigured, External: id, Err: errors.New("there is no such external provider, or it is disabled")})
		return
	}
	l, err := newLogin(e, request, hint, b.Now())
	if err != nil {
		b.fail(w, r, e, request.ID, err)
		return
	}
	leave, err := e.kind.leave(r.Context(), l)
	if err == nil {
		err = b.keep(w, r, l)
	}
	if err != nil {
		b.fail(w, r, e, request.ID, err)
		return
	}
	secure(w)
	if leave.fields != nil {
		b.SignIn.Post(w, r, leave.url, leave.fields)
		return
	}
	b.SignIn.Redirect(w, r, leave.url+"#") // the external provider must not inherit a fragment
}

// ServeHTTP serves the addresses to which browsers return, /external/… and /saml/….
// It returns false for other paths.
func (b *Broker) ServeHTTP(w http.ResponseWriter, r *http.Request) bool {
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) != 4 {
		return false
	}
	e := b.external(parts[2])
	if e == nil {
		return false
	}
	if kind, ok := e.kind.(returning); ok && parts[1] == "external" && parts[3] == "callback" {
		b.serveCallback(w, r, e, kind)
		return true
	}
	if kind, ok := e.kind.(*samlProvider); ok && parts[1] == "saml" {
		return kind.serve(w, r, parts[3])
	}
	return false
}

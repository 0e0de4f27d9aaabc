// Package builtin is what the relying party and an identity provider in the same
// Caddy say to each other. The relying party asks the app AppID for a Provider,
// and knows nothing else about it: who uses no identity provider builds none.
package builtin

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// AppID is the Caddy app that is asked. It has to implement Provider.
const AppID = "oidc_idp"

// ClientID is the id of the client that all sites of this Caddy are together, so
// that they can share sessions and logins as sites with one client elsewhere can.
const ClientID = "builtin"

// MFA is the acr of a sign-in with several factors, whose amr has mfa.
const MFA = "urn:oidc-idp:mfa"

// Provider is an OpenID Provider in this Caddy.
type Provider interface {
	// Issuer returns the issuer. It is known as soon as the app is provisioned.
	Issuer() string

	// Register makes a client known, until Close. It may be called while sites
	// are provisioned, before the provider can serve requests. A client of the
	// same id that another site registered is the same client: it may do what any
	// of its registrations allows.
	Register(Client) (Registration, error)

	// Program returns the program that an access key is of. The error is
	// ErrUnknownKey for a key that does not count; after another one the provider
	// may be asked again later.
	Program(ctx context.Context, accessKey string) (*Program, error)
}

// Inspector is a Provider that finds out before it runs whether it can. It changes
// nothing: neither does it make a database, nor bring one to another version.
type Inspector interface {
	Inspect(ctx context.Context) []Finding
}

// Finding is one thing that an Inspector has looked at.
type Finding struct {
	Name    string // what it is about, such as database
	Message string
	// Remedy says what to do; empty if all is well.
	Remedy string
}

// ErrUnknownKey is the error for an access key that does not exist, has ended, or is
// of a program that is locked or removed.
var ErrUnknownKey = errors.New("the identity provider knows no such access key")

// Program is a user of the provider that is a program: it has access keys and never
// signs in.
type Program struct {
	Name    string
	Groups  []string
	Expires time.Time // of the key; zero if it has no end
}

// Client is a relying party in this Caddy.
type Client struct {
	// ID is the client id. It is the same on all nodes and after a reload.
	ID string

	// Name is what users see. It may be empty.
	Name string

	// Allows reports whether an authorization response may go to an address. It
	// is asked at each request, since the hosts of a site are known only when
	// everything runs.
	Allows func(redirectURI string) bool

	// AllowsAfterLogout reports whether a browser may be sent to an address after
	// a logout.
	AllowsAfterLogout func(postLogoutRedirectURI string) bool

	// Initiate returns the address that begins a login at the site of a host
	// (OpenID Connect Core, section 4), empty if there is no such site.
	Initiate func(host string) string

	// Ended is called when sessions of a user end at the provider: the one with
	// the sid, or all of the user's if sid is empty. It returns when the client
	// has ended its own.
	Ended func(ctx context.Context, sub, sid string) error
}

// Registration is a registered client. Its RoundTrip sends a request to the
// provider without leaving the process, as that client: no request from anywhere
// else can speak for it.
type Registration interface {
	http.RoundTripper
	// Close ends the registration.
	Close() error
}

// Package builtin is the interface between the relying party and an identity
// provider in the same Caddy. The relying party gets a Provider from the app
// AppID and knows nothing else about it, so a Caddy can be built without an
// identity provider.
package builtin

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// AppID is the ID of the Caddy app that implements Provider.
const AppID = "oidc_idp"

// ClientID is the client id that all sites of this Caddy have in common. They can
// therefore share sessions and logins, like sites with a common client at another
// provider.
const ClientID = "builtin"

// MFA is the acr of sign-ins with several factors, whose amr contains mfa.
const MFA = "urn:oidc-idp:mfa"

// Provider is an OpenID Provider in this Caddy.
type Provider interface {
	// Issuer returns the issuer. It is known as soon as the app is provisioned.
	Issuer() string

	// Register registers a client until Close is called on the result. It may be
	// called while sites are provisioned, before the provider can serve requests.
	// Registrations with the same id are one client, which may do what any of its
	// registrations allows.
	Register(Client) (Registration, error)

	// Program returns the program to which an access key belongs. The error is
	// ErrUnknownKey if the key is not valid. Other errors are temporary.
	Program(ctx context.Context, accessKey string) (*Program, error)
}

// Inspector is implemented by a Provider that can check, before it runs, whether
// it would be able to. Inspect changes nothing: it neither creates nor migrates a
// database.
type Inspector interface {
	Inspect(ctx context.Context) []Finding
}

// Finding is a result of an Inspector.
type Finding struct {
	Name    string // what was checked, such as "database"
	Message string
	// Remedy is what to do about it, or "" if nothing is wrong.
	Remedy string
}

// ErrUnknownKey is the error for an access key that does not exist or has expired,
// or whose program is locked or removed.
var ErrUnknownKey = errors.New("the identity provider knows no such access key")

// Program is a user of the provider that is a program. It has access keys and never
// signs in.
type Program struct {
	Name    string
	Groups  []string
	Expires time.Time // expiry of the key; zero if it never expires
}

// Client is a relying party in this Caddy.
type Client struct {
	// ID is the client id. It must be the same on all nodes and after a reload.
	ID string

	// Name is the name that users see. It may be empty.
	Name string

	// Allows reports whether an authorization response may be sent to a
	// redirect URI. It is called for each request, because the hosts of a site
	// are known only once everything runs.
	Allows func(redirectURI string) bool

	// AllowsAfterLogout reports whether a browser may be redirected to a URI
	// after a logout.
	AllowsAfterLogout func(postLogoutRedirectURI string) bool

	// Initiate returns the URI that begins a login at the site with the given
	// host (OpenID Connect Core, section 4), or "" if there is no such site.
	Initiate func(host string) string

	// Ended is called when the session sid of a user has ended at the provider,
	// or all of the user's sessions if sid is empty. It returns when the client
	// has ended its sessions.
	Ended func(ctx context.Context, sub, sid string) error
}

// Registration is a registered client. RoundTrip sends a request to the provider
// as this client, without leaving the process. No other request can act as this
// client.
type Registration interface {
	http.RoundTripper
	// Close ends the registration.
	Close() error
}

// Package directory defines what a directory of known users must do. Directories
// are Caddy modules in the namespace oidc_rp.directories, and are configured
// with the option known_users. Each has its own package below this one and
// passes the test suite in directorytest.
//
// A directory knows users by their names. It knows nothing about sessions,
// requests or responses; its callers decide what follows from its answers.
//
// # Writing a directory
//
// The option known_users accepts any module whose ID is Namespace, a dot and a
// name, and that implements Directory. Its package can be anywhere. If it
// implements caddyfile.Unmarshaler, it also works in a Caddyfile, where the
// first token is its name.
//
// As with all Caddy modules, Provision must not open connections, because the
// configuration may only be validated. During a reload there are two values of
// the module, so cached answers belong in a caddy.UsagePool. Knows must still
// work after Cleanup, because requests continue for a while.
//
// Knows is called for every request with a session, so most answers must come
// from memory. Users who are removed from the directory stay signed in until the
// remembered answer expires.
//
// directorytest.Run tests the contract of Directory.
package directory

import (
	"context"
	"fmt"
	"time"
)

// Namespace is the namespace of the modules. Their IDs are the namespace, a
// dot, and the name that the option known_users takes.
const Namespace = "oidc_rp.directories"

// User is a user who has signed in, and whose sign-in has passed all other
// checks.
type User struct {
	// ID is the user's name at the site, as in {http.auth.user.id}. It is unique:
	// it begins with the id of the provider unless that is the default one of the
	// site, and with the tenant if the provider has several. Slashes and percent
	// signs in names are percent-encoded.
	ID string
	// Name is only the name, as the provider gave it. Users of different
	// providers or tenants can have the same name.
	Name string
	// Provider is the id of the provider. Default reports whether it is the
	// default provider of the site.
	Provider string
	Default  bool
	// Tenant is the user's tenant if the provider has several, or "".
	Tenant string
}

// Directory knows users. It must be safe for concurrent use.
type Directory interface {
	// Knows reports whether the directory knows a user. It compares names byte for
	// byte, unless it is configured otherwise. An error means that the answer is
	// not known: the request gets 503. If there is no answer when ctx is done,
	// Knows returns an error soon afterwards. Errors must not contain secrets. An
	// UnavailableError tells clients when to retry.
	Knows(ctx context.Context, user User) (bool, error)
}

// Limited is implemented by directories that only cover users of certain
// providers. They are not asked about others.
type Limited interface {
	// Providers returns the ids of the providers; if empty, all. Loading the
	// configuration fails if the site does not have such a provider. After
	// Provision, the result never changes.
	Providers() []string
}

// UnavailableError is the error of a directory that cannot answer at the
// moment.
type UnavailableError struct {
	Err error
	// RetryAfter is the time after which another attempt may succeed.
	RetryAfter time.Duration
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the directory is not available: %v", e.Err)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

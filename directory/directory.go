// Package directory defines what a directory of known users must do. Directories
// are guest modules of Caddy in the namespace oidc_rp.directories, which the
// option known_users names. Each has a package of its own below this one and
// passes the test suite in directorytest.
//
// A directory knows users by their names. It does not know sessions, requests or
// responses; what follows from its answers is up to its callers.
//
// # Writing a directory
//
// The option known_users accepts any module whose ID is Namespace, a dot and a
// name, and that implements Directory, wherever its package is. With
// UnmarshalCaddyfile it also works in a Caddyfile, where the first token is the
// name.
//
// As with all modules of Caddy, Provision only prepares: it opens no connection,
// since the configuration may only be validated. During a reload there are two
// values, so what was learned belongs in a caddy.UsagePool. Requests continue for
// a while after Cleanup, so Knows must still work then.
//
// Knows is called for every request that comes with a session, so an answer must
// usually come from memory. How long an answer is remembered is how long a user
// who was removed stays signed in.
//
// directorytest.Run tests every sentence of Directory that a test can.
package directory

import (
	"context"
	"fmt"
	"time"
)

// Namespace is that of the modules, whose ids are the namespace, a dot, and the
// word that the option known_users takes.
const Namespace = "oidc_rp.directories"

// User is whom a directory is asked about: a user who has signed in, and whose
// sign-in has passed every check.
type User struct {
	// ID is the user's name at the site, as in {http.auth.user.id}. Two users
	// never have the same one: where a site has several providers, the id of a
	// provider that is not the default one comes before the name, and of a
	// provider with several tenants the tenant. Slashes and percent signs in names
	// are percent-encoded.
	ID string
	// Name is the name alone, as the provider gave it. Users of different
	// providers or tenants can have the same one.
	Name string
	// Provider is the id of the provider, and Default whether it is the default
	// one of the site.
	Provider string
	Default  bool
	// Tenant is the user's tenant, at a provider that has several.
	Tenant string
}

// Directory knows users. Caddy calls Knows from many requests at once.
type Directory interface {
	// Knows reports whether the directory knows a user. Names are compared byte
	// for byte. An error means that the answer is unknown: requests get 503 until
	// there is one. It returns soon after its context ends, with an error if there
	// is no answer. Errors contain no secrets. With an UnavailableError, clients
	// learn when to come back.
	Knows(ctx context.Context, user User) (bool, error)
}

// Limited is implemented by directories that are only for users of some
// providers. They are not asked about others.
type Limited interface {
	// Providers returns the ids of the providers; none means all. An id that the
	// site does not have is an error when the configuration is loaded. Calls after
	// Provision return the same.
	Providers() []string
}

// UnavailableError is returned while a directory cannot be asked.
type UnavailableError struct {
	Err error
	// RetryAfter is when another attempt can work.
	RetryAfter time.Duration
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the directory is not available: %v", e.Err)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

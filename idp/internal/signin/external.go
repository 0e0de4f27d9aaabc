package signin

import (
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
)

// External is an external provider, as the first page shows it.
type External struct{ ID, Name string }

// Externals are the external providers.
type Externals interface {
	// Shown returns those that the first page shows.
	Shown() []External
	// ForDomain returns the one that the users of an e-mail address's domain sign
	// in at, whether the address is known or not.
	ForDomain(address string) (id string, ok bool)
	// Begin sends the browser to one, on behalf of a request. hint is what the user
	// typed, or empty.
	Begin(w http.ResponseWriter, r *http.Request, id string, q *request.Request, hint string)
}

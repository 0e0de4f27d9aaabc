// Package request is about what a browser wants and cannot have without a
// sign-in: an authorization request in most cases. A request is kept in the
// database while the user signs in, and belongs to the browser that began it: a
// cookie of its own is compared at every step, so that its id in a URL is worth
// nothing to others. It is answered once.
package request

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Request is what a sign-in has to lead to.
type Request struct {
	ID   string `json:"-"`
	Kind string `json:"kind"` // which Finisher answers it

	// ClientID and ClientName are the application's. They are empty if the
	// user wants something of the provider itself.
	ClientID   string `json:"client_id,omitempty"`
	ClientName string `json:"client_name,omitempty"`

	// Home is where the application begins, in case the request comes to nothing;
	// empty if that is not known.
	Home string `json:"home,omitempty"`

	// What OpenID Connect Core 3.1.2.1 calls by these names.
	Prompt    []string       `json:"prompt,omitempty"`
	MaxAge    *time.Duration `json:"max_age,omitempty"`
	ACRValues []string       `json:"acr_values,omitempty"`
	// ACRRequired: the claim acr is essential (5.5.1.1).
	ACRRequired bool     `json:"acr_required,omitempty"`
	LoginHint   string   `json:"login_hint,omitempty"`
	UILocales   []string `json:"ui_locales,omitempty"`
	// Subject is that of an id_token_hint, or of a requested sub claim: only this
	// user may answer.
	Subject string `json:"subject,omitempty"`

	// Data is the finisher's own.
	Data []byte `json:"data,omitempty"`
	// State is what package signin knows of the steps so far.
	State []byte `json:"state,omitempty"`

	// Browser is the hash of the browser's secret.
	Browser store.Hash `json:"-"`
	Created time.Time  `json:"-"`
	Expires time.Time  `json:"-"`
}

// Asks reports whether a value of prompt is there.
func (r *Request) Asks(prompt string) bool { return slices.Contains(r.Prompt, prompt) }

// Finisher answers requests of one kind. It is called once for a request, after
// the request was taken from the database.
type Finisher interface {
	// Finish answers a request of a user who is signed in.
	Finish(w http.ResponseWriter, r *http.Request, request *Request, session *store.Session, user *store.User)
	// Refuse answers a request with an error of OAuth 2.0 or OpenID Connect, such
	// as access_denied or login_required.
	Refuse(w http.ResponseWriter, r *http.Request, request *Request, code, description string)
}

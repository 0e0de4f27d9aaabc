// Package request manages what a browser asked for and cannot have before a sign-in,
// usually an authorization request. A request is stored in the database while the user
// signs in. It is bound to the browser that began it by a cookie, which is checked at
// every step, so the id in a URL is useless to anybody else. Each request is answered
// once.
package request

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Request is the purpose of a sign-in.
type Request struct {
	ID   string `json:"-"`
	Kind string `json:"kind"` // selects the Finisher

	// ClientID and ClientName describe the application. They are empty if the user is
	// signing in to the provider itself, such as to the account page.
	ClientID   string `json:"client_id,omitempty"`
	ClientName string `json:"client_name,omitempty"`

	// Home is the start page of the application, to be offered if the request cannot be
	// completed. It is empty if it is not known.
	Home string `json:"home,omitempty"`

	// Parameters of the authentication request, OpenID Connect Core 1.0, section 3.1.2.1.
	Prompt    []string       `json:"prompt,omitempty"`
	MaxAge    *time.Duration `json:"max_age,omitempty"`
	ACRValues []string       `json:"acr_values,omitempty"`
	// ACRRequired reports whether acr was requested as an essential claim (section
	// 5.5.1.1).
	ACRRequired bool     `json:"acr_required,omitempty"`
	LoginHint   string   `json:"login_hint,omitempty"`
	UILocales   []string `json:"ui_locales,omitempty"`
	// Subject is the only user who may answer, from an id_token_hint or a requested sub
	// claim. It is empty if any user may.
	Subject string `json:"subject,omitempty"`

	// Data belongs to the Finisher.
	Data []byte `json:"data,omitempty"`
	// State is the state of package signin: the steps taken so far.
	State []byte `json:"state,omitempty"`

	// Browser is the hash of the browser's secret.
	Browser store.Hash `json:"-"`
	Created time.Time  `json:"-"`
	Expires time.Time  `json:"-"`
}

// Asks reports whether the request's prompt parameter contains a value.
func (r *Request) Asks(prompt string) bool { return slices.Contains(r.Prompt, prompt) }

// Finisher answers requests of one kind. It is called once for each request, after the
// request has been removed from the database.
type Finisher interface {
	// Finish answers a request for a user who is signed in.
	Finish(w http.ResponseWriter, r *http.Request, request *Request, session *store.Session, user *store.User)
	// Refuse answers a request with an OAuth 2.0 or OpenID Connect error code, such as
	// access_denied or login_required.
	Refuse(w http.ResponseWriter, r *http.Request, request *Request, code, description string)
}

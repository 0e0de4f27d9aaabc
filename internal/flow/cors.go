package flow

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file lets pages of other origins read our own responses, if the
// configuration lists their origins (Fetch, CORS protocol). Responses of the
// application are left alone.

// listedOrigin returns the request's Origin if it is in the list, and "" otherwise.
// The opaque origin null is in no list.
func listedOrigin(r *http.Request, list []address.Origin) string {
	from := r.Header["Origin"]
	if len(from) != 1 || !slices.ContainsFunc(list, func(o address.Origin) bool { return o.String() == from[0] }) {
		return ""
	}
	return from[0]
}

// allowReading lets pages of an origin read the response, also to requests with
// cookies.
func allowReading(header http.Header, origin string) {
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Allow-Credentials", "true")
}

// unauthorizedElsewhere responds with 401 to a page of another origin that logins
// may return to. The response has only the login URL and the reason.
func (x *Exchange) unauthorizedElsewhere(origin string, reason errorcode.Code, loginURL string) error {
	text, err := json.Marshal(struct {
		LoginURL string `json:"login_url"`
		Reason   string `json:"reason"`
	}{x.Scope().Origin.String() + loginURL, string(reason)})
	if err != nil {
		return &Error{Status: http.StatusInternalServerError, Err: err}
	}
	pages.StrictSecurityHeaders(x.header())
	allowReading(x.header(), origin)
	x.header().Set("Content-Type", "application/problem+json")
	x.W.WriteHeader(http.StatusUnauthorized)
	_, _ = x.W.Write(append(text, '\n'))
	return nil
}

package flow

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file has pages of other origins read responses of ours, if the configuration
// lists their origins (Fetch, CORS protocol). Responses of the application are its own
// affair.

// listedOrigin returns the origin that a request says it comes from, if the list has
// exactly that one; else nothing. An opaque origin, null, is in no list.
func listedOrigin(r *http.Request, list []address.Origin) string {
	from := r.Header["Origin"]
	if len(from) != 1 || !slices.ContainsFunc(list, func(o address.Origin) bool { return o.String() == from[0] }) {
		return ""
	}
	return from[0]
}

// allowReading has pages of an origin read the response, also of a request that
// carries cookies.
func allowReading(header http.Header, origin string) {
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Allow-Credentials", "true")
}

// unauthorizedElsewhere responds with 401 to a page of another origin that logins may
// return to. It may read where a login begins, and why one is needed, and nothing
// else.
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

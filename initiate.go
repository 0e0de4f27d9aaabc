package oidcrp

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
)

var errInitiatePlain = errors.New("another site may begin a login only over HTTPS")

// serveInitiate begins a login because another site says so: the provider's
// portal, mostly (OpenID Connect Core 4). That anybody can have a browser begin
// a login cannot be helped, but the login is bound to this browser as any
// other, so that nobody can be signed in as somebody else by it.
func (h *Handler) serveInitiate(w http.ResponseWriter, r *http.Request, st *requestState, p *provider) error {
	if navigation.IsSubresource(r) {
		return h.unauthenticated(w, r, st, errorcode.SignInRequired, p, "")
	}
	s := h.cookieScope(r)
	asked, err := initiation(r)
	switch {
	case err != nil:
	case asked["iss"] == "":
		err = errors.New("the parameter iss is missing")
	case !p.client.Discovery.IsIssuer(asked["iss"]):
		// The id says whom we ask; iss says whom the other site means, and must
		// not lead a user to another one.
		err = errors.New("the parameter iss is not the provider's issuer")
	case s.Origin.Scheme != "https" && !s.Origin.Loopback():
		err = errInitiatePlain
	}
	if err != nil {
		return h.respondError(w, r, st, &failure{code: errorcode.BadRequest, cause: err, provider: p})
	}
	returnTo, ok := h.checkReturn(s, asked["target_link_uri"])
	if !ok {
		returnTo = ""
	}
	extra := make(url.Values)
	if hint := asked["login_hint"]; hint != "" && len(hint) <= 500 {
		extra.Set("login_hint", hint)
	}
	return h.beginRequested(w, r, st, p, returnTo, extra)
}

// initiation returns the parameters that mean something: of the address, or of
// a form. Each is there at most once; others, which could be anybody's idea of
// a scope or a prompt, are ignored.
func initiation(r *http.Request) (map[string]string, error) {
	names := []string{"iss", "login_hint", "target_link_uri"}
	values := queryOf(r, names...)
	if r.Method == http.MethodPost {
		var err error
		if values, err = readForm(r, maxForm, names...); err != nil {
			return nil, err
		}
	}
	asked := make(map[string]string, len(names))
	for _, name := range names {
		if len(values[name]) > 1 {
			return nil, fmt.Errorf("the parameter %s is there more than once", name)
		}
		asked[name] = values.Get(name)
	}
	return asked, nil
}

package flow

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

var errInitiatePlain = errors.New("another site may begin a login only over HTTPS")

// serveInitiate begins a login that a third party initiates, mostly the provider's
// portal (OpenID Connect Core, section 4). Any site can do that, but the login is
// bound to this browser like any other, so that it cannot sign anyone in as another
// user.
func serveInitiate(x *Exchange, p *Provider) error {
	if navigation.IsSubresource(x.R) {
		return x.unauthorized(errorcode.SignInRequired, p, "", op.Proof{})
	}
	s := x.Scope()
	parameters, err := x.initiation()
	switch {
	case err != nil:
	case parameters["iss"] == "":
		err = errors.New("the parameter iss is missing")
	case !p.Client.Discovery.IsIssuer(parameters["iss"]):
		// The path already names the provider. iss is the one that the other site
		// means, so a mismatch is refused rather than sent to another provider.
		err = errors.New("the parameter iss is not the provider's issuer")
	case s.Origin.Scheme != "https" && !s.Origin.Loopback():
		err = errInitiatePlain
	}
	if err != nil {
		return x.respondError(&Failure{Code: errorcode.BadRequest, Cause: err, Provider: p})
	}
	returnTo, ok := x.checkReturn(s, parameters["target_link_uri"])
	if !ok {
		returnTo = ""
	}
	extra := make(url.Values)
	if hint := parameters["login_hint"]; hint != "" && len(hint) <= 500 {
		extra.Set("login_hint", hint)
	}
	l := login{Exchange: *x, provider: p, returnTo: returnTo, extra: extra}
	return l.beginRequested()
}

// initiation returns the known parameters of the query or the form. Each may occur
// once. Others, such as a scope or a prompt, are ignored because anyone could have
// set them.
func (x *Exchange) initiation() (map[string]string, error) {
	names := []string{"iss", "login_hint", "target_link_uri"}
	values := x.query(names...)
	if x.R.Method == http.MethodPost {
		var err error
		if values, err = readForm(x.R, maxForm, names...); err != nil {
			return nil, err
		}
	}
	parameters := make(map[string]string, len(names))
	for _, name := range names {
		if len(values[name]) > 1 {
			return nil, fmt.Errorf("the parameter %s is there more than once", name)
		}
		parameters[name] = values.Get(name)
	}
	return parameters, nil
}

package opconfig

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// This file is about authorization_params and token_params, the fixed parameters of
// authorization requests and of token requests.

// parameters describes one of the two options.
type parameters struct {
	option, setBy string
	reserved      func(name string) bool
}

var (
	authorizationParams = parameters{"authorization_params", "login", op.Reserved}
	tokenParams         = parameters{"token_params", "request", op.ReservedAtTokenEndpoint}
)

// check returns an error for invalid parameters. A value with a placeholder, which
// is not resolved yet, counts as valid.
func (p *parameters) check(all url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		values := all[name]
		switch {
		case p.reserved(name):
			return fmt.Errorf("%s: %s is set by the %s itself", p.option, name, p.setBy)
		case len(values) == 0 || slices.Contains(values, ""):
			return fmt.Errorf("%s: %s is empty", p.option, name)
		case len(values) > 1 && name != "resource":
			return fmt.Errorf("%s: %s has several values, which only resource can have", p.option, name)
		}
		if name == "resource" {
			for _, value := range values {
				if err := checkResource(value); err != nil {
					return fmt.Errorf("%s: resource %w", p.option, err)
				}
			}
		}
	}
	return nil
}

// CheckTokenParameters returns an error for invalid parameters of token requests.
func CheckTokenParameters(all url.Values) error { return tokenParams.check(all) }

// CheckParameters returns an error for invalid parameters of authorization
// requests.
func CheckParameters(all url.Values) error {
	if err := authorizationParams.check(all); err != nil {
		return err
	}
	if _, err := demandsOf(all); err != nil {
		return err
	}
	if all.Get("max_age") == "0" && slices.Contains(strings.Fields(all.Get("prompt")), "none") {
		// Core 3.1.2.1: max_age 0 demands a new sign-in, prompt none forbids
		// interaction.
		return errors.New("authorization_params: max_age 0 and prompt none exclude each other")
	}
	return nil
}

// checkResource returns an error unless value is an absolute URI without a fragment
// (RFC 8707 2).
func checkResource(value string) error {
	if strings.Contains(value, "{") {
		return nil
	}
	if u, err := url.Parse(value); err != nil || !u.IsAbs() || strings.Contains(value, "#") {
		return errors.New("is not an absolute URI without fragment")
	}
	return nil
}

// demandsOf returns what ID tokens have to satisfy because of the parameters.
func demandsOf(all url.Values) (d op.Demands, err error) {
	if text := all.Get("claims"); text != "" && !placeholder.Begins(text) {
		if d, err = op.ParseClaimsRequest(text); err != nil {
			return d, fmt.Errorf("authorization_params: claims %w", err)
		}
	}
	if text := all.Get("max_age"); text != "" && !strings.Contains(text, "{") {
		if d.MaxAge, err = op.ParseMaxAge(text); err != nil {
			return d, fmt.Errorf("authorization_params: %w", err)
		}
	}
	return d, nil
}

package oidcidp

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

func (c *Client) check() error {
	err := optioncheck.First(
		optioncheck.EmptyOrOneOf("pkce", c.PKCE, pkceValues...),
		optioncheck.EmptyOrOneOf("id_token_alg", c.IDTokenAlg, idTokenAlgs...),
		optioncheck.Refuse("secret", c.Secret == "" && !c.Public, "secret is missing; a client without one is public"),
		optioncheck.Refuse("public", c.Secret != "" && c.Public, "public and secret exclude each other"),
		optioncheck.Refuse("pkce", c.PKCE == "optional" && c.Public, "pkce optional needs a secret"),
		optioncheck.Refuse("grant", slices.Contains(c.Grants, clientCredentials) && c.Public, "grant %s needs a secret", clientCredentials),
		optioncheck.Refuse("resources", len(c.Resources) > 0 && !slices.Contains(c.Grants, clientCredentials), "resources needs grant %s", clientCredentials),
		optioncheck.Refuse("redirect_uri", len(c.RedirectURIs) == 0 && !slices.Contains(c.Grants, clientCredentials), "redirect_uri is missing"),
	)
	if err != nil {
		return err
	}
	for _, grant := range c.Grants {
		if err := oneOf("grant", grant, []string{clientCredentials}); err != nil {
			return err
		}
	}
	for _, scope := range c.Scopes {
		if strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r > '~' }) {
			return fmt.Errorf("scopes: '%s' is not a scope", scope)
		}
	}
	return c.checkAddresses()
}

func (c *Client) checkAddresses() error {
	for _, option := range []struct {
		name  string
		uris  []string
		check func(string, bool) error
	}{
		{"redirect_uri", c.RedirectURIs, checkClientURI},
		{"post_logout_redirect_uri", c.PostLogoutRedirectURIs, checkClientURI},
		{"resources", c.Resources, checkWebURI},
		{"backchannel_logout_uri", nonEmpty(c.BackchannelLogoutURI), checkWebURI},
		{"initiate", nonEmpty(c.InitiateLoginURI), checkWebURI},
	} {
		for n, uri := range option.uris {
			if strings.Contains(uri, "{") {
				continue // placeholders are checked once they are resolved
			}
			if slices.Contains(option.uris[:n], uri) {
				return fmt.Errorf("%s: %s appears twice", option.name, uri)
			}
			if err := option.check(uri, c.Public); err != nil {
				return fmt.Errorf("%s: %w", option.name, err)
			}
		}
	}
	return nil
}

func nonEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// checkClientURI returns an error for addresses that must not receive an
// authorization response: plain HTTP except on loopback, and fragments (RFC 6749,
// section 3.1.2). Public clients may use private-use schemes (RFC 8252, section
// 7.1).
func checkClientURI(uri string, public bool) error {
	u, err := url.Parse(uri)
	if err == nil && public && strings.Contains(u.Scheme, ".") && u.Fragment == "" {
		return nil
	}
	return checkWebURI(uri, public)
}

func checkWebURI(uri string, _ bool) error {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("'%s' is not an address like https://app.example.com/callback", uri)
	}
	if strings.Contains(uri, "#") {
		return fmt.Errorf("'%s' has a fragment", uri)
	}
	origin, ok := address.FromRequest(u.Scheme, u.Host)
	if !ok || u.Scheme == "http" && !origin.Loopback() {
		return fmt.Errorf("'%s' does not begin with https://; http is only for loopback", uri)
	}
	return nil
}

package provider

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// check returns an error for an invalid configuration of a client.
func check(c *Client) error {
	if c.ID == "" || len(c.ID) > 255 || !isPrintable(c.ID) {
		return errors.New("an id has 1 to 255 visible characters of ASCII")
	}
	if strings.HasPrefix(c.ID, clientSubject) {
		return fmt.Errorf("an id must not begin with %q", clientSubject)
	}
	return cmp.Or(checkOptions(c), checkURIs(c))
}

// checkOptions returns an error for incompatible options.
func checkOptions(c *Client) error {
	switch {
	case c.Public && c.Secret != "":
		return errors.New("a public client has no secret")
	case !c.Public && c.Secret == "":
		return errors.New("a client needs a secret, or is public")
	case c.Public && c.PKCEOptional:
		return errors.New("pkce optional needs a secret")
	case c.Public && c.ClientCredentials:
		return errors.New("grant client_credentials needs a secret")
	case len(c.Resources) > 0 && !c.ClientCredentials:
		return errors.New("resources are for grant client_credentials")
	case c.IDTokenAlg != "" && c.IDTokenAlg != rs256 && c.IDTokenAlg != es256:
		return fmt.Errorf("id_token_alg must be RS256 or ES256, got %q", c.IDTokenAlg)
	case len(c.RedirectURIs) == 0 && !c.ClientCredentials:
		return errors.New("redirect_uri is missing")
	}
	return nil
}

func checkURIs(c *Client) error {
	for _, uri := range c.RedirectURIs {
		if err := checkRedirectURI(uri, c.Public); err != nil {
			return fmt.Errorf("redirect_uri: %w", err)
		}
	}
	for _, uri := range c.PostLogoutRedirectURIs {
		if err := checkRedirectURI(uri, c.Public); err != nil {
			return fmt.Errorf("post_logout_redirect_uri: %w", err)
		}
	}
	for _, uri := range c.Resources {
		if err := checkWeb(uri); err != nil {
			return fmt.Errorf("resources: %w", err)
		}
	}
	if c.BackchannelLogoutURI != "" {
		if err := checkWeb(c.BackchannelLogoutURI); err != nil {
			return fmt.Errorf("backchannel_logout_uri: %w", err)
		}
	}
	return nil
}

// checkRedirectURI accepts http and https URLs, and for public clients private-use
// schemes such as com.example.app:/callback (RFC 8252, section 7.1).
func checkRedirectURI(uri string, public bool) error {
	if _, _, ok := cutScheme(uri); ok {
		return checkWeb(uri)
	}
	scheme, rest, ok := strings.Cut(uri, ":")
	if !public || !ok || !strings.Contains(scheme, ".") || rest == "" {
		return fmt.Errorf("%q is not a URL of https; a public client may have a private-use scheme with a dot, such as com.example.app:/callback", uri)
	}
	return checkURL(uri)
}

// checkWeb accepts https URLs, and http URLs on loopback.
func checkWeb(uri string) error {
	origin, ok := originOf(uri)
	if !ok {
		return fmt.Errorf("%q is not a URL of https", uri)
	}
	if origin.Scheme != "https" && !origin.Loopback() {
		return fmt.Errorf("%q must begin with https://, except on loopback", uri)
	}
	return checkURL(uri)
}

func checkURL(uri string) error {
	parsed, err := url.Parse(uri)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a URL", uri)
	case strings.Contains(uri, "#"):
		return fmt.Errorf("%q must not have a fragment", uri)
	case parsed.User != nil:
		return fmt.Errorf("%q must not have a user name", uri)
	case strings.Contains(uri, "*") || !isPrintable(uri):
		return fmt.Errorf("%q must be a whole URL, without wildcards and spaces", uri)
	}
	return nil
}

// cutScheme splits an http or https URL. The scheme must be in lower case.
func cutScheme(uri string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(uri, "://")
	return scheme, rest, ok && (scheme == "https" || scheme == "http")
}

// isPrintable reports whether a text consists of visible ASCII characters.
func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

package provider

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
)

// Client is a configured application.
type Client struct {
	ID   string
	Name string // display name; may be empty

	// Secret authenticates the client at the token endpoint. A public client has
	// none.
	Secret string
	Public bool

	RedirectURIs           []string // compared byte for byte
	PostLogoutRedirectURIs []string // likewise
	BackchannelLogoutURI   string   // receives logout tokens; may be empty
	InitiateLoginURI       string   // begins a login there; may be empty

	// PKCEOptional reports whether the client may omit code_challenge. It then
	// needs a secret.
	PKCEOptional bool
	// IDTokenAlg is RS256, the default, or ES256.
	IDTokenAlg string
	// Rotate reports whether each refresh returns a new refresh token. Those of
	// public clients always rotate.
	Rotate bool
	// ClientCredentials reports whether the client may get tokens of its own.
	ClientCredentials bool
	// Resources are the allowed resources of these tokens (RFC 8707); nil for any.
	Resources []string
	// Scopes are the allowed scopes; nil for all. openid is always among them.
	Scopes []string
}

// DisplayName returns the name that users see.
func (c *Client) DisplayName() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

func (c *Client) alg() string {
	if c.IDTokenAlg == "" {
		return rs256
	}
	return c.IDTokenAlg
}

func (c *Client) rotates() bool { return c.Public || c.Rotate }

func (c *Client) hasScope(scope string) bool {
	return scope == scopeOpenID || c.Scopes == nil || slices.Contains(c.Scopes, scope)
}

// hasSecret reports whether a secret is the client's, in constant time.
func (c *Client) hasSecret(secret string) bool {
	own, given := sha256.Sum256([]byte(c.Secret)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(own[:], given[:]) == 1 && c.Secret != "" && !c.Public
}

// party is a client as the endpoints see it: a configured one, or one in this
// Caddy.
type party struct {
	Client
	builtin []*builtin.Client // empty for configured clients
}

// nameAt returns the name that users of a redirect URI see. The sites of this Caddy
// are one client, so without a name it is the site's host.
func (p *party) nameAt(redirectURI string) string {
	if p.Name == "" && len(p.builtin) > 0 {
		if u, err := url.Parse(redirectURI); err == nil && u.Hostname() != "" {
			return u.Hostname()
		}
	}
	return p.DisplayName()
}

// allows reports whether an authorization response may be sent to an address.
// Addresses are compared exactly, without normalization.
func (p *party) allows(redirectURI string) bool {
	if redirectURI == "" {
		return false
	}
	for _, c := range p.builtin {
		if c.Allows != nil && c.Allows(redirectURI) {
			return true
		}
	}
	for _, registered := range p.RedirectURIs {
		if registered == redirectURI || p.Public && sameButPort(registered, redirectURI) {
			return true
		}
	}
	return false
}

// allowsAfterLogout reports whether a browser may be redirected to an address after
// a logout.
func (p *party) allowsAfterLogout(address string) bool {
	if address == "" {
		return false
	}
	for _, c := range p.builtin {
		if c.AllowsAfterLogout != nil && c.AllowsAfterLogout(address) {
			return true
		}
	}
	return slices.Contains(p.PostLogoutRedirectURIs, address)
}

// sameButPort reports whether two loopback addresses are equal except for the port,
// which the registered one does not have (RFC 8252, section 7.3).
func sameButPort(registered, requested string) bool {
	for _, host := range [...]string{"http://127.0.0.1", "http://[::1]"} {
		path, ok := strings.CutPrefix(registered, host)
		if !ok || path != "" && path[0] != '/' {
			continue
		}
		rest, ok := strings.CutPrefix(requested, host+":")
		if !ok {
			continue
		}
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		return digits >= 1 && digits <= 5 && rest[0] != '0' && rest[digits:] == path
	}
	return false
}

package oidctest

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// AwkwardSecret is a client secret with all kinds of characters that need form
// encoding (RFC 6749, section 2.3.1).
const AwkwardSecret = "p:a%s+s w/ö&=~%41"

// Client is the registered relying party.
type Client struct {
	ID     string
	Secret string
	// OldSecrets are accepted as well, as during the rotation of a secret.
	OldSecrets []string
	// Auth is the only method of client authentication that is accepted:
	// client_secret_basic, client_secret_post, client_secret_jwt,
	// private_key_jwt, tls_client_auth or none.
	Auth string
	// Certificate is the client certificate for tls_client_auth, in DER, from
	// any authority. It needs the option TLS.
	Certificate []byte
	// Key is the public key for private_key_jwt, of any type that go-jose accepts.
	Key any
	// RequestKey is the public key for request objects. Default: Key, or Secret if
	// Key is nil.
	RequestKey any
	// ResponseKey is the public EC key with which signed responses are encrypted.
	// Default: they are not encrypted.
	ResponseKey any
	// Workload is the subject of assertions that a platform issues for the client
	// (RFC 7523). They are verified with Key, have their own issuer, may be used
	// several times, and may have other audiences besides the provider.
	Workload string
	// RedirectURIs and PostLogoutURIs are compared byte for byte.
	RedirectURIs, PostLogoutURIs []string
}

func (c Client) clone() Client {
	c.OldSecrets = slices.Clone(c.OldSecrets)
	c.RedirectURIs = slices.Clone(c.RedirectURIs)
	c.PostLogoutURIs = slices.Clone(c.PostLogoutURIs)
	return c
}

func (c Client) secrets() []string {
	if c.Secret == "" {
		return slices.Clone(c.OldSecrets)
	}
	return append([]string{c.Secret}, c.OldSecrets...)
}

// Client returns the current registration of the client.
func (p *Provider) Client() Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client.clone()
}

// SetClient changes the registration of the client while the provider runs.
func (p *Provider) SetClient(change func(*Client)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.client)
}

// Register adds redirect URIs. Often the address of the relying party is known
// only after the provider has been started.
func (p *Provider) Register(redirectURIs ...string) {
	p.SetClient(func(c *Client) { c.RedirectURIs = append(c.RedirectURIs, redirectURIs...) })
}

// authenticate authenticates the client with the registered method (RFC 6749,
// section 2.3; OpenID Connect Core, section 9). It returns nil if the
// credentials are right.
func (p *Provider) authenticate(req Request) *answer {
	c := p.Client()
	form, header := req.Form, req.Header.Get("Authorization")
	wrong := func(format string, args ...any) *answer {
		p.violate("C00j", format, args...)
		a := refuse(http.StatusUnauthorized, "invalid_client", "client authentication failed")
		if header != "" {
			a.header.Set("WWW-Authenticate", "Basic realm=\"oidctest\"")
		}
		return &a
	}
	if id, sent := form["client_id"]; sent && !slices.Equal(id, []string{c.ID}) {
		p.violate("C00c", "client_id %q in the token request", id)
	}
	used, one := methodUsed(form, header)
	if !one {
		return wrong("more than one method of client authentication at once")
	}
	if c.Auth == "tls_client_auth" && used == "none" {
		used = c.Auth // such a request looks like that of a public client
	}
	if used != c.Auth && (used != "assertion" || !strings.HasSuffix(c.Auth, "_jwt")) {
		return wrong("%s is used, %s is registered", used, c.Auth)
	}
	if problem := p.checkCredentials(c, req, header); problem != "" {
		return wrong("%s", problem)
	}
	return nil
}

// methodUsed returns the method of client authentication of a request:
// client_secret_basic, client_secret_post, "assertion" or "none". one is false if
// the request uses several.
func methodUsed(form url.Values, header string) (used string, one bool) {
	used = "none"
	for method, sent := range map[string]bool{
		"client_secret_basic": header != "",
		"client_secret_post":  form.Has("client_secret"),
		"assertion":           form.Has("client_assertion") || form.Has("client_assertion_type"),
	} {
		if sent && used != "none" {
			return used, false
		}
		if sent {
			used = method
		}
	}
	return used, true
}

// checkCredentials checks the credentials of the registered method. It returns
// what is wrong, or "".
func (p *Provider) checkCredentials(c Client, req Request, header string) (problem string) {
	form := req.Form
	named := form.Get("client_id") == c.ID
	switch c.Auth {
	case "client_secret_basic":
		return c.checkBasic(header)
	case "client_secret_post":
		if !named || !slices.Contains(c.secrets(), form.Get("client_secret")) {
			return "wrong client_id or client_secret in the form"
		}
	case "tls_client_auth":
		tls := req.raw.TLS
		if !named || tls == nil || len(tls.PeerCertificates) == 0 || !bytes.Equal(tls.PeerCertificates[0].Raw, c.Certificate) {
			return "no client_id, or not the client's certificate"
		}
	case "none":
		if !named {
			return "a public client without its client_id"
		}
	default:
		return p.checkAssertion(c, form)
	}
	return ""
}

// checkBasic insists on RFC 6749, section 2.3.1, which many clients ignore: id
// and secret must be form-encoded, and joined by the only colon. It returns
// what is wrong, or "".
func (c Client) checkBasic(header string) string {
	scheme, credentials, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "the scheme of Authorization is not Basic"
	}
	plain, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil {
		return "Basic credentials are not base64"
	}
	if strings.Count(string(plain), ":") != 1 {
		return "Basic credentials have more or less than one colon"
	}
	if i := strings.IndexFunc(string(plain), notFormEncoded); i >= 0 {
		return "Basic credentials are not form-encoded"
	}
	id, secret, _ := strings.Cut(string(plain), ":")
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	if idErr != nil || secretErr != nil {
		return "Basic credentials are not form-encoded"
	}
	if id != c.ID || !slices.Contains(c.secrets(), secret) {
		return "wrong client_id or client_secret in Basic credentials"
	}
	return ""
}

func notFormEncoded(r rune) bool {
	return !alphanumeric(r) && !strings.ContainsRune("-._~*%+:", r)
}

func alphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// unreserved reports whether s has only unreserved characters (RFC 3986,
// section 2.3). Verifiers consist of them, and all providers accept them in a
// nonce.
func unreserved(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return !alphanumeric(r) && !strings.ContainsRune("-._~", r)
	}) < 0
}

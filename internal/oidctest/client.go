package oidctest

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// AwkwardSecret has every character that the form encoding of RFC 6749
// section 2.3.1 is there for (S19).
const AwkwardSecret = "p:a%s+s w/ö&=~%41"

// Client is the registered relying party.
type Client struct {
	ID     string
	Secret string
	// OldSecrets still work: a rotation in its overlap (X39).
	OldSecrets []string
	// Auth is the one method that works: client_secret_basic,
	// client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth or
	// none.
	Auth string
	// Certificate is that of tls_client_auth, of whatever authority, in DER; it
	// needs the option TLS.
	Certificate []byte
	// Key is the public key of private_key_jwt, anything that go-jose verifies with.
	Key any
	// RequestKey is the public key of request objects. Default: Key, or else Secret.
	RequestKey any
	// ResponseKey is the public key that signed responses are encrypted to, an EC key.
	// Default: they are not encrypted.
	ResponseKey any
	// Workload is the subject of the assertions that a platform issues for the
	// client (RFC 7523 with private_key_jwt's key): they have an issuer of their own,
	// are used more than once, and may have other audiences beside the issuer.
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

// Client is the registered client as it is now.
func (p *Provider) Client() Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client.clone()
}

// SetClient changes the registration of a running provider.
func (p *Provider) SetClient(change func(*Client)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.client)
}

// Register adds redirect URIs; a relying party often has its address only
// after the provider has one.
func (p *Provider) Register(redirectURIs ...string) {
	p.SetClient(func(c *Client) { c.RedirectURIs = append(c.RedirectURIs, redirectURIs...) })
}

// authenticate is RFC 6749 section 2.3 and Core section 9, by the one method
// that is registered. It answers nil where the client is who it says (C00j).
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
		used = c.Auth // it says who it is just as a public client does
	}
	if used != c.Auth && (used != "assertion" || !strings.HasSuffix(c.Auth, "_jwt")) {
		return wrong("%s is used, %s is registered", used, c.Auth)
	}
	if problem := p.checkCredentials(c, req, header); problem != "" {
		return wrong("%s", problem)
	}
	return nil
}

// methodUsed names the method of client authentication of a request: one of
// those with a secret, "assertion" or "none". It is not one if there are several.
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

// checkCredentials returns what is wrong with the credentials of the registered
// method, or nothing.
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

// checkBasic wants what RFC 6749 section 2.3.1 says and half the world does
// not do: id and secret form-encoded, then joined by the only colon.
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

// unreserved are the characters of RFC 3986 section 2.3: those of a verifier,
// and those that every provider takes in a nonce.
func unreserved(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return !alphanumeric(r) && !strings.ContainsRune("-._~", r)
	}) < 0
}

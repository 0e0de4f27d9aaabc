package oidcrp

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// Whom an assertion is addressed to. The issuer is what FAPI 2 and the update
// of RFC 7523 want; a token endpoint could be one that an attacker advertises.
const (
	audienceIssuer        = "issuer"
	audienceTokenEndpoint = "token_endpoint"
)

// parseClientAuth reads the method, and what it proves with.
func parseClientAuth(d *caddyfile.Dispenser, p *ProviderConfig) error {
	if !d.NextArg() {
		return d.Err("client_auth takes one of the methods " + strings.Join(op.AuthMethods(), ", "))
	}
	p.ClientAuth = d.Val()
	needs, asserts, known := op.AuthMethod(p.ClientAuth)
	if !known {
		return suggest.Hint(d.Errf("client_auth: unrecognized value '%s'; it is %s", p.ClientAuth, strings.Join(op.AuthMethods(), " or ")), p.ClientAuth, op.AuthMethods()...)
	}
	args := d.RemainingArgs()
	for i, arg := range args {
		if arg == "" {
			return d.Errf("client_auth %s: argument %d is empty", p.ClientAuth, i+1)
		}
	}
	switch {
	case needs == op.NeedsKey:
		if len(args) == 0 {
			return d.Errf("client_auth %s takes a key, and others to be published beside it", p.ClientAuth)
		}
		p.ClientKeys = args
	case needs == op.NeedsCertificate:
		if len(args) != 2 {
			return d.Errf("client_auth %s takes two arguments, a certificate and its key", p.ClientAuth)
		}
		p.ClientCertificate, p.ClientCertificateKey = args[0], args[1]
	case len(args) > 0:
		return d.Errf("client_auth %s takes no argument", p.ClientAuth)
	}
	seen := make(caddyargs.Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if !asserts {
			return d.Errf("client_auth %s has no options", p.ClientAuth)
		}
		if word != "audience" {
			return unrecognized(d, word, " of client_auth "+p.ClientAuth, []string{"audience"})
		}
		if err := seen.Once(d, word); err != nil {
			return err
		}
		if err := caddyargs.EnumArg(d, &p.ClientAssertionAudience, audienceIssuer, audienceTokenEndpoint); err != nil {
			return err
		}
	}
	return nil
}

// checkClientAuth refuses a method without what it needs, and what no method
// needs: it would be taken for protection that is not there.
func (p *ProviderConfig) checkClientAuth() error {
	needs, asserts, known := op.AuthMethod(p.ClientAuth)
	hasCertificate := p.ClientCertificate != "" && p.ClientCertificateKey != ""
	switch {
	case p.ClientAuth != "" && !known:
		return fmt.Errorf("client_auth: %q is none of %s", p.ClientAuth, strings.Join(op.AuthMethods(), ", "))
	case needs == op.NeedsSecret && p.ClientSecret == "":
		return fmt.Errorf("client_auth %s needs a client_secret", p.ClientAuth)
	case needs == op.NeedsKey && len(p.ClientKeys) == 0:
		return fmt.Errorf("client_auth %s needs a key", p.ClientAuth)
	case needs == op.NeedsCertificate && !hasCertificate:
		return fmt.Errorf("client_auth %s needs a certificate and its key", p.ClientAuth)
	case needs != op.NeedsKey && len(p.ClientKeys) > 0:
		return errors.New("client_keys: are for client_auth private_key_jwt")
	case needs != op.NeedsCertificate && p.ClientCertificate+p.ClientCertificateKey != "":
		return fmt.Errorf("client_certificate: is for client_auth %s", op.MTLS)
	case hasCertificate && p.TLS != nil && p.TLS.ClientCertificate != "":
		return fmt.Errorf("client_auth %s and tls client_certificate exclude each other", op.MTLS)
	case p.ClientAssertionAudience == "":
		return nil
	case !asserts:
		return errors.New("client_assertion_audience: is for client_auth client_secret_jwt and private_key_jwt")
	}
	return oneOf("client_assertion_audience", p.ClientAssertionAudience, audienceIssuer, audienceTokenEndpoint)
}

// clientKeys reads the private keys that prove who we are.
func (p *ProviderConfig) clientKeys(read livefile.Read) (keys []*op.ClientKey, err error) {
	kids := make(map[string]bool)
	for i, written := range p.ClientKeys {
		text, err := readText(read, written)
		if err != nil {
			return nil, fmt.Errorf("client_auth: key %d: %w", i+1, err)
		}
		some, err := op.ParseClientKeys(text)
		if err != nil {
			return nil, fmt.Errorf("client_auth: key %d: %w", i+1, err)
		}
		for _, key := range some {
			kid := key.Public().KeyID
			if kids[kid] {
				return nil, fmt.Errorf("client_auth: key %d: another key has the same kid", i+1)
			}
			kids[kid] = true
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// publicKeys are what a provider may need to know of us: the keys that sign, and
// the certificate that a connection shows.
func (p *ProviderConfig) publicKeys(read livefile.Read, signing []*op.ClientKey) (set jose.JSONWebKeySet, err error) {
	for _, key := range signing {
		set.Keys = append(set.Keys, key.Public())
	}
	if p.ClientCertificate == "" {
		return set, nil
	}
	certificate, _, err := p.clientCertificate(read)
	if err != nil {
		return set, err
	}
	key, err := op.CertificateKey(certificate)
	if err != nil {
		return set, fmt.Errorf("client_auth: the certificate: %w", err)
	}
	set.Keys = append(set.Keys, key)
	return set, nil
}

// clientCertificate reads what proves who we are in TLS.
func (p *ProviderConfig) clientCertificate(read livefile.Read) (certificate, key []byte, err error) {
	if certificate, err = readText(read, p.ClientCertificate); err != nil {
		return nil, nil, fmt.Errorf("client_auth: the certificate: %w", err)
	}
	if key, err = readText(read, p.ClientCertificateKey); err != nil {
		return nil, nil, fmt.Errorf("client_auth: the certificate's key: %w", err)
	}
	if _, err = tls.X509KeyPair(certificate, key); err != nil {
		return nil, nil, fmt.Errorf("client_auth: the certificate: %w", err)
	}
	return certificate, key, nil
}

// readText returns a key or certificate that is written as such, or is what a
// placeholder stands for, or what the file holds that is named. Errors repeat
// none of it: what is no name of a file may be a key in some other form.
func readText(read livefile.Read, written string) ([]byte, error) {
	text := strings.TrimSpace(written)
	if !op.IsKeyText(text) {
		var err error
		if text, err = expandBy(read, text); err != nil {
			return nil, err
		}
	}
	if text == "" {
		return nil, errors.New("is empty")
	}
	if op.IsKeyText(text) {
		return []byte(text), nil
	}
	if strings.HasPrefix(written, "{file.") {
		return nil, errors.New("the file of the placeholder holds neither PEM nor a JSON Web Key")
	}
	content, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("is neither PEM nor a JSON Web Key, and read as the name of a file: %w", withoutPath(err))
	}
	if len(content) == 0 {
		return nil, errors.New("the file is empty")
	}
	return content, nil
}

// serveKeys publishes our public keys (RFC 7517 5), so that a provider can be
// given an address in the place of a key.
func (h *Handler) serveKeys(w http.ResponseWriter, r *http.Request, st *requestState, p *provider) error {
	published := p.own.Get().published
	if len(published.Keys) == 0 {
		return h.errorPage(w, r, st, http.StatusNotFound, &failure{code: errorcode.BadRequest, cause: errorcode.ErrNoEndpoint}, "")
	}
	document, err := json.Marshal(published)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("write the key set: %w", err))
	}
	strictSecurityHeaders(w.Header())
	w.Header().Set("Content-Type", "application/json") // some providers take nothing else
	_, _ = w.Write(document)
	return nil
}

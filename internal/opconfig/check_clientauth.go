package opconfig

import (
	"errors"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

// checkClientAuth returns an error for a method that lacks what it needs, and for
// options that the method does not use: an operator would take them for protection.
func (o *Options) checkClientAuth() error {
	needs, asserts, known := op.AuthMethod(o.ClientAuth)
	hasCertificate := o.ClientCertificate != "" && o.ClientCertificateKey != ""
	ours := asserts && needs != op.NeedsFile
	err := optioncheck.First(
		optioncheck.Refuse("client_auth", o.ClientAuth != "" && !known,
			"client_auth: %q is none of %s", o.ClientAuth, strings.Join(op.AuthMethods(), ", ")),
		optioncheck.Refuse("client_auth", needs == op.NeedsSecret && o.ClientSecret == "",
			"client_auth %s needs a client_secret", o.ClientAuth),
		optioncheck.Refuse("client_auth", needs == op.NeedsKey && len(o.ClientKeys) == 0,
			"client_auth %s needs a key", o.ClientAuth),
		optioncheck.Refuse("client_auth", needs == op.NeedsCertificate && !hasCertificate,
			"client_auth %s needs a certificate and its key", o.ClientAuth),
		optioncheck.Refuse("client_auth", needs == op.NeedsFile && o.ClientAssertionFile == "",
			"client_auth %s needs a file", o.ClientAuth),
		optioncheck.Refuse("client_keys", needs != op.NeedsKey && o.RequestObject == "" && len(o.ClientKeys) > 0,
			"client_keys: are for client_auth private_key_jwt and request_object"),
		optioncheck.Refuse("request_object", o.RequestObject != "" && len(o.ClientKeys) == 0 && o.ClientSecret == "",
			"request_object %s needs client_keys, or a client_secret of at least %d bytes, to sign with", o.RequestObject, op.MinSecret),
		optioncheck.Refuse("client_certificate", needs != op.NeedsCertificate && o.ClientCertificate+o.ClientCertificateKey != "",
			"client_certificate: is for client_auth %s", op.MTLS),
		optioncheck.Refuse("client_auth", hasCertificate && o.TLS != nil && o.TLS.ClientCertificate != "",
			"client_auth %s and tls client_certificate exclude each other", op.MTLS),
		optioncheck.Refuse("client_assertion_file", needs != op.NeedsFile && o.ClientAssertionFile != "",
			"client_assertion_file: is for client_auth %s", op.AssertionFile),
		optioncheck.Refuse("client_assertion_audience", o.ClientAssertionAudience != "" && !asserts,
			"client_assertion_audience: is for client_auth client_secret_jwt, private_key_jwt and %s", op.AssertionFile),
	)
	switch {
	case err != nil:
		return err
	case ours:
		return optioncheck.First(optioncheck.EmptyOrOneOf("client_assertion_audience", o.ClientAssertionAudience, AssertionAudiences...))
	case needs == op.NeedsFile:
		return o.checkAssertionFile()
	}
	return nil
}

// checkAssertionFile returns an error if the assertion could be sent anywhere but
// to the token endpoint, or unencrypted over a network.
func (o *Options) checkAssertionFile() error {
	if o.Endpoints.Pushed != "" {
		return errors.New("client_auth " + op.AssertionFile + ": the assertion is sent to the token endpoint alone, so pushed_authorization_request_endpoint cannot be used")
	}
	if address := o.Endpoints.Token; address != "" {
		u, err := url.Parse(address)
		if err != nil || !op.Protected(u) {
			return errors.New("client_auth " + op.AssertionFile + ": the assertion is not sent over plain http, also where insecure is set")
		}
	}
	return nil
}

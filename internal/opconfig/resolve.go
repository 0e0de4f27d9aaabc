package opconfig

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// Resolved are options with placeholders and defaults filled in, which keep to all
// rules. The client secret and all that names private keys or certificates are
// still as they are written: they are read when they are used.
type Resolved struct {
	Options
	expander placeholder.Expander
	jwks     string // as it is written
}

// Resolve fills in placeholders and defaults and checks the result. The client
// secret is tried, and not kept.
func (o Options) Resolve(expander placeholder.Expander) (*Resolved, error) {
	r := &Resolved{Options: o, expander: expander, jwks: o.JWKS}
	err := r.expandAddresses()
	if err != nil {
		return nil, err
	}
	if placeholder.Begins(r.JWKS) { // a document of its own has braces, too
		if r.JWKS, err = r.expander.Expand(strings.TrimSpace(r.JWKS)); err != nil {
			return nil, fmt.Errorf("jwks: %w", err)
		}
	}
	secret, err := r.Secret()
	if err != nil {
		return nil, fmt.Errorf("client_secret: %w", err)
	}
	if r.ClientAuth == "client_secret_jwt" && len(secret) < op.MinSecret {
		return nil, fmt.Errorf("client_auth client_secret_jwt needs a client_secret of at least %d bytes", op.MinSecret)
	}
	if r.RequestObject != "" && len(r.ClientKeys) == 0 && len(secret) < op.MinSecret {
		return nil, fmt.Errorf("request_object %s needs client_keys, or a client_secret of at least %d bytes, to sign with", r.RequestObject, op.MinSecret)
	}
	if r.AuthorizationParams, err = r.expandParameters(authorizationParams.option, r.AuthorizationParams); err != nil {
		return nil, err
	}
	if r.TokenParams, err = r.expandParameters(tokenParams.option, r.TokenParams); err != nil {
		return nil, err
	}
	if err = r.expandIdentity(); err != nil {
		return nil, err
	}
	r.Options = r.withDefaults()
	return r, r.check()
}

// Secret returns the client secret, or the empty string if there is none. A file is
// read on each call.
func (r *Resolved) Secret() (string, error) { return r.expander.Expand(r.ClientSecret) }

// Assertion returns the content of the file of client_auth assertion_file, which is
// read on each call.
func (r *Resolved) Assertion() (string, error) {
	text, err := livefile.ReadUpTo(r.ClientAssertionFile, maxAssertionFile)
	if err != nil {
		return "", placeholder.WithoutPath(err)
	}
	return strings.TrimSpace(string(text)), nil
}

// IssuerName returns the name of the provider, which does not depend on its
// metadata.
func (r *Resolved) IssuerName() string { return r.issuer() }

func (r *Resolved) expandAddresses() (err error) {
	for _, option := range append(r.addresses(), named{"name", &r.Name}, named{"client_id", &r.ClientID}, named{"proxy", &r.Proxy},
		named{"client_auth " + op.AssertionFile, &r.ClientAssertionFile}, named{"client_assertion_audience", &r.ClientAssertionAudience}) {
		// The issuer's {tenantid} is its own, and no placeholder of Caddy's.
		parts := []string{*option.field}
		if option.name == "issuer" {
			parts = strings.Split(*option.field, op.TenantPart)
		}
		for i, part := range parts {
			if parts[i], err = r.expander.Expand(part); err != nil {
				return fmt.Errorf("%s: %w", option.name, err)
			}
		}
		*option.field = strings.Join(parts, op.TenantPart)
	}
	return nil
}

// expandParameters resolves the values of parameters. The value of claims is JSON,
// whose braces are not placeholders: it is resolved only if the whole value is one
// placeholder.
func (r *Resolved) expandParameters(option string, written url.Values) (url.Values, error) {
	all := make(url.Values, len(written))
	for name, values := range written {
		all[name] = make([]string, 0, len(values))
		for _, value := range values {
			if name != "claims" || placeholder.Begins(value) {
				expanded, err := r.expander.Expand(value)
				if err != nil {
					return nil, fmt.Errorf("%s %s: %w", option, name, err)
				}
				value = expanded
			}
			all[name] = append(all[name], value)
		}
	}
	return all, nil
}

// unknownHost stands for that of an address with a placeholder.
const unknownHost = "placeholder.invalid"

// CheckWritten checks what can be known while placeholders are not resolved: an
// address with one counts as a good one.
func (o Options) CheckWritten() error {
	if o.Builtin {
		if err := o.UseBuiltin("https://"+unknownHost, "placeholder"); err != nil {
			return err
		}
	}
	o = o.withDefaults()
	for _, option := range o.addresses() {
		written := *option.field
		if option.name == "issuer" {
			written = strings.ReplaceAll(written, op.TenantPart, "")
		}
		if strings.Contains(written, "{") {
			*option.field = "https://" + unknownHost
			o.Tenants = nil // the issuer may have several, or not
			if option.name == "configuration_url" {
				*option.field += op.WellKnown
			}
		}
	}
	if placeholder.Begins(o.JWKS) {
		o.JWKS = ""
	}
	o.dropPlaceholders()
	return o.check()
}

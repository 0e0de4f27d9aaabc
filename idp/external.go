package oidcidp

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
)

// config converts the external provider for package broker, which resolves
// placeholders when the provider opens, since that may need files.
func (e *External) config() broker.Config {
	c := broker.Config{
		ID: e.ID, Create: e.Create, Link: e.Link, Groups: e.Groups, GroupNames: e.GroupNames,
		ACR: e.ACR, Name: e.Name, Icon: e.Icon, Disabled: e.Disabled,
	}
	for _, domain := range e.Domains {
		c.Domains = append(c.Domains, strings.ToLower(domain))
	}
	if e.OIDC != nil {
		c.OIDC = e.OIDC.options()
	}
	if s := e.SAML; s != nil {
		c.SAML = &broker.SAMLConfig{
			Metadata: s.Metadata, EntityID: s.EntityID, Endpoint: s.Endpoint, Certificate: s.Certificate, Sign: s.Sign,
			IDPInitiated: s.IDPInitiated, DecryptionKey: s.DecryptionKey, RotateKeys: time.Duration(s.RotateKeys), Username: s.Username, Claims: s.Claims,
		}
	}
	if o := e.OAuth2; o != nil {
		c.OAuth2 = &broker.OAuth2Config{Preset: o.Preset, ClientID: o.ClientID, ClientSecret: o.ClientSecret}
	}
	return c
}

func (o *ExternalOIDC) options() *opconfig.Options {
	options := &opconfig.Options{
		Issuer: o.Issuer, ConfigurationURL: o.ConfigurationURL, ClientID: o.ClientID, ClientSecret: o.ClientSecret,
		ClientAuth: o.ClientAuth, ClientKeys: o.ClientKeys, Scopes: o.Scopes, UsernameClaim: o.UsernameClaim,
		GroupsClaim: o.GroupsClaim, EmailTrusted: o.EmailTrusted, LoginIsAuthTime: o.LoginIsAuthTime,
		Userinfo: o.Userinfo, IDTokenAlgs: o.IDTokenAlgs, Insecure: o.Insecure,
	}
	if len(o.CA) > 0 {
		options.TLS = &opconfig.TLSFiles{CA: o.CA}
	}
	if len(o.AuthorizationParams) > 0 {
		options.AuthorizationParams = make(url.Values)
		for name, value := range o.AuthorizationParams {
			options.AuthorizationParams.Set(name, value)
		}
	}
	return options
}

// brokerConfigs returns the external providers for package broker.
func (a *App) brokerConfigs() []broker.Config {
	configs := make([]broker.Config, 0, len(a.Externals))
	for i := range a.Externals {
		configs = append(configs, a.Externals[i].config())
	}
	return configs
}

// check returns an error for options that are invalid by themselves.
func (e *External) check() error {
	if o := e.OIDC; o != nil {
		if needs, _, known := op.AuthMethod(o.ClientAuth); o.ClientAuth != "" && (!known || needs == op.NeedsCertificate || needs == op.NeedsFile) {
			return fmt.Errorf("oidc: client_auth: '%s' cannot be used for an external provider", o.ClientAuth)
		}
	}
	c := e.config()
	return c.Check()
}

// checkExternals returns an error for conflicts between external providers, and
// references to what does not exist.
func (a *App) checkExternals() error {
	if err := broker.CheckAll(a.brokerConfigs()); err != nil {
		return err
	}
	for i := range a.Externals {
		e := &a.Externals[i]
		if err := e.check(); err != nil {
			return fmt.Errorf("external %s: %w", e.ID, err)
		}
		if err := a.checkInitiated(e.SAML); err != nil {
			return fmt.Errorf("external %s: saml: %w", e.ID, err)
		}
	}
	return nil
}

// checkInitiated returns an error if users would be sent to an application that
// cannot begin a login. The hosts of the sites here are known only at run time.
func (a *App) checkInitiated(s *ExternalSAML) error {
	if s == nil || s.IDPInitiated == "" {
		return nil
	}
	client := a.Clients[s.IDPInitiated]
	return optioncheck.First(
		optioncheck.Refuse("idp_initiated", client == nil && !strings.ContainsAny(s.IDPInitiated, ".:{") && s.IDPInitiated != "localhost",
			"idp_initiated: there is no client %s, and it is not the host of a site", s.IDPInitiated),
		optioncheck.Refuse("idp_initiated", client != nil && client.InitiateLoginURI == "", "idp_initiated: the client %s has no initiate", s.IDPInitiated),
	)
}

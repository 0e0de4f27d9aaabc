package oidcrp

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/provider"
)

// remote returns what shapes the shared part, and a key that implies all of it.
func (p *Provider) remote(now func() time.Time) (provider.RemoteConfig, string, error) {
	c := provider.RemoteConfig{
		Issuer: p.Issuer, ConfigurationURL: p.ConfigurationURL,
		Endpoints: provider.Endpoints{
			Authorization: p.AuthorizationEndpoint, Token: p.TokenEndpoint, Userinfo: p.UserinfoEndpoint,
			JWKS: p.JWKSURI, EndSession: p.EndSessionEndpoint,
			Revocation: p.RevocationEndpoint,
			Pushed:     p.PushedAuthorizationRequestEndpoint,
		},
		JWKS: []byte(p.JWKS), Insecure: p.Insecure, Timeout: time.Duration(p.Timeout), Now: now,
		Proxy: http.ProxyFromEnvironment,
	}
	if p.Proxy != "" {
		proxy, err := url.Parse(p.Proxy)
		if err != nil || proxy.Host == "" {
			return c, "", errors.New("proxy: is not a URL") // it may hold a password
		}
		c.Proxy = http.ProxyURL(proxy)
	}
	files, err := p.TLS.read()
	if err != nil {
		return c, "", err
	}
	c.MTLS = p.ClientAuth == provider.MTLS || len(files.Certificate) > 0
	if p.ClientAuth == provider.MTLS {
		if files.Certificate, files.PrivateKey, err = p.clientCertificate(); err != nil {
			return c, "", err
		}
	}
	if c.TLS, err = files.config(); err != nil {
		return c, "", err
	}
	inputs, err := json.Marshal([]any{c.Issuer, c.ConfigurationURL, c.Endpoints, p.JWKS, c.Insecure, c.Timeout, p.Proxy, files, c.MTLS})
	if err != nil {
		return c, "", err
	}
	sum := sha256.Sum256(inputs)
	return c, hex.EncodeToString(sum[:]), nil
}

// tlsFiles is what the files of a ProviderTLS hold.
type tlsFiles struct {
	CA                      [][]byte
	Certificate, PrivateKey []byte
}

func (t *ProviderTLS) read() (files tlsFiles, err error) {
	if t == nil {
		return files, nil
	}
	read := func(option, name string) (content []byte) {
		if err != nil || name == "" {
			return nil
		}
		if name, err = expand(name); err == nil {
			content, err = os.ReadFile(name)
		}
		if err == nil && len(content) == 0 {
			err = fmt.Errorf("%s is empty", name)
		}
		if err != nil {
			err = fmt.Errorf("tls %s: %w", option, err)
		}
		return content
	}
	for _, name := range t.CA {
		files.CA = append(files.CA, read("ca", name))
	}
	files.Certificate = read("client_certificate", t.ClientCertificate)
	files.PrivateKey = read("client_certificate", t.ClientKey)
	return files, err
}

func (f tlsFiles) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(f.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		for _, pem := range f.CA {
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, errors.New("tls ca: a file holds no certificate")
			}
		}
	}
	if len(f.Certificate) > 0 {
		pair, err := tls.X509KeyPair(f.Certificate, f.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("tls client_certificate: %w", err)
		}
		// Go by itself would keep it back where the provider names authorities and
		// its own is none of them, as with one that is self-signed.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config, nil
}

// remotes holds what was learned about providers: their metadata and keys
// survive a reload.
var remotes = caddy.NewUsagePool()

type pooledRemote struct{ *provider.Remote }

// Destruct gives back idle connections.
func (p pooledRemote) Destruct() error {
	p.Close()
	return nil
}

func acquireRemote(key string, config provider.RemoteConfig) (*provider.Remote, func() error, error) {
	value, _, err := remotes.LoadOrNew(key, func() (caddy.Destructor, error) {
		return pooledRemote{provider.NewRemote(config)}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return value.(pooledRemote).Remote, func() error { _, err := remotes.Delete(key); return err }, nil
}

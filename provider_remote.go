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
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/provider"
)

// remote returns what shapes the shared part, and a key that implies all of it.
// Files count by their names, since they are read again when they change.
func (p *Provider) remote(written *Provider, now func() time.Time) (provider.RemoteConfig, string, error) {
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
	c.MTLS = p.ClientAuth == provider.MTLS || p.TLS != nil && p.TLS.ClientCertificate != ""
	if _, err := p.tlsConfig(livefile.ReadFile); err != nil {
		return c, "", err // also where the shared part has a good one
	}
	jwks := p.JWKS
	if _, ok := written.jwksFile(); ok {
		jwks, c.JWKS = strings.TrimSpace(written.JWKS), nil
	}
	inputs, err := json.Marshal([]any{
		c.Issuer, c.ConfigurationURL, c.Endpoints, jwks, c.Insecure, c.Timeout, p.Proxy, p.TLS, c.MTLS, p.ClientCertificate, p.ClientCertificateKey,
	})
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

func (t *ProviderTLS) read(reading livefile.Read) (files tlsFiles, err error) {
	if t == nil {
		return files, nil
	}
	read := func(option, name string) (content []byte) {
		if err != nil || name == "" {
			return nil
		}
		if name, err = expand(name); err == nil {
			content, err = reading(name)
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

type pooledRemote struct {
	*provider.Remote
	logs *logs
	key  string // a hash of all options
}

// Destruct gives back idle connections.
func (p pooledRemote) Destruct() error {
	p.Close()
	return nil
}

// newRemote makes the shared part of a provider, over the files that its
// configuration names.
func (p *Provider) newRemote(config provider.RemoteConfig, written *Provider, logs *logs) (*provider.Remote, error) {
	live, err := livefile.New(config.Now, logFiles(logs.logger, "tls"), p.tlsConfig)
	if err != nil {
		return nil, err
	}
	config.TLS, config.Notify = live.Get, logKept(logs.logger)
	if name, ok := written.jwksFile(); ok {
		keys, err := livefile.New(config.Now, logFiles(logs.logger, "jwks"), func(read livefile.Read) ([]jose.JSONWebKey, error) {
			document, err := expandFile(read, name)
			if err != nil {
				return nil, err
			}
			return provider.ParseKeys([]byte(document))
		})
		if err != nil {
			return nil, fmt.Errorf("jwks: %w", err)
		}
		config.Keys = keys.Get
	}
	return provider.NewRemote(config), nil
}

func (p *Provider) acquireRemote(written *Provider, now func() time.Time, logger *zap.Logger) (pooledRemote, func() error, error) {
	config, key, err := p.remote(written, now)
	if err != nil {
		return pooledRemote{}, nil, err
	}
	value, _, err := remotes.LoadOrNew(key, func() (caddy.Destructor, error) {
		logs := new(logs)
		logs.add(logger) // files may have something to tell at once
		remote, err := p.newRemote(config, written, logs)
		return pooledRemote{remote, logs, key}, err
	})
	if err != nil {
		return pooledRemote{}, nil, err
	}
	pooled := value.(pooledRemote)
	remove := pooled.logs.add(logger)
	return pooled, func() error {
		remove()
		_, err := remotes.Delete(key)
		return err
	}, nil
}

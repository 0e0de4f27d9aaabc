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
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// remote returns what shapes the shared part, and a key that implies all of it.
// Files count by their names, since they are read again when they change.
func (p *ProviderConfig) discoveryConfig(written *ProviderConfig, now func() time.Time) (op.DiscoveryConfig, string, error) {
	c := op.DiscoveryConfig{
		Issuer: p.Issuer, ConfigurationURL: p.ConfigurationURL,
		Endpoints: op.Endpoints{
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
	c.MTLS = p.ClientAuth == op.MTLS || p.TLS != nil && p.TLS.ClientCertificate != ""
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

// tlsFileContents is what the files of a ProviderTLSConfig hold.
type tlsFileContents struct {
	CA                      [][]byte
	Certificate, PrivateKey []byte
}

func (t *ProviderTLSConfig) read(reading livefile.Read) (files tlsFileContents, err error) {
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

func (f tlsFileContents) config() (*tls.Config, error) {
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
var discoveries = caddy.NewUsagePool()

type sharedDiscovery struct {
	*op.Discovery
	logs *logs
	key  string // a hash of all options
}

// Destruct gives back idle connections.
func (p sharedDiscovery) Destruct() error {
	p.Close()
	return nil
}

// newDiscovery makes the shared part of a provider, over the files that its
// configuration names.
func (p *ProviderConfig) newDiscovery(config op.DiscoveryConfig, written *ProviderConfig, logs *logs) (*op.Discovery, error) {
	live, err := livefile.New(config.Now, logFiles(logs.logger, "tls"), p.tlsConfig)
	if err != nil {
		return nil, err
	}
	config.TLS, config.Notify = live.Get, logProviderOutage(logs.logger)
	if name, ok := written.jwksFile(); ok {
		keys, err := livefile.New(config.Now, logFiles(logs.logger, "jwks"), func(read livefile.Read) ([]jose.JSONWebKey, error) {
			document, err := expandFile(read, name)
			if err != nil {
				return nil, err
			}
			return op.ParseKeys([]byte(document))
		})
		if err != nil {
			return nil, fmt.Errorf("jwks: %w", err)
		}
		config.Keys = keys.Get
	}
	return op.NewDiscovery(config), nil
}

func (p *ProviderConfig) acquireDiscovery(written *ProviderConfig, now func() time.Time, logger *zap.Logger) (sharedDiscovery, func() error, error) {
	config, key, err := p.discoveryConfig(written, now)
	if err != nil {
		return sharedDiscovery{}, nil, err
	}
	value, _, err := discoveries.LoadOrNew(key, func() (caddy.Destructor, error) {
		logs := new(logs)
		logs.add(logger) // files may have something to tell at once
		remote, err := p.newDiscovery(config, written, logs)
		return sharedDiscovery{remote, logs, key}, err
	})
	if err != nil {
		return sharedDiscovery{}, nil, err
	}
	pooled := value.(sharedDiscovery)
	remove := pooled.logs.add(logger)
	return pooled, func() error {
		remove()
		_, err := discoveries.Delete(key)
		return err
	}, nil
}

package opconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// TLSConfig returns the TLS configuration for connections to the provider, read
// from its files.
func (r *Resolved) TLSConfig(read livefile.Read) (*tls.Config, error) {
	files, err := r.readTLSFiles(read)
	if err != nil {
		return nil, err
	}
	if r.ClientAuth == op.MTLS {
		if files.certificate, files.privateKey, err = r.clientCertificate(read); err != nil {
			return nil, err
		}
	}
	config, err := files.config()
	if err != nil || r.Profile == "" {
		return config, err
	}
	config.CipherSuites = profileCiphers
	if config.GetClientCertificate != nil {
		certificate, err := config.GetClientCertificate(nil)
		if err != nil {
			return nil, err
		}
		leaf, err := x509.ParseCertificate(certificate.Certificate[0])
		if err == nil {
			err = checkProfileKey(leaf.PublicKey)
		}
		if err != nil {
			return nil, fmt.Errorf("profile %s: the client certificate: %w", r.Profile, err)
		}
	}
	return config, nil
}

// tlsFileContents is what the files of TLSFiles hold, as PEM.
type tlsFileContents struct {
	ca                      [][]byte
	certificate, privateKey []byte
}

func (r *Resolved) readTLSFiles(read livefile.Read) (files tlsFileContents, err error) {
	if r.TLS == nil {
		return files, nil
	}
	contentOf := func(option, name string) (content []byte) {
		if err != nil || name == "" {
			return nil
		}
		if name, err = r.expander.Expand(name); err == nil {
			content, err = read(name)
		}
		if err == nil && len(content) == 0 {
			err = fmt.Errorf("%s is empty", name)
		}
		if err != nil {
			err = fmt.Errorf("tls %s: %w", option, err)
		}
		return content
	}
	for _, name := range r.TLS.CA {
		files.ca = append(files.ca, contentOf("ca", name))
	}
	files.certificate = contentOf("client_certificate", r.TLS.ClientCertificate)
	files.privateKey = contentOf("client_certificate", r.TLS.ClientKey)
	return files, err
}

func (f tlsFileContents) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(f.ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		for _, pem := range f.ca {
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, errors.New("tls ca: a file holds no certificate")
			}
		}
	}
	if len(f.certificate) > 0 {
		pair, err := tls.X509KeyPair(f.certificate, f.privateKey)
		if err != nil {
			return nil, fmt.Errorf("tls client_certificate: %w", err)
		}
		// With Certificates, Go would not present it to a provider that names
		// authorities other than its issuer, as with a self-signed one.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config, nil
}

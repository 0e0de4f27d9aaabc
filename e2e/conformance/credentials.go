package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const clientID = "caddy-oidc-rp"

// credentials are what the driver creates for one run: the site's certificate, and the
// client's secret, keys, and certificate.
type credentials struct {
	secret      string
	authority   *x509.CertPool
	files       map[string][]byte // in Caddy's folder, by the names in the plans' options
	jwks        jwks              // public keys to register
	certificate string            // the client's, as PEM
	server      jwks              // private keys for the providers of FAPI plans
}

type jwk map[string]any

type jwks struct {
	Keys []jwk `json:"keys"`
}

func newCredentials(host string) (*credentials, error) {
	c := &credentials{
		// The secret contains characters that need encoding in forms and in HTTP Basic.
		secret:    rand.Text() + ":%+&=/ü",
		authority: x509.NewCertPool(),
		files:     map[string][]byte{},
	}
	if err := c.siteCertificate(host); err != nil {
		return nil, err
	}
	signing, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	decryption, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	agreementKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := selfSigned(pkix.Name{CommonName: clientID}, "", signing)
	if err != nil {
		return nil, err
	}
	c.certificate = string(pemOf("CERTIFICATE", der))
	c.files["client.crt"] = []byte(c.certificate)
	c.files["client.jwk"] = privateJWK("client", "sig", signing)
	if c.files["client.key"], err = privatePEM(signing); err != nil {
		return nil, err
	}
	c.files["decryption.jwk"] = privateJWK("decryption", "enc", decryption)
	client := rsaJWK("client", "sig", &signing.PublicKey)
	client["x5c"] = []string{base64.StdEncoding.EncodeToString(der)}
	agreement, private, err := ecJWK("agreement", "enc", agreementKey)
	if err != nil {
		return nil, err
	}
	c.files["agreement.jwk"] = private
	c.jwks = jwks{[]jwk{client, rsaJWK("decryption", "enc", &decryption.PublicKey), agreement}}
	return c, c.serverKeys()
}

func (c *credentials) serverKeys() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	var private jwk
	if err := json.Unmarshal(privateJWK("provider", "sig", key), &private); err != nil {
		return err
	}
	private["alg"] = "PS256"
	c.server = jwks{[]jwk{private}}
	return nil
}

// siteCertificate creates an authority that only the driver's browser trusts. The suite
// does not verify certificates of relying parties.
func (c *credentials) siteCertificate(host string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := selfSigned(pkix.Name{CommonName: host}, host, key)
	if err != nil {
		return err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	c.authority.AddCert(certificate)
	c.files["site.crt"] = pemOf("CERTIFICATE", der)
	c.files["site.key"], err = privatePEM(key)
	return err
}

// write writes the files to Caddy's folder.
func (c *credentials) write(dir string) error {
	for name, content := range c.files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func selfSigned(name pkix.Name, host string, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: name,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else if host != "" {
		template.DNSNames = []string{host}
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

func privatePEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pemOf("PRIVATE KEY", der), err
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func rsaJWK(kid, use string, key *rsa.PublicKey) jwk {
	return jwk{"kty": "RSA", "kid": kid, "use": use, "n": number(key.N), "e": number(big.NewInt(int64(key.E)))}
}

func privateJWK(kid, use string, key *rsa.PrivateKey) []byte {
	k := rsaJWK(kid, use, &key.PublicKey)
	k["d"], k["p"], k["q"] = number(key.D), number(key.Primes[0]), number(key.Primes[1])
	k["dp"], k["dq"], k["qi"] = number(key.Precomputed.Dp), number(key.Precomputed.Dq), number(key.Precomputed.Qinv)
	text, err := json.Marshal(k)
	if err != nil {
		panic(err) // only strings
	}
	return text
}

// ecJWK returns the public key as a JWK and the private key as a document.
func ecJWK(kid, use string, key *ecdsa.PrivateKey) (public jwk, private []byte, err error) {
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, nil, err
	}
	d, err := key.Bytes()
	if err != nil {
		return nil, nil, err
	}
	half := (len(point) - 1) / 2
	public = jwk{"kty": "EC", "kid": kid, "use": use, "crv": key.Params().Name,
		"x": encode(point[1 : 1+half]), "y": encode(point[1+half:])}
	whole := maps.Clone(public)
	whole["d"] = encode(d)
	private, err = json.Marshal(whole)
	return public, private, err
}

func number(n *big.Int) string { return encode(n.Bytes()) }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

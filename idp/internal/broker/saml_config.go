package broker

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

// Values of SAMLConfig.Sign: what the provider has to sign.
const (
	SignResponse  = "response"
	SignAssertion = "assertion"
	SignBoth      = "both"
	SignEither    = "either" // the default
)

// minRotateKeys is longer than a rotation takes.
const minRotateKeys = 30 * 24 * time.Hour

// SAMLConfig configures a SAML 2.0 identity provider, by its metadata or
// individually.
type SAMLConfig struct {
	// Metadata is the URL or the file of the provider's metadata. A URL is fetched
	// again periodically.
	Metadata string
	// EntityID is the provider's entity ID. It selects one of several entities in
	// metadata.
	EntityID string
	// Endpoint is the provider's single sign-on address for the redirect binding,
	// instead of metadata.
	Endpoint string
	// Certificate is the only certificate that the provider's signatures are
	// verified with: PEM, its base64, or the name of a file.
	Certificate string

	Sign string
	// IDPInitiated is the client to which users of unsolicited responses are sent;
	// if empty, such responses are refused.
	IDPInitiated string
	// DecryptionKey is the private RSA key for encrypted assertions: PEM, a
	// placeholder for it, or the name of a file. If empty, one is generated.
	DecryptionKey string
	// RotateKeys is the interval at which our keys at the provider are rotated. If
	// zero, operators rotate them.
	RotateKeys time.Duration
	// Username is the attribute that names the user.
	Username string
	// Claims maps claims to the attributes that they come from.
	Claims map[string]string
}

// samlClaims are the claims that attributes can become.
var samlClaims = []string{"email", "name", "given_name", "family_name", "locale", "groups"}

// Check checks what can be checked before anything is read.
func (c *SAMLConfig) Check() error {
	byHand := c.Endpoint != ""
	rules := []optioncheck.Rule{
		optioncheck.Refuse("metadata", c.Metadata == "" && !byHand, "metadata is missing; or set entity_id, endpoint and certificate"),
		optioncheck.Refuse("endpoint", c.Metadata != "" && byHand, "metadata and endpoint exclude each other"),
		optioncheck.Refuse("entity_id", byHand && c.EntityID == "", "endpoint needs entity_id"),
		optioncheck.Refuse("certificate", byHand && c.Certificate == "", "endpoint needs certificate"),
		optioncheck.Refuse("rotate_keys", c.RotateKeys != 0 && c.RotateKeys < minRotateKeys, "rotate_keys: is less than 30 days"),
		optioncheck.EmptyOrOneOf("sign", c.Sign, SignResponse, SignAssertion, SignBoth, SignEither),
	}
	for _, claim := range slices.Sorted(maps.Keys(c.Claims)) {
		rules = append(rules,
			optioncheck.Refuse("claims", !slices.Contains(samlClaims, claim), "claims: '%s' is not one of %s", claim, strings.Join(samlClaims, ", ")),
			optioncheck.Refuse("claims", c.Claims[claim] == "", "claims: %s has no attribute", claim))
	}
	if err := optioncheck.First(rules...); err != nil {
		return err
	}
	if err := checkMetadataURL(c.Metadata, c.Certificate != ""); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if byHand && !strings.Contains(c.Endpoint, "{") {
		if err := op.CheckURL(c.Endpoint, false); err != nil {
			return fmt.Errorf("endpoint: %w", err)
		}
	}
	return nil
}

// isURL reports whether metadata is a URL.
func isURL(metadata string) bool {
	return strings.HasPrefix(metadata, "https://") || strings.HasPrefix(metadata, "http://")
}

// checkMetadataURL returns an error for a URL without integrity protection, since
// metadata has the keys for signatures, unless one is pinned.
func checkMetadataURL(metadata string, pinned bool) error {
	if !isURL(metadata) || strings.Contains(metadata, "{") {
		return nil
	}
	if err := op.CheckURL(metadata, pinned); err != nil {
		if u, parseErr := url.Parse(metadata); parseErr == nil && u.Scheme == "http" && !pinned {
			return errors.New("an http URL needs a certificate that is pinned with the option certificate")
		}
		return err
	}
	return nil
}

// parseCertificate parses one certificate: PEM, or base64 as in metadata.
func parseCertificate(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if block, _ := pem.Decode([]byte(text)); block != nil {
		der, err = block.Bytes, nil
	}
	if err != nil {
		return nil, errors.New("certificate is neither PEM nor base64")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("certificate cannot be read")
	}
	return certificate, nil
}

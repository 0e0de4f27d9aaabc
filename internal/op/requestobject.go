package op

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

// This file sends authorization requests as JWTs (RFC 9101, OpenID Connect Core 6),
// which authenticate the client and protect the integrity of the request.

// Values of Client.RequestObject.
const (
	RequestSigned    = "signed"
	RequestEncrypted = "encrypted" // signed first
)

const (
	requestType = "oauth-authz-req+jwt" // RFC 9101, section 10.8
	// requestLife is the lifetime of a request object. The provider reads it when the
	// browser arrives, or when the request is pushed.
	requestLife = 5 * time.Minute
	// maxRequestAddress is the maximum length in bytes of a URL with a request object.
	// Servers and proxies refuse longer ones.
	maxRequestAddress = 16 << 10
)

// byValue returns the authorization URL with the request as a JWT. Besides that it
// only has the parameters that OAuth 2.0 requires, and the scope (OpenID Connect
// Core 6.1).
func (c *Client) byValue(ctx context.Context, metadata *Metadata, config oauth2.Config, state string, options []oauth2.AuthCodeOption) (string, error) {
	config.Endpoint.AuthURL = "" // only the parameters are needed
	form, err := url.ParseQuery(strings.TrimPrefix(c.withResources(config.AuthCodeURL(state, options...)), "?"))
	if err != nil {
		return "", errors.New("the authorization request cannot be written")
	}
	object, err := c.requestObject(ctx, metadata, form)
	if err != nil {
		return "", err
	}
	outside := url.Values{"request": {object}}
	for _, name := range []string{"client_id", "response_type", "scope"} {
		outside[name] = form[name]
	}
	address := withParameters(metadata.Endpoints.Authorization, outside)
	if len(address) > maxRequestAddress {
		return "", settingsErrorf("the address of the authorization request would have %d bytes, and at most %d are sent; push requests: configure pushed_authorization_request_endpoint", len(address), maxRequestAddress)
	}
	return address, nil
}

// requestObject returns an authorization request as a JWT that is valid once, for a
// few minutes, and only at this provider.
func (c *Client) requestObject(ctx context.Context, metadata *Metadata, form url.Values) (string, error) {
	key, err := c.requestKey(metadata)
	if err != nil {
		c.Discovery.Invalidate() // the provider's algorithms may have changed
		return "", &UnavailableError{err, longPause}
	}
	payload, err := json.Marshal(c.requestClaims(metadata, form))
	if err != nil {
		return "", fmt.Errorf("write the request object: %w", err)
	}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(requestType))
	if err != nil {
		return "", fmt.Errorf("sign the request object: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign the request object: %w", err)
	}
	object, err := jws.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("write the request object: %w", err)
	}
	if c.RequestObject == RequestEncrypted {
		return c.encryptRequest(ctx, metadata, object)
	}
	return object, nil
}

// requestKey returns the key that signs request objects, with an algorithm that the
// provider accepts.
func (c *Client) requestKey(metadata *Metadata) (key jose.SigningKey, err error) {
	taken := metadata.Requests.Algs
	if own := c.ownKeys().Signing; len(own) > 0 {
		key = own[0].signing(taken)
	} else {
		secret, err := c.secret()
		if err != nil {
			return key, err
		}
		if len(secret) < MinSecret {
			return key, settingsErrorf("request_object %s needs client_keys, or a client_secret of at least %d bytes, to sign with", c.RequestObject, MinSecret)
		}
		key = jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}
	}
	alg := string(key.Algorithm)
	if len(taken) > 0 && !slices.Contains(taken, alg) {
		return key, settingsErrorf("request_object %s: %w; see client_keys", c.RequestObject, notOffered(alg, "request objects signed", taken))
	}
	return key, nil
}

// requestClaims returns the claims of the JWT: the parameters, and what binds them
// to this client and provider.
func (c *Client) requestClaims(metadata *Metadata, form url.Values) map[string]any {
	claims := make(map[string]any, len(form)+6)
	for name, values := range form {
		claims[name] = requestClaim(name, values)
	}
	now := c.Now()
	maps.Copy(claims, map[string]any{
		"iss": c.ClientID, "aud": c.requestAudience(metadata), "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(requestLife).Unix(),
	})
	return claims
}

// requestAudience returns the issuer (RFC 9101, section 4), or, for an issuer of
// many tenants, the endpoint that reads the request.
func (c *Client) requestAudience(metadata *Metadata) string {
	if metadata.Tenants() {
		return metadata.Endpoints.Authorization
	}
	return metadata.Issuer
}

// requestClaim returns a parameter as a claim: numbers and JSON are not encoded as
// strings (RFC 9101, section 4; OpenID Connect Core 6.1; RFC 9396, section 2).
func requestClaim(name string, values []string) any {
	if len(values) > 1 {
		return values
	}
	value := strings.Join(values, "")
	switch name {
	case "max_age":
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
			return seconds
		}
	case "claims", "authorization_details":
		if json.Valid([]byte(value)) {
			return json.RawMessage(value)
		}
	}
	return value
}

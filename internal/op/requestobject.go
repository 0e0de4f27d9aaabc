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

// This file puts authorization requests into JWTs (RFC 9101, OpenID Connect Core 6), so
// that the provider sees who made them, and that no one on the way has changed them.

// The values of Client.RequestObject.
const (
	RequestSigned    = "signed"
	RequestEncrypted = "encrypted" // signed first
)

const (
	requestType = "oauth-authz-req+jwt" // RFC 9101 10.8
	// requestLife is how long a request object counts. The provider reads it when the
	// browser arrives, or when the request is pushed.
	requestLife = 5 * time.Minute
	// maxRequestAddress bounds an address for browsers that holds a request object, in
	// bytes: servers and proxies on the way refuse longer ones.
	maxRequestAddress = 16 << 10
)

// byValue returns where to send a browser with the request as a JWT in its address.
// What OAuth 2.0 requires outside stands there as well, with the scope (Core 6.1), and
// nothing else.
func (c *Client) byValue(ctx context.Context, metadata *Metadata, config oauth2.Config, state string, options []oauth2.AuthCodeOption) (string, error) {
	config.Endpoint.AuthURL = "" // for the parameters alone
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

// requestObject returns an authorization request as a JWT that counts once, for a few
// minutes, and at this provider alone.
func (c *Client) requestObject(ctx context.Context, metadata *Metadata, form url.Values) (string, error) {
	key, err := c.requestKey(metadata)
	if err != nil {
		c.Discovery.Invalidate() // it may change what it takes
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

// requestKey is what signs request objects, with an algorithm that the provider takes.
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

// requestClaims are the parameters as members of the JWT, and what makes it count for
// this client and this provider.
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

// requestAudience is the issuer (RFC 9101 4), which an issuer for many tenants is not:
// then it is who reads the request.
func (c *Client) requestAudience(metadata *Metadata) string {
	if metadata.Tenants() {
		return metadata.Endpoints.Authorization
	}
	return metadata.Issuer
}

// requestClaim is a parameter as the member of a JWT: a number or JSON is what it is,
// and no text (RFC 9101 4, Core 6.1, RFC 9396 2).
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

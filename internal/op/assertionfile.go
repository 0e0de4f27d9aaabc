package op

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// This file authenticates with assertions that the platform issues to its
// workloads: Kubernetes, SPIFFE and the workload identities of clouds keep a JWT in
// a file and renew it in time. Its holder can act as this workload, so it is sent
// only to the token endpoint, and only if it is meant for that.

// AssertionFile is the client authentication method that sends the platform's
// assertion (RFC 7521, section 4.2; RFC 7523, section 2.2).
const AssertionFile = "assertion_file"

var errTokenEndpointOnly = errors.New("client_auth " + AssertionFile + " cannot authenticate: its assertion is sent to the token endpoint alone")

// assertionFile adds the platform's assertion to a token request. Errors do not
// contain any of it.
func assertionFile(p *proof, _ http.Header, form url.Values) error {
	switch {
	case !p.tokens:
		return errTokenEndpointOnly
	case p.platform == nil:
		return errors.New("client_auth " + AssertionFile + " needs a file")
	case p.endpoint == nil || !Protected(p.endpoint):
		return errors.New("client_auth " + AssertionFile + ": the token endpoint is not on https, nor on loopback")
	}
	assertion, err := p.platform()
	if err == nil {
		err = p.checkPlatform(assertion)
	}
	if err != nil {
		return fmt.Errorf("client_auth %s: the file %w", AssertionFile, err)
	}
	form.Set("client_id", p.clientID)
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return nil
}

// Protected reports whether requests to a URL are protected by TLS, or stay on this
// machine.
func Protected(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && localityOfHost(u.Hostname()) == thisMachine
}

// checkPlatform checks the claims of the platform's assertion. The provider
// verifies its signature.
func (p *proof) checkPlatform(assertion string) error {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 || parts[2] == "" {
		return errors.New("does not hold a signed JWT")
	}
	var objects [2]object
	for i := range objects {
		text, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil {
			return errors.New("does not hold a signed JWT")
		}
		if objects[i], err = parseObject(text); err != nil {
			return errors.New("does not hold a signed JWT")
		}
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil {
		return errors.New("does not hold a signed JWT")
	}
	claims := objects[1]
	expires, ok, err := claims.moment("exp")
	switch {
	case err != nil || !ok:
		return errors.New("holds a JWT that never expires; a token that the platform renews is needed")
	case !expires.After(p.now()):
		return errors.New("holds a JWT that has expired; does the platform still renew it?")
	}
	audience, err := claims.texts("aud", true)
	switch {
	case err != nil || len(audience) == 0:
		return errors.New("holds a JWT without an audience")
	case p.audience != "" && !slices.Contains(audience, p.audience):
		return errors.New("holds a JWT for another audience than the configured one")
	}
	for _, a := range audience {
		if a != p.audience && forAPIServer(a) {
			return errors.New("holds a JWT that the Kubernetes API server accepts as well; let the platform issue one for this provider (a projected volume with an audience)")
		}
	}
	return nil
}

// forAPIServer reports whether an audience is that of a Kubernetes API server.
func forAPIServer(audience string) bool {
	audience = strings.ToLower(strings.TrimSpace(audience))
	for _, scheme := range []string{"https://", "http://"} {
		if rest, ok := strings.CutPrefix(audience, scheme); ok {
			return strings.HasPrefix(rest, "kubernetes")
		}
	}
	return audience == "kubernetes" || strings.HasPrefix(audience, "kubernetes.")
}

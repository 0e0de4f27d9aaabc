package op

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Need is what a client authentication method requires.
type Need int

// Requirements of methods.
const (
	NeedsNothing Need = iota
	NeedsSecret
	NeedsKey         // a client key; see ParseClientKeys
	NeedsCertificate // a certificate in the TLS configuration
	NeedsFile        // a file with the platform's assertion
)

// proof has everything that methods authenticate with.
type proof struct {
	clientID, secret string
	key              *ClientKey
	audience         string   // audience of assertions
	algs             []string // algorithms that the provider accepts for them; empty if unknown
	now              func() time.Time
	// platform returns the platform's assertion.
	platform func() (string, error)
	// endpoint is the URL of the request, and tokens reports whether it is the
	// token endpoint.
	endpoint *url.URL
	tokens   bool
}

// clientAuth authenticates a request on the back channel (RFC 6749, section 2.3).
// It is called for every request.
type clientAuth func(p *proof, header http.Header, form url.Values) error

// clientAuths are the client authentication methods (OpenID Connect Core 9; RFC
// 8705, section 2). A new method needs an entry here and its function.
var clientAuths = map[string]struct {
	prove clientAuth
	needs Need
	// asserts reports whether the method signs an assertion, which has an audience.
	asserts bool
}{
	"client_secret_basic": {prove: basic, needs: NeedsSecret},
	"client_secret_post":  {prove: post, needs: NeedsSecret},
	"client_secret_jwt":   {prove: secretJWT, needs: NeedsSecret, asserts: true},
	"private_key_jwt":     {prove: privateKeyJWT, needs: NeedsKey, asserts: true},
	MTLS:                  {prove: none, needs: NeedsCertificate},
	AssertionFile:         {prove: assertionFile, needs: NeedsFile, asserts: true},
	"none":                {prove: none},
}

// MTLS is the method that authenticates by the TLS client certificate, from an
// authority or self-signed (RFC 8705, sections 2.1 and 2.2). The request only
// contains the client id.
const MTLS = "tls_client_auth"

// basic encodes both parts before joining them, so that colons and percent signs in
// a secret are preserved (RFC 6749, section 2.3.1).
func basic(p *proof, header http.Header, _ url.Values) error {
	request := http.Request{Header: header}
	request.SetBasicAuth(url.QueryEscape(p.clientID), url.QueryEscape(p.secret))
	return nil
}

func post(p *proof, header http.Header, form url.Values) error {
	form.Set("client_secret", p.secret)
	return none(p, header, form)
}

func none(p *proof, _ http.Header, form url.Values) error {
	form.Set("client_id", p.clientID)
	return nil
}

// AuthMethods returns the names of the client authentication methods.
func AuthMethods() []string {
	names := make([]string, 0, len(clientAuths))
	for name := range clientAuths {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// AuthMethod returns what a method requires, and whether it signs assertions. ok
// reports whether the method exists.
func AuthMethod(name string) (needs Need, asserts, ok bool) {
	method, ok := clientAuths[name]
	return method.needs, method.asserts, ok
}

// bySecret are the methods of a client with a secret and without a configured
// method, in order of preference.
var bySecret = []string{"client_secret_basic", "client_secret_post", "client_secret_jwt"}

// chooseAuth returns the method to use: the configured one, none for a client
// without a secret, or else one that the metadata offers. client_secret_basic is
// preferred, and is the default for metadata without a list (Discovery 3). Methods
// are not tried out, because a code can be sent only once. Methods with a key or a
// certificate have to be configured.
func chooseAuth(configured string, hasSecret bool, offered []string) (string, error) {
	switch {
	case configured != "":
		return configured, nil
	case !hasSecret:
		return "none", nil
	case len(offered) == 0:
		return bySecret[0], nil
	}
	for _, method := range bySecret {
		if slices.Contains(offered, method) {
			return method, nil
		}
	}
	return "", settingsErrorf("the provider offers the client authentication methods %s, of which none works with a client_secret; configure client_auth",
		clip(strings.Join(offered, ", ")))
}

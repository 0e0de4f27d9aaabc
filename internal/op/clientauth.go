package op

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Need is what a client authentication method cannot do without.
type Need int

// What there is to need.
const (
	NeedsNothing Need = iota
	NeedsSecret
	NeedsKey         // a private key of ours, see ParseClientKeys
	NeedsCertificate // in the TLS configuration of the Remote
	NeedsFile        // with an assertion that the platform keeps
)

// proof is what a method has to prove with. Each takes what it needs.
type proof struct {
	clientID, secret string
	key              *ClientKey
	audience         string   // of assertions
	algs             []string // which the provider takes for them; empty: unknown
	now              func() time.Time
	// platform returns the assertion that the platform keeps.
	platform func() (string, error)
	// endpoint is what the request goes to; tokens, whether it is the token endpoint.
	endpoint *url.URL
	tokens   bool
}

// clientAuth proves to the provider that a request on a back channel is ours
// (RFC 6749 2.3). It is asked again for every request.
type clientAuth func(p *proof, header http.Header, form url.Values) error

// clientAuths is the one list of methods (OpenID Connect Core 9, RFC 8705 2).
// A new one is a line here and the function that it names.
var clientAuths = map[string]struct {
	prove clientAuth
	needs Need
	// asserts: it signs a statement, which is addressed to an audience.
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

// MTLS is the method that proves by the certificate of the connection, one of
// an authority or one that we signed ourselves (RFC 8705 2.1, 2.2). The request
// only says whose certificate it is.
const MTLS = "tls_client_auth"

// basic encodes both parts before they are joined, so that a colon or a
// percent sign in a secret is not mistaken for ours (RFC 6749 2.3.1).
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

// AuthMethods are the names of the client authentication methods.
func AuthMethods() []string {
	names := make([]string, 0, len(clientAuths))
	for name := range clientAuths {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// AuthMethod says what a method needs, and whether it signs assertions; ok,
// whether there is such a method.
func AuthMethod(name string) (needs Need, asserts, ok bool) {
	method, ok := clientAuths[name]
	return method.needs, method.asserts, ok
}

// bySecret are the methods of a client that has a secret and no configured method, so that it is open which
// to use, best known first.
var bySecret = []string{"client_secret_basic", "client_secret_post", "client_secret_jwt"}

// chooseAuth returns the method: the configured one, else none for a client
// without a secret, else what the metadata offers, basic first, which is also
// what a provider offers that lists nothing (Discovery 3). It is never found
// out by trying: a code that was sent once is spent. Methods with a key or a
// certificate are always configured.
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

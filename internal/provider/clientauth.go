package provider

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// clientAuth proves to the provider that a request on a back channel is ours
// (RFC 6749 2.3). It is asked anew for every request.
type clientAuth func(header http.Header, form url.Values, clientID, secret string)

// clientAuths is the one list of methods (OpenID Connect Core 9).
var clientAuths = map[string]struct {
	prove       clientAuth
	needsSecret bool
}{
	"client_secret_basic": {basic, true},
	"client_secret_post":  {post, true},
	"none":                {none, false},
}

// basic encodes both parts before they are joined, so that a colon or a
// percent sign in a secret is not mistaken for ours (RFC 6749 2.3.1).
func basic(header http.Header, form url.Values, clientID, secret string) {
	form.Del("client_id")
	request := http.Request{Header: header}
	request.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(secret))
}

func post(_ http.Header, form url.Values, clientID, secret string) {
	form.Set("client_id", clientID)
	form.Set("client_secret", secret)
}

func none(_ http.Header, form url.Values, clientID, _ string) {
	form.Set("client_id", clientID)
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

// AuthMethodNeedsSecret says whether a method needs the client secret; ok,
// whether there is such a method.
func AuthMethodNeedsSecret(name string) (needs, ok bool) {
	method, ok := clientAuths[name]
	return method.needsSecret, ok
}

// chooseAuth returns the method: the configured one, else none for a client
// without a secret, else what the metadata offers, basic first, which is also
// what a provider offers that lists nothing (Discovery 3). It is never found
// out by trying: a code that was sent once is spent.
func chooseAuth(configured string, hasSecret bool, offered []string) (string, error) {
	switch {
	case configured != "":
		return configured, nil
	case !hasSecret:
		return "none", nil
	case len(offered) == 0 || slices.Contains(offered, "client_secret_basic"):
		return "client_secret_basic", nil
	case slices.Contains(offered, "client_secret_post"):
		return "client_secret_post", nil
	}
	return "", fmt.Errorf("the provider offers the client authentication methods %s, of which none is known here; configure client_auth",
		clip(strings.Join(offered, ", ")))
}

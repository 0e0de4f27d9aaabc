package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A fakeFAPI is a module of the FAPI 2.0 plans. Its provider is the scripted one of the
// plugin's own tests, which checks pushed requests, PKCE, client authentication, request
// objects, and proofs with their nonces. What that provider does not check is checked
// here: certificates, the endpoint aliases for them, and algorithms.
type fakeFAPI struct {
	op   *oidctest.Provider
	last int // the last step that may happen, 0 for all
	// certificate is the client's, in DER. It is required for client authentication by
	// TLS, and where tokens are bound to it.
	certificate            []byte
	authByTLS, boundByTLS  bool
	signedResponse, nonces bool
}

// fapiSteps are the steps of a login, by the path of each endpoint. The keys may be read
// at any time.
var fapiSteps = map[string]int{
	".well-known/openid-configuration": stepDiscovery, "par": stepPush, "authorize": stepAuthorize, "token": stepToken, "userinfo": stepUserinfo,
}

const (
	stepDiscovery = iota + 1
	stepPush
	stepAuthorize
	stepToken
	stepUserinfo
)

// newFakeFAPI returns the provider of a module, in the variant of its plan.
func newFakeFAPI(f *fakeSuite, p *fakePlan, name string) (*fakeFAPI, error) {
	block, _ := pem.Decode([]byte(p.text("certificate")))
	if block == nil {
		return nil, errors.New("no certificate is registered")
	}
	x := &fakeFAPI{
		last: fapiFlawsOf(p)[name].last, certificate: block.Bytes,
		authByTLS: p.variant["client_auth_type"] == "mtls", boundByTLS: p.variant["sender_constrain"] == "mtls",
		signedResponse: p.variant["fapi_response_mode"] == "jarm",
	}
	key, err := registeredKey(p.client)
	if err != nil {
		return nil, err
	}
	client := oidctest.Client{ID: clientID, Auth: "private_key_jwt", Key: key.Key, RequestKey: key.Key, RedirectURIs: []string{p.text("redirect_uri")}}
	if x.authByTLS {
		client.Auth, client.Key, client.Certificate = "tls_client_auth", nil, x.certificate
	}
	options := []oidctest.Option{
		oidctest.InMemory(), oidctest.Host(strings.TrimPrefix(f.server.URL, "https://")), oidctest.Path("/test/a/" + p.alias + "/"),
		oidctest.Alg("PS256"), oidctest.PushedRequests(), oidctest.WithClient(client), oidctest.Lenient(),
	}
	if p.variant["sender_constrain"] == "dpop" {
		options = append(options, oidctest.BoundTokens())
		if x.nonces = name != "happy-path-no-dpop-nonce"; x.nonces {
			options = append(options, oidctest.ProofNonces())
		}
	}
	if p.variant["fapi_request_method"] == "signed_non_repudiation" {
		options = append(options, oidctest.RequireRequestObjects())
	}
	if x.signedResponse {
		options = append(options, oidctest.SignedResponses())
	}
	x.op = oidctest.New(f.t, options...)
	x.op.Lie(func(l *oidctest.Faults) {
		l.Discovery = func(metadata map[string]any) {
			delete(metadata, "require_signed_request_object") // hidden from a client that sends none
			if x.boundByTLS {
				nameAliases(metadata)
			}
		}
	})
	if lie := fapiFlawsOf(p)[name].lie; lie != nil {
		x.op.Lie(lie)
	}
	return x, nil
}

// mtlsEndpoints are the endpoints for which the suite has aliases for certificates, by
// their names in the metadata.
var mtlsEndpoints = []string{"token_endpoint", "userinfo_endpoint", "pushed_authorization_request_endpoint"}

func nameAliases(metadata map[string]any) {
	aliases := map[string]any{}
	for _, name := range mtlsEndpoints {
		aliases[name] = strings.Replace(metadata[name].(string), "/test/a/", "/test-mtls/a/", 1)
	}
	metadata["mtls_endpoint_aliases"] = aliases
}

// An answered is a response writer that remembers the status.
type answered struct {
	http.ResponseWriter
	status int
}

func (w *answered) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *answered) good() bool { return w.status >= 200 && w.status < 400 }

// serveFAPI serves a request to the provider of a FAPI 2.0 module.
func (r *fakeRun) serveFAPI(w http.ResponseWriter, q *http.Request, path string) {
	x := r.fapi
	step := fapiSteps[path]
	if x.last > 0 && step > x.last {
		r.fault(w, "TestModule", "The client is not expected to send a request to %s for this test", path)
		return
	}
	if err := x.checkConnection(q, step); err != nil {
		r.fault(w, "ValidateClientCertificate", "%s: %v", path, err)
		return
	}
	q.URL.Path = strings.Replace(q.URL.Path, "/test-mtls/", "/test/", 1)
	to := &answered{w, http.StatusOK}
	x.op.ServeHTTP(to, q)
	for _, violation := range x.op.TakeViolations() {
		r.fail("CheckRequest", "%s", violation)
	}
	if err := x.checkAlgorithms(step); err != nil {
		r.fail("ValidateSignatures", "%s: %v", path, err)
	}
	switch {
	case r.status != statusWaiting || !to.good():
	case step == stepAuthorize && x.signedResponse != isSigned(w.Header().Get("Location")):
		r.fail("CheckResponseMode", "signed: expected %t, seen %t", x.signedResponse, !x.signedResponse)
	case step == stepUserinfo:
		if err := x.checkRounds(); err != nil {
			r.fail("CheckDpopNonces", "%v", err)
			return
		}
		r.finish(passed)
	case step == x.last:
		r.expectNothing(passed)
	}
}

func isSigned(location string) bool { return strings.Contains(location, "?response=") }

// checkConnection returns what is wrong with a request's connection. The client must
// present its certificate where one is required, and use the aliases exactly if tokens
// are bound to it.
func (x *fakeFAPI) checkConnection(q *http.Request, step int) error {
	backChannel := step == stepPush || step == stepToken || step == stepUserinfo
	if !backChannel {
		return nil
	}
	if alias := strings.HasPrefix(q.URL.Path, "/test-mtls/"); alias != x.boundByTLS {
		return fmt.Errorf("the address is one of mtls_endpoint_aliases: expected %t, seen %t", x.boundByTLS, alias)
	}
	wanted := x.boundByTLS || x.authByTLS && step != stepUserinfo
	if wanted && (len(q.TLS.PeerCertificates) == 0 || !bytes.Equal(q.TLS.PeerCertificates[0].Raw, x.certificate)) {
		return errors.New("the registered certificate is not presented")
	}
	return nil
}

// checkAlgorithms returns what is wrong with the signature of a client assertion. FAPI
// 2.0 Security Profile 5.4.1 does not allow RS256. The provider checks request objects.
func (x *fakeFAPI) checkAlgorithms(step int) error {
	at := map[int]oidctest.Endpoint{stepPush: oidctest.PushedRequest, stepToken: oidctest.Token}[step]
	if at == oidctest.Elsewhere || x.authByTLS {
		return nil
	}
	_, err := jose.ParseSignedCompact(x.op.Last(at).Form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.PS256, jose.ES256, jose.EdDSA})
	return err
}

// checkRounds returns an error unless each endpoint got exactly the requests that nonces
// require: the first proof at an endpoint has no nonce, and the second has the one from
// the response.
func (x *fakeFAPI) checkRounds() error {
	expected := 1
	if x.nonces {
		expected = 2
	}
	for _, at := range []oidctest.Endpoint{oidctest.PushedRequest, oidctest.Token, oidctest.UserInfo} {
		if seen := x.op.Hits(at); seen != expected {
			return fmt.Errorf("requests to the %s endpoint: expected %d, seen %d", at, expected, seen)
		}
	}
	return nil
}

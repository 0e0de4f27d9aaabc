package integration_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// requestKey registers a key for request objects at the provider, and returns the option
// for it.
func requestKey(t *testing.T, op *oidctest.Provider, key crypto.Signer) string {
	op.SetClient(func(c *oidctest.Client) { c.RequestKey = key.Public() })
	return "client_keys " + keyFile(t, key)
}

// fullRequest has every kind of parameter that is not a string in a request object.
const fullRequest = `
authorization_params {
	max_age 3600
	claims ` + "`" + `{"id_token": {"email": {"essential": true}}}` + "`" + `
	resource https://a.example https://b.example
	prompt login
}
`

func TestASignedRequestIsAllThatTheProviderSees(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	succeeds(required{t}, "the key", err)
	for name, key := range map[string]crypto.Signer{"EC": ecKey(), "RSA": must(rsa.GenerateKey(rand.Reader, 2048)), "Ed25519": ed} {
		for _, pushed := range []bool{false, true} {
			for _, object := range []string{"signed", "encrypted"} {
				what := name + " " + object
				opts := []oidctest.Option{oidctest.RequireRequestObjects()}
				if object == "encrypted" {
					opts = []oidctest.Option{oidctest.RequireEncryptedRequestObjects()}
				}
				if pushed {
					opts, what = append(opts, oidctest.PushedRequests()), what+" pushed"
				}
				op := newOP(t, opts...)
				r := newHarness(t, protectedBy(op, requestKey(t, op, key), "request_object "+object, fullRequest))
				w := r.witness(op, rpURL)
				check(t, w.walk("/page"), what).status(http.StatusOK).body("application sees alice")
				sent := op.Last(oidctest.Authorize).Query
				names, object := "client_id request response_type scope", sent.Get("request")
				if pushed {
					names, object = "client_id request_uri", op.Last(oidctest.PushedRequest).Form.Get("request")
				}
				equal(t, what+": what the browser carries", strings.Join(sortedKeys(sent), " "), names)
				differs(t, what+": the request object", object, "")
				lacks(t, what+": the log", r.logs(), object)
				r.holdLogs(op, w)
			}
		}
	}
}

func TestRequestsAreSignedByTheKeyOfTheMethodOrByTheSecret(t *testing.T) {
	t.Parallel()
	key := ecKey()
	for name, tc := range map[string]struct {
		client oidctest.Client
		lines  string
	}{
		"private_key_jwt": {oidctest.Client{ID: "rp", Auth: "private_key_jwt", Key: key.Public()}, "client_auth private_key_jwt " + keyFile(t, key)},
		"the secret":      {oidctest.Client{ID: "rp", Auth: "client_secret_basic", Secret: strings.Repeat("s", 32)}, "client_secret " + strings.Repeat("s", 32)},
	} {
		op := newOP(t, oidctest.RequireRequestObjects(), oidctest.WithClient(tc.client))
		r := provesAs(t, op, tc.lines+"\nrequest_object signed")
		check(t, r.browser().open("/page"), name).status(http.StatusOK).body("application sees alice")
	}
}

func TestSignedBothWays(t *testing.T) {
	t.Parallel()
	for _, pushed := range []bool{false, true} {
		for _, mode := range []string{"jwt", "form_post.jwt"} {
			opts := []oidctest.Option{oidctest.RequireEncryptedRequestObjects(), oidctest.SignedResponses()}
			if pushed {
				opts = append(opts, oidctest.PushedRequests())
			}
			op := newOP(t, opts...)
			lines := []string{requestKey(t, op, ecKey()), "request_object encrypted", encrypting(t, op), "response_mode " + mode}
			r := newHarness(t, protectedBy(op, lines...))
			b := r.browser()
			var p *visited
			if mode == "jwt" {
				p = b.open("/page")
			} else {
				first := b.get("/page")
				login := &posted{browser: b}
				for _, c := range first.Cookies() {
					if strings.Contains(c.Name, "_tx_") && c.MaxAge > 0 {
						login.begun = c
					}
				}
				login.action, login.params = oidctest.ParseFormPost([]byte(b.get(first.location()).body))
				p = b.open(login.submit().location())
			}
			check(t, p, mode).status(http.StatusOK).body("application sees alice")
			r.holdLogs(op)
		}
	}
}

func TestTheKeysOfRequestsArePublished(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.RequestObjects())
	key := ecKey()
	r := newHarness(t, protectedBy(op, requestKey(t, op, key), "request_object signed"))
	var set jose.JSONWebKeySet
	p := r.browser().get("/@app/auth/default/jwks")
	check(t, p).status(http.StatusOK)
	succeeds(required{t}, "the key set", json.Unmarshal([]byte(p.body), &set))
	equal(required{t}, "the number of keys", len(set.Keys), 1)
	equal(t, "use", set.Keys[0].Use, "sig")
	r.browser().open("/page")
	request := op.Last(oidctest.Authorize).Query.Get("request")
	jws, err := jose.ParseSignedCompact(request, []jose.SignatureAlgorithm{jose.ES256})
	succeeds(required{t}, "the request object", err)
	equal(t, "kid", jws.Signatures[0].Header.KeyID, set.Keys[0].KeyID)
	_, err = jws.Verify(set.Keys[0])
	succeeds(t, "the signature by the published key", err)
}

// If the configuration and the provider support no common way to sign or encrypt requests,
// the login fails before a redirect, and the log says what to do.
func TestRequestsThatCannotBeSignedAsTheProviderWantsThem(t *testing.T) {
	t.Parallel()
	metadata := func(name string, value any) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) {
			l.Discovery = func(m map[string]any) { m[name] = value }
		}
	}
	key := keyFile(t, ecKey())
	for name, tc := range map[string]struct {
		lie   func(*oidctest.Faults)
		lines string
		says  string
	}{
		"they are required, and not configured": {metadata("require_signed_request_object", true), "", "configure request_object signed"},
		"the algorithm is not taken": {metadata("request_object_signing_alg_values_supported", []string{"PS256"}),
			"client_keys " + key + "\nrequest_object signed", "takes request objects signed with PS256, and not with ES256"},
		"they are not taken by value": {metadata("request_parameter_supported", false),
			"client_keys " + key + "\nrequest_object signed", "takes no request objects by value"},
		"no algorithm for encryption in common": {metadata("request_object_encryption_alg_values_supported", []string{"RSA1_5"}),
			"client_keys " + key + "\nrequest_object encrypted", "no key of the provider for encryption fits"},
		"no content encryption in common": {metadata("request_object_encryption_enc_values_supported", []string{"A192GCM"}),
			"client_keys " + key + "\nrequest_object encrypted", "content encryption A192GCM"},
		"no key for encryption": {func(l *oidctest.Faults) {
			l.Keys.Publish = func(signing map[string]any, _ []any) []any { return []any{signing} }
		}, "client_keys " + key + "\nrequest_object encrypted", "the provider has no key for encryption"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, oidctest.RequestObjects())
			op.Lie(tc.lie)
			r := newHarness(t, protectedBy(op, tc.lines))
			b := r.browser()
			check(t, b.get("/page")).status(http.StatusServiceUnavailable)
			contains(t, "the log", r.logs(), tc.says)
			asked(t, op, oidctest.Authorize, 0)
			equal(t, "the number of cookies", len(b.cookies()), 0)
		})
	}
}

// If a request by value is too long for a URL, the log says what to do. A pushed request
// works.
func TestALongRequestHasToBePushed(t *testing.T) {
	t.Parallel()
	long := `
authorization_params {
	claims ` + "`" + `{"id_token": {"x": {"value": "` + strings.Repeat("x", 16<<10) + `"}}}` + "`" + `
}
`
	op := newOP(t, oidctest.RequireRequestObjects())
	r := newHarness(t, protectedBy(op, requestKey(t, op, ecKey()), "request_object signed", long))
	check(t, r.browser().get("/page")).status(http.StatusForbidden)
	contains(t, "the log", r.logs(), "configure pushed_authorization_request_endpoint")
	pushing := newOP(t, oidctest.RequireRequestObjects(), oidctest.PushedRequests())
	r = newHarness(t, protectedBy(pushing, requestKey(t, pushing, ecKey()), "request_object signed", long))
	check(t, r.browser().open("/page"), "pushed").body("application sees alice")
}

// The parameters of a login link are in the request object, like all others.
func TestALinkIsInTheRequestObject(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.RequireRequestObjects())
	r := newHarness(t, protectedBy(op, requestKey(t, op, ecKey()), "request_object signed", "forward_params login_hint"))
	p := r.browser().get("/@app/auth/default/login?returnto=/page&login_hint=alice&max_age=60")
	u, err := url.Parse(p.location())
	succeeds(required{t}, "the address", err)
	jws, err := jose.ParseSignedCompact(u.Query().Get("request"), []jose.SignatureAlgorithm{jose.ES256})
	succeeds(required{t}, "the request object", err)
	var members map[string]any
	succeeds(required{t}, "its members", json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &members))
	equal(t, "login_hint", members["login_hint"], any("alice"))
	equal(t, "max_age", members["max_age"], any(60.0))
}

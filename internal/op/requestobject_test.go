package op

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// requesting returns a client that signs its requests with the named test keys.
func requesting(t testing.TB, object string, names ...string) *Client {
	t.Helper()
	c := tokenClient(t)
	var own OwnKeys
	for _, name := range names {
		keys, err := ParseClientKeys([]byte(keyPEM(t, name, "PRIVATE KEY")))
		if err != nil {
			t.Fatal(err)
		}
		own.Signing = append(own.Signing, keys...)
	}
	c.RequestObject, c.Keys = object, func() OwnKeys { return own }
	return c
}

var aLogin = Login{State: "the-state", Nonce: "the-nonce", Verifier: "the-verifier-of-this-login-0123456789-0123456789", RedirectURI: "https://rp.example/code"}

// openRequest returns the header and the members of a request object.
func openRequest(t *testing.T, object string, key any, alg jose.SignatureAlgorithm) (jose.Header, object) {
	t.Helper()
	jws, err := jose.ParseSignedCompact(object, []jose.SignatureAlgorithm{alg})
	if err != nil {
		t.Fatalf("expected a JWT signed with %s, seen the error %v", alg, err)
	}
	payload, err := jws.Verify(key)
	if err != nil {
		t.Fatalf("expected a good signature, seen the error %v", err)
	}
	claims, err := parseObject(payload)
	if err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Protected, claims
}

func TestARequestIsAJWTByValue(t *testing.T) {
	t.Parallel()
	c := requesting(t, RequestSigned, "p256-b")
	c.Scopes, c.ResponseMode = []string{"email"}, "query.jwt"
	c.Parameters = url.Values{
		"resource": {"https://a.example", "https://b.example"}, "claims": {`{"id_token":{"acr":{"essential":true}}}`},
		"authorization_details": {`[{"type":"a"}]`}, "prompt": {"login"}, "iss": {"someone else"}, "aud": {"elsewhere"},
	}
	maxAge := time.Hour
	login := aLogin
	login.Demands = Demands{Proof: Proof{MaxAge: &maxAge}}
	address, err := c.AuthorizationURL(t.Context(), login, url.Values{"ui_locales": {"de"}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	outside := u.Query()
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range outside {
			if !yield(name) {
				return
			}
		}
	})
	if want := []string{"client_id", "request", "response_type", "scope"}; !slices.Equal(names, want) {
		t.Errorf("outside of the request object: expected %q, seen %q", want, names)
	}
	header, claims := openRequest(t, outside.Get("request"), testKeys()["p256-b"].Public(), jose.ES256)
	if typ := header.ExtraHeaders["typ"]; typ != "oauth-authz-req+jwt" {
		t.Errorf("typ: expected oauth-authz-req+jwt, seen %v", typ)
	}
	if kid := c.ownKeys().Signing[0].Public().KeyID; header.KeyID != kid {
		t.Errorf("kid: expected %q, seen %q", kid, header.KeyID)
	}
	for name, want := range map[string]string{
		"iss": `"rp"`, "aud": `"https://op.example"`, "iat": "1800000000", "nbf": "1800000000", "exp": "1800000300",
		"client_id": `"rp"`, "response_type": `"code"`, "scope": `"openid email"`, "redirect_uri": `"https://rp.example/code"`,
		"state": `"the-state"`, "nonce": `"the-nonce"`, "code_challenge_method": `"S256"`, "response_mode": `"query.jwt"`,
		"resource": `["https://a.example","https://b.example"]`, "claims": `{"id_token":{"acr":{"essential":true}}}`,
		"authorization_details": `[{"type":"a"}]`, "prompt": `"login"`, "ui_locales": `"de"`, "max_age": "3600",
	} {
		if seen := string(claims[name]); seen != want {
			t.Errorf("%s: expected %s, seen %s", name, want, seen)
		}
	}
	if id, err := claims.text("jti"); len(id) < 22 || err != nil {
		t.Errorf("jti: expected one that no one guesses, seen %q, %v", id, err)
	}
	if !claims.has("code_challenge") {
		t.Error("expected a code_challenge, seen none")
	}
	for _, name := range []string{"request", "request_uri", "sub"} {
		if claims.has(name) {
			t.Errorf("expected no %s, seen one", name)
		}
	}
}

func TestWhatSignsARequest(t *testing.T) {
	t.Parallel()
	secret := func(text string) func() (string, error) { return func() (string, error) { return text, nil } }
	for name, tc := range map[string]struct {
		key    string
		secret func() (string, error)
		taken  []string
		want   jose.SignatureAlgorithm
		flaw   string
	}{
		"an RSA key":                                      {"rsa", nil, nil, jose.RS256, ""},
		"an RSA key where RS256 is taken":                 {"rsa", nil, []string{"PS256", "RS256"}, jose.RS256, ""},
		"an RSA key where only PS256 is taken":            {"rsa", nil, []string{"ES256", "PS256"}, jose.PS256, ""},
		"an EC key":                                       {"p256", nil, []string{"PS256", "ES256"}, jose.ES256, ""},
		"an Ed25519 key by its new name":                  {"ed25519", nil, []string{"Ed25519"}, "Ed25519", ""},
		"an EC key where it is not taken":                 {"p256", nil, []string{"PS256"}, "", "the provider takes request objects signed with PS256, and not with ES256"},
		"a key and a secret":                              {"p256", secret(strings.Repeat("s", 32)), nil, jose.ES256, ""},
		"a secret":                                        {"", secret(strings.Repeat("s", 32)), []string{"HS256"}, jose.HS256, ""},
		"a secret that is short":                          {"", secret("short"), nil, "", "a client_secret of at least 32 bytes"},
		"neither a key nor a secret":                      {"", nil, nil, "", "needs client_keys"},
		"a secret where only asymmetric ones are taken":   {"", secret(strings.Repeat("s", 32)), []string{"PS256"}, "", "and not with HS256"},
		"an algorithm list that is hostile and very long": {"p256", nil, []string{strings.Repeat("x\n", 1000)}, "", "and not with ES256"},
	} {
		var names []string
		if tc.key != "" {
			names = append(names, tc.key)
		}
		c := requesting(t, RequestSigned, names...)
		c.Secret = tc.secret
		key, err := c.requestKey(&Metadata{Requests: RequestMetadata{Algs: tc.taken}})
		if !failsWith(err, tc.flaw) {
			t.Errorf("%s: expected the error %q, seen %v", name, tc.flaw, err)
			continue
		}
		if err == nil && key.Algorithm != tc.want {
			t.Errorf("%s: expected %s, seen %s", name, tc.want, key.Algorithm)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%s: expected a short error, seen one of %d bytes", name, len(err.Error()))
		}
	}
}

func TestWhatARequestIsEncryptedTo(t *testing.T) {
	t.Parallel()
	of := func(name, more string) string { return member(t, name, more) }
	for name, tc := range map[string]struct {
		document          []byte
		keyAlgs, contents []string
		alg               jose.KeyAlgorithm
		enc               jose.ContentEncryption
		kid               string
		flaw              string
	}{
		"an EC key, and no list":                 {keySetOf(of("p256", `"use":"enc"`)), nil, nil, jose.ECDH_ES_A256KW, jose.A128CBC_HS256, "p256", ""},
		"an EC key, and lists":                   {keySetOf(of("p384", `"use":"enc"`)), []string{"RSA1_5", "ECDH-ES"}, []string{"A128CBC-HS256", "A128GCM"}, jose.ECDH_ES, jose.A128GCM, "p384", ""},
		"an RSA key":                             {keySetOf(of("rsa", `"use":"enc"`)), []string{"RSA1_5", "RSA-OAEP", "RSA-OAEP-256"}, []string{"A256GCM"}, jose.RSA_OAEP_256, jose.A256GCM, "rsa", ""},
		"a key that is bound to one algorithm":   {keySetOf(of("p256", `"use":"enc","alg":"ECDH-ES+A128KW"`)), nil, nil, jose.ECDH_ES_A128KW, jose.A128CBC_HS256, "p256", ""},
		"one for encryption after one for all":   {keySetOf(of("p256", ""), of("p521", `"use":"enc"`)), nil, nil, jose.ECDH_ES_A256KW, jose.A128CBC_HS256, "p521", ""},
		"one by its key_ops":                     {keySetOf(of("p256", `"key_ops":["deriveKey"]`)), nil, nil, jose.ECDH_ES_A256KW, jose.A128CBC_HS256, "p256", ""},
		"one for signatures":                     {keySetOf(of("p256", `"use":"sig"`)), nil, nil, "", "", "", "has no key for encryption"},
		"one for signatures by its key_ops":      {keySetOf(of("p256", `"key_ops":["verify"]`)), nil, nil, "", "", "", "has no key for encryption"},
		"one for RSA1_5 alone":                   {keySetOf(of("rsa", `"use":"enc","alg":"RSA1_5"`)), nil, nil, "", "", "", "has no key for encryption"},
		"a weak one":                             {keySetOf(of("rsa-weak", `"use":"enc"`)), nil, nil, "", "", "", "has no key for encryption"},
		"one of another kind":                    {keySetOf(of("ed25519", `"use":"enc"`)), nil, nil, "", "", "", "has no key for encryption"},
		"a private one":                          {keySetOf(privateMember(t, "p256")), nil, nil, "", "", "", "has no key for encryption"},
		"nothing":                                {[]byte("{}"), nil, nil, "", "", "", "has no key for encryption"},
		"no JSON":                                {nil, nil, nil, "", "", "", "has no key for encryption"},
		"algorithms that are not accepted":       {keySetOf(of("rsa", `"use":"enc"`)), []string{"RSA1_5", "dir"}, nil, "", "", "", "no key of the provider for encryption fits"},
		"a content encryption that is not known": {keySetOf(of("rsa", `"use":"enc"`)), nil, []string{"A192GCM"}, "", "", "", "content encryption A192GCM"},
	} {
		recipient, err := chooseRecipient(parseEncryptionKeys(tc.document), tc.keyAlgs)
		var content jose.ContentEncryption
		if err == nil {
			content, err = chooseContent(tc.contents)
		}
		switch {
		case !failsWith(err, tc.flaw):
			t.Errorf("%s: expected the error %q, seen %v", name, tc.flaw, err)
		case err == nil && recipient.Algorithm != tc.alg:
			t.Errorf("%s: expected the algorithm %s, seen %s", name, tc.alg, recipient.Algorithm)
		case err == nil && content != tc.enc:
			t.Errorf("%s: expected the content encryption %s, seen %s", name, tc.enc, content)
		case err == nil && recipient.KeyID != tc.kid:
			t.Errorf("%s: expected the key %s, seen %s", name, tc.kid, recipient.KeyID)
		}
	}
}

func TestAnEncryptedRequestIsSignedInside(t *testing.T) {
	t.Parallel()
	for name, alg := range map[string]jose.KeyAlgorithm{"rsa": jose.RSA_OAEP_256, "p384": jose.ECDH_ES_A256KW} {
		c := requesting(t, RequestEncrypted, "p256-b")
		c.Discovery.keys = newStaticKeySet(keySetOf(member(t, "p256", `"use":"sig"`), member(t, name, `"use":"enc"`)))
		address, err := c.AuthorizationURL(t.Context(), aLogin, nil)
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(address)
		jwe, err := jose.ParseEncryptedCompact(u.Query().Get("request"), []jose.KeyAlgorithm{alg}, []jose.ContentEncryption{jose.A128CBC_HS256})
		if err != nil {
			t.Fatalf("%s: expected a JWE with %s, seen the error %v", name, alg, err)
		}
		if cty := jwe.Header.ExtraHeaders["cty"]; cty != "JWT" {
			t.Errorf("%s: cty: expected JWT, seen %v", name, cty)
		}
		inner, err := jwe.Decrypt(testKeys()[name])
		if err != nil {
			t.Fatal(err)
		}
		if _, claims := openRequest(t, string(inner), testKeys()["p256-b"].Public(), jose.ES256); string(claims["state"]) != `"the-state"` {
			t.Errorf("%s: state: expected the-state, seen %s", name, claims["state"])
		}
	}
}

// reader is a provider that decrypts requests with one key. When it replaces the key, it
// does not keep the old one.
type reader struct {
	client  *Client
	now     time.Time
	key     string // for encryption; empty if there is none
	fetched int
	pushed  int
}

// newReader returns a provider that accepts pushed requests, with a client that encrypts
// them.
func newReader(t *testing.T, key string) *reader {
	t.Helper()
	r := &reader{now: time.Unix(1_700_000_000, 0), key: key}
	op := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.pushed++
		jwe, err := jose.ParseEncryptedCompact(request.FormValue("request"), keyManagement, contentAlgs)
		if err == nil {
			_, err = jwe.Decrypt(testKeys()[r.key])
		}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_request_object","error_description":"cannot be decrypted"}`)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"request_uri":"urn:example:1","expires_in":60}`)
	}))
	t.Cleanup(op.Close)
	r.client = requesting(t, RequestEncrypted, "p256-b")
	r.client.Discovery = NewDiscovery(DiscoveryConfig{
		Issuer: "https://op.example", Timeout: 10 * time.Second, Now: func() time.Time { return r.now },
		Endpoints: Endpoints{Authorization: "https://op.example/a", Token: "https://op.example/t", JWKS: "https://op.example/k", Pushed: op.URL},
	})
	t.Cleanup(r.client.Discovery.Close)
	r.client.Discovery.keys = newKeySet(func(context.Context) ([]byte, error) {
		r.fetched++
		if r.key == "" {
			return keySetOf(member(t, "p384", `"use":"sig"`)), nil
		}
		return keySetOf(member(t, "p384", `"use":"sig"`), member(t, r.key, `"use":"enc"`)), nil
	}, func() time.Time { return r.now })
	return r
}

// expect makes a login, and checks the number of requests for it.
func (r *reader) expect(t *testing.T, flaw string, fetched, pushed int) {
	t.Helper()
	r.fetched, r.pushed = 0, 0
	if _, err := r.client.AuthorizationURL(t.Context(), aLogin, nil); !failsWith(err, flaw) {
		t.Errorf("expected the error %q, seen %v", flaw, err)
	}
	if r.fetched != fetched {
		t.Errorf("expected %d requests for keys, seen %d", fetched, r.fetched)
	}
	if r.pushed != pushed {
		t.Errorf("expected %d pushed requests, seen %d", pushed, r.pushed)
	}
}

// Logins need not wait until the keys in memory expire.
func TestAProviderReplacesItsKeyForEncryption(t *testing.T) {
	t.Parallel()
	r := newReader(t, "p256")
	r.expect(t, "", 1, 1)
	r.key = "rsa"
	r.expect(t, "", 1, 2)
	r.expect(t, "", 0, 1)
	r.key = ""
	r.expect(t, "has no key for encryption", 2, 1) // one fetch after the old key was refused, and another after that
	r.now = r.now.Add(time.Minute)
	r.key = "p256"
	r.expect(t, "", 1, 1)
}

// If a provider refuses every request, the client fetches keys no more often than strangers
// may cause it to.
func TestARequestThatIsRefusedForGood(t *testing.T) {
	t.Parallel()
	r := newReader(t, "p256")
	r.expect(t, "", 1, 1)
	r.client.Discovery.keys.fetch = func(context.Context) ([]byte, error) {
		r.fetched++
		return keySetOf(member(t, "p521", `"use":"enc"`), member(t, "p384", `"use":"sig"`)), nil
	}
	r.key = "rsa"
	for range looks {
		r.expect(t, "invalid_request_object", 1, 2)
	}
	r.expect(t, "invalid_request_object", 0, 1)
}

// If the provider reports the refusal through the browser, the keys are fetched again for
// the next login.
func TestARefusedRequestHasKeysLookedAt(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{"invalid_request_object": 1, "access_denied": 0} {
		r := newReader(t, "p256")
		r.expect(t, "", 1, 1)
		r.fetched = 0
		r.client.NoteRefusedRequest(t.Context(), code)
		if r.fetched != want {
			t.Errorf("%s: expected %d requests for keys, seen %d", code, want, r.fetched)
		}
	}
}

func TestARequestThatIsTooLongForABrowser(t *testing.T) {
	t.Parallel()
	c := requesting(t, RequestSigned, "p256-b")
	claims, _ := json.Marshal(map[string]any{"id_token": map[string]any{"a": map[string]any{"value": strings.Repeat("x", maxRequestAddress)}}})
	c.Parameters = url.Values{"claims": {string(claims)}}
	if _, err := c.AuthorizationURL(t.Context(), aLogin, nil); !failsWith(err, "configure pushed_authorization_request_endpoint") {
		t.Errorf("expected an error that names pushed requests, seen %v", err)
	}
	c.Parameters = url.Values{"claims": {string(claims[:len(claims)/4])}}
	if _, err := c.AuthorizationURL(t.Context(), aLogin, nil); err != nil {
		t.Errorf("a shorter one: expected no error, seen %v", err)
	}
}

func TestProvidersAndSignedRequests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		object   string
		metadata RequestMetadata
		pushed   bool
		flaw     string
	}{
		"nothing is said":                          {"", RequestMetadata{}, false, ""},
		"they are required, and made":              {RequestSigned, RequestMetadata{Required: true}, false, ""},
		"they are required, and not made":          {"", RequestMetadata{Required: true}, false, "configure request_object signed"},
		"they are required and pushed, unsigned":   {"", RequestMetadata{Required: true}, true, "configure request_object signed"},
		"the parameter is not supported":           {RequestSigned, RequestMetadata{NotByValue: true}, false, "request_parameter_supported is false"},
		"the parameter is not supported, and none": {"", RequestMetadata{NotByValue: true}, false, ""},
		"they are pushed":                          {RequestSigned, RequestMetadata{NotByValue: true}, true, ""},
	} {
		c := requesting(t, tc.object, "p256")
		if err := c.CheckRequestObject(&Metadata{Requests: tc.metadata, Pushed: tc.pushed}); !failsWith(err, tc.flaw) {
			t.Errorf("%s: expected the error %q, seen %v", name, tc.flaw, err)
		}
	}
}

func TestARequestForManyTenantsIsForItsReader(t *testing.T) {
	t.Parallel()
	c := requesting(t, RequestSigned, "p256")
	metadata := &Metadata{Issuer: "https://op.example/" + TenantPart, Endpoints: Endpoints{Authorization: "https://op.example/a"}}
	text, err := c.requestObject(context.Background(), metadata, url.Values{"state": {"s"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, claims := openRequest(t, text, testKeys()["p256"].Public(), jose.ES256); string(claims["aud"]) != `"https://op.example/a"` {
		t.Errorf("aud: expected the authorization endpoint, seen %s", claims["aud"])
	}
}

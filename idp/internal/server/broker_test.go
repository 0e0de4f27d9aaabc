package server

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml/logger"
	"github.com/crewjam/saml/samlidp"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
)

// The tests below sign in at external providers, from the application to its tokens: a
// scripted OpenID provider, and the SAML identity provider of crewjam/saml with its own
// login form.

// follow opens the address of an external provider and returns the address of the redirect
// back.
func (b *browser) follow() string {
	b.t.Helper()
	location := b.header.Get("Location")
	if !strings.HasPrefix(location, "http://127.0.0.1") {
		b.t.Fatalf("expected to be sent to the external provider, seen %d %q: %.2000s", b.status, location, b.body)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(location)
	if err != nil {
		b.t.Fatal(err)
	}
	response.Body.Close()
	return strings.TrimPrefix(response.Header.Get("Location"), issuer)
}

func externalOIDC(t *testing.T, change func(*broker.Config)) (*node, *oidctest.Provider) {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := oidctest.New(t, oidctest.Now(func() time.Time { return now }))
	p.Register(issuer + "/external/corp/callback")
	c := broker.Config{
		ID: "corp", Name: "Corp", Domains: []string{"example.com"},
		OIDC: &opconfig.Options{Issuer: p.Issuer(), ClientID: p.Client().ID, ClientSecret: p.Client().Secret},
	}
	change(&c)
	return newNode(t, func(o *Options) { o.Externals = []broker.Config{c} }), p
}

func TestABrokeredSignIn(t *testing.T) {
	t.Parallel()
	n, _ := externalOIDC(t, func(c *broker.Config) { c.Create, c.Groups = true, []string{"staff"} })
	b := n.browser()
	b.authorize("scope", "openid profile email groups").expect("Corp").submit("external", "corp")
	claims := b.get(b.follow()).claims()
	for name, want := range map[string]any{"acr": sso.ACRExternal, "preferred_username": "corp/alice"} {
		if claims[name] != want {
			t.Errorf("expected %s %v, seen %v", name, want, claims[name])
		}
	}
	if amr, _ := json.Marshal(claims["amr"]); string(amr) != `["fed"]` {
		t.Errorf("expected amr fed, seen %s", amr)
	}
	first := claims["sub"]
	other := n.browser()
	other.authorize().submit("external", "corp")
	if seen := other.get(other.follow()).claims()["sub"]; seen != first {
		t.Errorf("expected the same account in another browser, seen %v and %v", first, seen)
	}
}

func TestAnAddressLeadsToItsExternalProvider(t *testing.T) {
	t.Parallel()
	n, p := externalOIDC(t, func(c *broker.Config) { c.Create = true })
	b := n.browser()
	b.authorize().submit("username", "someone@example.com")
	b.follow()
	last := p.Last(oidctest.Authorize)
	if seen := last.Params().Get("login_hint"); seen != "someone@example.com" {
		t.Errorf("expected the address as login_hint, seen %q", seen)
	}
}

func TestAnExternalUserWithoutAnAccount(t *testing.T) {
	t.Parallel()
	n, _ := externalOIDC(t, func(*broker.Config) {})
	b := n.browser()
	b.authorize().submit("external", "corp")
	b.get(b.follow())
	if b.status != http.StatusForbidden {
		t.Errorf("expected 403, seen %d", b.status)
	}
	if b.header.Get("Location") != "" {
		t.Errorf("expected no answer to the application, seen %s", b.header.Get("Location"))
	}
}

// An external account is linked to an existing account only after its user has signed in to
// that account in the same request.
func TestAnAccountIsJoinedByItsOwnSignIn(t *testing.T) {
	t.Parallel()
	n, _ := externalOIDC(t, func(c *broker.Config) { c.Link = broker.LinkVerifiedEmail })
	user, err := n.Accounts.Create(t.Context(), accounts.NewUser{Name: "alice", Email: "alice@example.com", EmailVerified: true, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	b := n.browser()
	b.authorize().submit("external", "corp")
	b.get(b.follow()).expect("Corp").submit("choice", "continue")
	if b.header.Get("Location") != "" {
		t.Fatalf("expected that the account is signed in to first, seen %s", b.header.Get("Location"))
	}
	if strings.Contains(b.body, `name="username"`) {
		b.submit("username", "alice")
	}
	if seen := b.submit("password", password).claims()["sub"]; seen != user.ID {
		t.Errorf("expected the user's own account, seen %v", seen)
	}
	other := n.browser()
	other.authorize().submit("external", "corp")
	if seen := other.get(other.follow()).claims()["sub"]; seen != user.ID {
		t.Errorf("expected that the external account leads to it now, seen %v", seen)
	}
}

// samlSite is a server whose external provider "partners" is samlidp.
type samlSite struct {
	*node
	idp    *httptest.Server
	client *http.Client // has the browser's cookies for idp
}

func newSAMLSite(t *testing.T, change func(*broker.Config)) *samlSite {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "partners"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(240 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := new(samlSite)
	var handler http.Handler
	s.idp = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(s.idp.Close)
	address, err := url.Parse(s.idp.URL)
	if err != nil {
		t.Fatal(err)
	}
	idp, err := samlidp.New(samlidp.Options{
		URL: *address, Key: key, Certificate: certificate, Store: &samlidp.MemoryStore{}, Clock: dsig.NewFakeClockAt(now), Logger: logger.DefaultLogger,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler = idp
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Jar: jar}
	c := broker.Config{ID: "partners", Name: "Partners", Create: true, Domains: []string{"partners.example"}, SAML: &broker.SAMLConfig{Metadata: s.idp.URL + "/metadata", IDPInitiated: "wiki"}}
	change(&c)
	s.node = newNode(t, func(o *Options) {
		o.Externals = []broker.Config{c}
		o.InitiateURL = func(client string) string {
			if client != "wiki" {
				return ""
			}
			return "https://wiki.example.net/login"
		}
	})
	s.register()
	return s
}

// register registers our metadata and a user at the identity provider.
func (s *samlSite) register() {
	s.t.Helper()
	metadata := s.browser().get("/saml/partners/metadata")
	if metadata.status != http.StatusOK {
		s.t.Fatalf("expected our metadata, seen %d %s", metadata.status, metadata.body)
	}
	s.put("/services/here", metadata.body)
	s.put("/users/alice", `{"name":"alice","password":"alice-pw","email":"alice@partners.example","common_name":"Alice Adams","given_name":"Alice","surname":"Adams"}`)
	s.put("/shortcuts/wiki", `{"service_provider":"`+s.Broker.SAMLEntityID("partners")+`","relay_state":"https://evil.example/"}`)
}

func (s *samlSite) put(path, body string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPut, s.idp.URL+path, bytes.NewBufferString(body))
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode >= 300 {
		s.t.Fatalf("PUT %s: %s", path, response.Status)
	}
}

var field = regexp.MustCompile(`<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"`)

// signInAt signs in at the identity provider, opens an address there, and returns the form
// that its page posts to us.
func (s *samlSite) signInAt(address string) url.Values {
	s.t.Helper()
	response, err := s.client.PostForm(s.idp.URL+"/login", url.Values{"user": {"alice"}, "password": {"alice-pw"}})
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	if response, err = s.client.Get(strings.TrimSuffix(address, "#")); err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	form := make(url.Values)
	for _, found := range field.FindAllStringSubmatch(string(text), -1) {
		form.Set(found[1], html.UnescapeString(found[2]))
	}
	if form.Get("SAMLResponse") == "" {
		s.t.Fatalf("expected a SAML response, seen %s %.1000s", response.Status, text)
	}
	return form
}

// post posts a response from the identity provider's site, so without our cookies. Then the
// browser follows the redirect.
func (b *browser) post(form url.Values) *browser {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, issuer+"/saml/partners/acs", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	location := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther {
		b.t.Fatalf("expected 303, seen %d: %.2000s\n%s", w.Code, w.Body, b.log)
	}
	return b.get(strings.TrimPrefix(location, issuer))
}

func TestASAMLSignInFromTheApplicationToItsTokens(t *testing.T) {
	t.Parallel()
	s := newSAMLSite(t, func(*broker.Config) {})
	b := s.browser()
	b.authorize("scope", "openid profile email").expect("Partners").submit("external", "partners")
	form := s.signInAt(b.header.Get("Location"))
	claims := b.post(form).claims()
	for name, want := range map[string]any{"acr": sso.ACRExternal, "preferred_username": "partners/alice", "auth_time": float64(s.clock.Now().Unix())} {
		if claims[name] != want {
			t.Errorf("expected %s %v, seen %v", name, want, claims[name])
		}
	}
	if document, err := base64.StdEncoding.DecodeString(form.Get("SAMLResponse")); err != nil || !bytes.Contains(document, []byte("EncryptedAssertion")) {
		t.Errorf("expected that the assertion was encrypted for our key, seen %v %.300s", err, document)
	}
	second := s.browser()
	second.authorize().submit("external", "partners")
	if seen := second.post(s.signInAt(second.header.Get("Location"))).claims()["sub"]; seen != claims["sub"] {
		t.Errorf("expected the same account, seen %v", seen)
	}
}

func TestASAMLSignInThatTheProviderBegins(t *testing.T) {
	t.Parallel()
	s := newSAMLSite(t, func(*broker.Config) {})
	initiate := "https://wiki.example.net/login?" + url.Values{"iss": {issuer}}.Encode()
	b := s.browser()
	b.post(s.signInAt(s.idp.URL+"/login/wiki")).expect("alice@partners.example").submit("choice", "continue")
	if seen := b.header.Get("Location"); seen != initiate {
		t.Fatalf("expected the application's own login at %s, seen %d %q: %.1000s", initiate, b.status, seen, b.body)
	}
	if seen := b.authorize("prompt", "none").claims()["preferred_username"]; seen != "partners/alice" {
		t.Errorf("expected to be signed in, seen %v", seen)
	}
	t.Run("the user who is signed in is not asked", func(t *testing.T) {
		b.post(s.signInAt(s.idp.URL + "/login/wiki"))
		if seen := b.header.Get("Location"); seen != initiate {
			t.Errorf("expected %s, seen %d %q", initiate, b.status, seen)
		}
	})
	t.Run("another user is not replaced silently", func(t *testing.T) {
		s.addUser("bob")
		other := s.browser()
		sub := other.signIn("bob").claims()["sub"]
		other.post(s.signInAt(s.idp.URL + "/login/wiki")).expect("bob")
		if seen := other.authorize("prompt", "none").claims()["sub"]; seen != sub {
			t.Errorf("before the answer: expected bob's session, seen %v", seen)
		}
	})
}

func TestASAMLUserWithoutAnAccount(t *testing.T) {
	t.Parallel()
	s := newSAMLSite(t, func(c *broker.Config) { c.Create = false })
	b := s.browser()
	b.authorize().submit("external", "partners")
	b.post(s.signInAt(b.header.Get("Location")))
	if b.status != http.StatusForbidden {
		t.Errorf("expected 403, seen %d", b.status)
	}
	for _, secret := range []string{"alice@partners.example", "alice-pw", "SAMLResponse"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("expected a log without %s, seen it", secret)
		}
	}
}

// All refused responses cause the same page.
func TestFailuresOfSAMLResponsesLookTheSame(t *testing.T) {
	t.Parallel()
	s := newSAMLSite(t, func(*broker.Config) {})
	b := s.browser()
	b.authorize().submit("external", "partners")
	good := s.signInAt(b.header.Get("Location"))
	document, err := base64.StdEncoding.DecodeString(good.Get("SAMLResponse"))
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, change := range []func([]byte) []byte{
		func(d []byte) []byte {
			return bytes.Replace(d, []byte("<ds:DigestValue>"), []byte("<ds:DigestValue>AA"), 1)
		},
		func(d []byte) []byte {
			return bytes.Replace(d, []byte("<xenc:CipherValue>"), []byte("<xenc:CipherValue>AAAA"), 1)
		},
		func(d []byte) []byte { return []byte("<x/>") },
		func(d []byte) []byte { return append([]byte("<!DOCTYPE x>"), d...) },
		func(d []byte) []byte {
			return bytes.ReplaceAll(d, []byte("InResponseTo=\"id-"), []byte("InResponseTo=\"id-0"))
		},
	} {
		form := url.Values{"RelayState": good["RelayState"], "SAMLResponse": {base64.StdEncoding.EncodeToString(change(slices.Clone(document)))}}
		r := httptest.NewRequest(http.MethodPost, issuer+"/saml/partners/acs", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest {
			t.Errorf("expected 400, seen %d", w.Code)
		}
		pages = append(pages, w.Body.String())
	}
	for _, page := range pages[1:] {
		if page != pages[0] {
			t.Errorf("expected one page for all, seen another: %.1000s", page)
		}
	}
	b.post(good).claims()
}

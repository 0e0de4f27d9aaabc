package broker

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml"
	"github.com/crewjam/saml/xmlenc"
)

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// pemOf returns the certificate of a provider.
func (p *samlIDP) pemOf() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.idp.Certificate.Raw}))
}

func TestWhereAProviderIsKnownFrom(t *testing.T) {
	t.Parallel()
	file := func(t *testing.T, text string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	several := func(p *samlIDP) string {
		return `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + string(p.describe()) +
			strings.ReplaceAll(string(p.describe()), p.server.URL, "https://other.test") + `</EntitiesDescriptor>`
	}
	for name, tc := range map[string]struct {
		config func(*testing.T, *samlIDP) SAMLConfig
		err    string // the error of New; empty if the user is signed in
	}{
		"A URL":  {func(_ *testing.T, p *samlIDP) SAMLConfig { return SAMLConfig{Metadata: p.server.URL + "/metadata"} }, ""},
		"A file": {func(t *testing.T, p *samlIDP) SAMLConfig { return SAMLConfig{Metadata: file(t, string(p.describe()))} }, ""},
		"By hand, with PEM": {func(_ *testing.T, p *samlIDP) SAMLConfig {
			return SAMLConfig{EntityID: p.server.URL + "/metadata", Endpoint: p.server.URL + "/sso", Certificate: p.pemOf()}
		}, ""},
		"By hand, with base64": {func(_ *testing.T, p *samlIDP) SAMLConfig {
			return SAMLConfig{EntityID: p.server.URL + "/metadata", Endpoint: p.server.URL + "/sso", Certificate: base64.StdEncoding.EncodeToString(p.idp.Certificate.Raw)}
		}, ""},
		"By hand, with a file": {func(t *testing.T, p *samlIDP) SAMLConfig {
			return SAMLConfig{EntityID: p.server.URL + "/metadata", Endpoint: p.server.URL + "/sso", Certificate: file(t, p.pemOf())}
		}, ""},
		"A pinned certificate in the place of another": {func(t *testing.T, p *samlIDP) SAMLConfig {
			p.metadata = func(d *saml.EntityDescriptor) {
				other := certificateOf(t, testKeys()[1], time.Now().Add(-time.Hour))
				d.IDPSSODescriptors[0].KeyDescriptors[0].KeyInfo.X509Data.X509Certificates[0].Data = base64.StdEncoding.EncodeToString(other.Raw)
			}
			return SAMLConfig{Metadata: p.server.URL + "/metadata", Certificate: p.pemOf()}
		}, ""},
		"One of several entities": {func(t *testing.T, p *samlIDP) SAMLConfig {
			return SAMLConfig{Metadata: file(t, several(p)), EntityID: p.server.URL + "/metadata"}
		}, ""},
		"Several entities": {func(t *testing.T, p *samlIDP) SAMLConfig { return SAMLConfig{Metadata: file(t, several(p))} }, "choose one with entity_id"},
		"An entity that is not there": {func(t *testing.T, p *samlIDP) SAMLConfig {
			return SAMLConfig{Metadata: file(t, several(p)), EntityID: "https://third.test"}
		}, "no entity found"},
		"A file that is not there": {func(*testing.T, *samlIDP) SAMLConfig { return SAMLConfig{Metadata: "/nowhere"} }, "metadata: "},
		"A file with a DOCTYPE": {func(t *testing.T, p *samlIDP) SAMLConfig {
			return SAMLConfig{Metadata: file(t, "<!DOCTYPE x>"+string(p.describe()))}
		}, "DOCTYPE"},
		"Metadata that has expired": {func(t *testing.T, p *samlIDP) SAMLConfig {
			p.metadata = func(d *saml.EntityDescriptor) { d.ValidUntil = time.Now().Add(-time.Minute) }
			return SAMLConfig{Metadata: file(t, string(p.describe()))}
		}, "validUntil has passed"},
		"No certificate": {func(t *testing.T, p *samlIDP) SAMLConfig {
			p.metadata = func(d *saml.EntityDescriptor) { d.IDPSSODescriptors[0].KeyDescriptors = nil }
			return SAMLConfig{Metadata: file(t, string(p.describe()))}
		}, "no certificate"},
		"No address": {func(t *testing.T, p *samlIDP) SAMLConfig {
			p.metadata = func(d *saml.EntityDescriptor) { d.IDPSSODescriptors[0].SingleSignOnServices = nil }
			return SAMLConfig{Metadata: file(t, string(p.describe()))}
		}, "no SingleSignOnService"},
		"An address without TLS": {func(t *testing.T, p *samlIDP) SAMLConfig {
			p.metadata = func(d *saml.EntityDescriptor) {
				d.IDPSSODescriptors[0].SingleSignOnServices[0].Location = "http://idp.example.com/sso"
			}
			return SAMLConfig{Metadata: file(t, string(p.describe()))}
		}, "SingleSignOnService"},
		"A service provider": {func(t *testing.T, p *samlIDP) SAMLConfig {
			p.metadata = func(d *saml.EntityDescriptor) { d.IDPSSODescriptors = nil }
			return SAMLConfig{Metadata: file(t, string(p.describe()))}
		}, "no SingleSignOnService"},
		"A role of SAML 1.1 alone": {func(t *testing.T, p *samlIDP) SAMLConfig {
			p.metadata = func(d *saml.EntityDescriptor) {
				d.IDPSSODescriptors[0].ProtocolSupportEnumeration = "urn:oasis:names:tc:SAML:1.1:protocol"
			}
			return SAMLConfig{Metadata: file(t, string(p.describe()))}
		}, "no SingleSignOnService"},
		"A role of SAML 1.1 and 2.0": {func(t *testing.T, p *samlIDP) SAMLConfig {
			p.metadata = func(d *saml.EntityDescriptor) {
				d.IDPSSODescriptors[0].ProtocolSupportEnumeration = "urn:oasis:names:tc:SAML:1.1:protocol " + samlProtocol
			}
			return SAMLConfig{Metadata: file(t, string(p.describe()))}
		}, ""},
		"A certificate that is none": {func(_ *testing.T, p *samlIDP) SAMLConfig {
			return SAMLConfig{Metadata: p.server.URL + "/metadata", Certificate: "AAAA"}
		}, "certificate: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSAMLIDP(t)
			config := tc.config(t, p)
			if tc.err != "" {
				_, err := New([]Config{{ID: "partners", SAML: &config}}, Options{Issuer: "https://login.test", Expand: plainText, Now: time.Now})
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("expected an error with %q, seen %v", tc.err, err)
				}
				return
			}
			s := samlSite(t, p, func(c *Config) { c.SAML = &config })
			s.signInWith(p, samlLie{})
			if s.signIn.lastAnswer() == nil {
				t.Errorf("expected a user, seen %s", s.signIn.lastCause())
			}
		})
	}
}

func plainText(text string) (string, error) { return text, nil }

func TestMetadataIsFetchedAgain(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	later := func(d time.Duration) { s.now = func() time.Time { return time.Now().Add(d) } }
	fetched := func(name string, want int) {
		t.Helper()
		s.leave()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.fetched != want {
			t.Errorf("%s: expected %d requests, seen %d", name, want, p.fetched)
		}
	}
	p.idp.ValidDuration = durationOf(10 * time.Hour)
	p.metadata = func(d *saml.EntityDescriptor) { d.CacheDuration = 2 * time.Hour }
	fetched("first", 1)
	later(time.Hour)
	fetched("before it is due", 1)
	later(3 * time.Hour)
	fetched("when it is due", 2)
	p.status = http.StatusInternalServerError
	later(6 * time.Hour)
	fetched("while the provider fails, the last good one serves", 3)
	fetched("while the provider fails, it is left alone for a while", 3)
	later(20 * time.Hour)
	client := *s.browser
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if response := s.get(&client, s.server.URL+"/begin/partners"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("when the last good one has expired: expected 503, seen %d", response.StatusCode)
	}
	p.status = http.StatusOK
	p.idp.ValidDuration = durationOf(100 * time.Hour)
	later(21 * time.Hour)
	fetched("when the provider is back", 5)
}

func durationOf(d time.Duration) *time.Duration { return &d }

func TestAProviderThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	p.status = http.StatusNotFound
	s := samlSite(t, p, nil)
	for range 3 {
		s.login("partners")
	}
	if seen := s.signIn.lastFailure(); seen != Down {
		t.Errorf("expected %s, seen %q", Down, seen)
	}
	if p.fetched != 1 {
		t.Errorf("expected one request for three logins, seen %d", p.fetched)
	}
}

// When a provider has a new key, its metadata is soon loaded again.
func TestANewKeyOfAProvider(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	s.signInWith(p, samlLie{})
	p.key = testKeys()[1]
	p.idp.Key, p.idp.Certificate = p.key, certificateOf(t, p.key, time.Now().Add(-time.Hour))
	s.signInWith(p, samlLie{})
	if seen := s.signIn.lastFailure(); seen != Invalid {
		t.Fatalf("expected a key that is not known, seen %q", seen)
	}
	s.now = func() time.Time { return time.Now().Add(metadataRetry + time.Second) }
	before := len(s.signIn.answers)
	s.signInWith(p, samlLie{})
	if seen := len(s.signIn.answers); seen != before+1 {
		t.Errorf("expected a user, seen %s", s.signIn.lastCause())
	}
}

// A signature without a certificate is verified with each of the provider's certificates.
func TestSeveralKeysOfAProvider(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	p.metadata = func(d *saml.EntityDescriptor) {
		keys := d.IDPSSODescriptors[0].KeyDescriptors
		other := keys[0]
		other.KeyInfo.X509Data.X509Certificates = []saml.X509Certificate{{Data: base64.StdEncoding.EncodeToString(certificateOf(t, testKeys()[1], time.Now().Add(-time.Hour)).Raw)}}
		d.IDPSSODescriptors[0].KeyDescriptors = append([]saml.KeyDescriptor{other}, keys...)
	}
	s := samlSite(t, p, nil)
	withoutKeyInfo := func(text string) string {
		for {
			before, rest, found := strings.Cut(text, "<ds:KeyInfo>")
			if !found {
				return text
			}
			_, after, _ := strings.Cut(rest, "</ds:KeyInfo>")
			text = before + after
		}
	}
	// Only the assertion is signed: a signature of the response would cover the KeyInfo
	// that is removed.
	s.signInWith(p, samlLie{sign: SignAssertion, raw: withoutKeyInfo})
	if s.signIn.lastAnswer() == nil {
		t.Errorf("expected a user, seen %s", s.signIn.lastCause())
	}
}

func TestTwoExternalProvidersHaveDifferentEntityIDs(t *testing.T) {
	t.Parallel()
	byHand := func(id, entity string) Config {
		return Config{ID: id, SAML: &SAMLConfig{EntityID: entity, Endpoint: "https://idp.test/sso", Certificate: "x"}}
	}
	if err := CheckAll([]Config{byHand("one", "https://idp.test"), byHand("two", "https://idp.test")}); err == nil {
		t.Error("in the configuration: expected an error, seen none")
	}
	if err := CheckAll([]Config{byHand("one", "https://idp.test"), byHand("two", "https://idp2.test")}); err != nil {
		t.Errorf("two of them: expected no error, seen %v", err)
	}
	p := newSAMLIDP(t)
	s := newSite(t, func(string) []Config {
		return []Config{
			{ID: "partners", SAML: &SAMLConfig{Metadata: p.server.URL + "/metadata"}},
			{ID: "other", SAML: &SAMLConfig{Metadata: p.server.URL + "/copy"}},
		}
	})
	s.haveKeys("partners")
	s.haveKeys("other")
	s.leave()
	s.login("other")
	if seen := s.signIn.lastFailure(); seen != Unconfigured {
		t.Errorf("in metadata: expected %s, seen %q", Unconfigured, seen)
	}
}

// Our metadata has our addresses, two keys, and no logout service.
func TestOurMetadata(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	text, err := s.broker.external("partners").kind.(*samlProvider).metadata(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var d saml.EntityDescriptor
	if err := xml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if want := s.server.URL + "/saml/partners/metadata"; d.EntityID != want {
		t.Errorf("expected the entity ID %s, seen %s", want, d.EntityID)
	}
	role := d.SPSSODescriptors[0]
	if seen := len(role.AssertionConsumerServices); seen != 1 {
		t.Fatalf("expected one assertion consumer service, seen %d", seen)
	}
	if seen := role.AssertionConsumerServices[0]; seen.Location != s.server.URL+"/saml/partners/acs" || seen.Binding != saml.HTTPPostBinding {
		t.Errorf("expected the POST binding at our address, seen %s at %s", seen.Binding, seen.Location)
	}
	if seen := len(role.SingleLogoutServices); seen != 0 {
		t.Errorf("expected no logout service, seen %d", seen)
	}
	if role.AuthnRequestsSigned == nil || !*role.AuthnRequestsSigned {
		t.Error("expected that requests are signed, seen otherwise")
	}
	uses := map[string]string{}
	for _, key := range role.KeyDescriptors {
		uses[key.Use] = key.KeyInfo.X509Data.X509Certificates[0].Data
		for _, method := range key.EncryptionMethods {
			if method.Algorithm == xmlenc.AES128CBC.Algorithm() {
				t.Error("expected authenticated ciphers alone, seen CBC")
			}
		}
	}
	if uses["signing"] == "" || uses["encryption"] == "" {
		t.Errorf("expected a key for each use, seen %v", len(uses))
	}
	if uses["signing"] == uses["encryption"] {
		t.Error("expected two keys, seen one")
	}
}

func TestPinnedMetadataWithoutTLS(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ metadata, certificate, want string }{
		{"http://idp.example.com/metadata", "", "an http URL needs a certificate"},
		{"http://idp.example.com/metadata", "pinned", ""},
		{"https://idp.example.com/metadata", "", ""},
		{"http://127.0.0.1:8080/metadata", "", ""},
	} {
		err := (&SAMLConfig{Metadata: tc.metadata, Certificate: tc.certificate}).Check()
		if (err != nil) != (tc.want != "") {
			t.Errorf("%s with the certificate %q: expected %q, seen %v", tc.metadata, tc.certificate, tc.want, err)
		}
		if err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: expected %q, seen %v", tc.metadata, tc.want, err)
		}
	}
}

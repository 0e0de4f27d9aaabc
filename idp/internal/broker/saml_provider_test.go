package broker

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	"github.com/crewjam/saml/xmlenc"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// samlIDP is a SAML identity provider that is honest unless a lie says otherwise.
// crewjam/saml and goxmldsig sign and encrypt its responses.
type samlIDP struct {
	t        testing.TB
	server   *httptest.Server
	idp      saml.IdentityProvider
	key      *rsa.PrivateKey
	metadata func(*saml.EntityDescriptor)
	status   int
	mu       sync.Mutex
	fetched  int
	// encryptFor is the certificate for which assertions are encrypted. The default is the
	// first one in the metadata.
	encryptFor *x509.Certificate
}

// samlLie says how a response differs from an honest one. The fields are in the order in
// which they are applied.
type samlLie struct {
	session   func(*saml.Session)
	assertion func(*saml.Assertion)
	element   func(assertion *etree.Element) // changes the assertion before it is signed
	response  func(*saml.Response)
	sign      string // what is signed; empty means SignBoth
	method    string // the signature method
	key       *rsa.PrivateKey
	encrypt   xmlenc.BlockCipher
	final     func(document *etree.Document)
	raw       func(text string) string
	posted    func(form url.Values)
}

// testKeys generates keys once for all tests.
var testKeys = sync.OnceValue(func() (keys [4]*rsa.PrivateKey) {
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

func certificateOf(t testing.TB, key *rsa.PrivateKey, from time.Time) *x509.Certificate {
	t.Helper()
	certificate, err := selfSigned(key, "https://idp.test", from)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func newSAMLIDP(t testing.TB) *samlIDP {
	t.Helper()
	p := &samlIDP{t: t, key: testKeys()[0], status: http.StatusOK}
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	address := func(path string) url.URL {
		u, err := url.Parse(p.server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		return *u
	}
	p.idp = saml.IdentityProvider{
		Key: p.key, Certificate: certificateOf(t, p.key, time.Now().Add(-time.Hour)),
		MetadataURL: address("/metadata"), SSOURL: address("/sso"), ServiceProviderProvider: p,
	}
	return p
}

func (p *samlIDP) serve(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetched++
	w.WriteHeader(p.status)
	_, _ = w.Write(p.describe())
}

// describe returns the metadata.
func (p *samlIDP) describe() []byte {
	descriptor := p.idp.Metadata()
	if p.metadata != nil {
		p.metadata(descriptor)
	}
	text, err := xml.Marshal(descriptor)
	if err != nil {
		p.t.Error(err)
	}
	return text
}

// GetServiceProvider implements saml.ServiceProviderProvider: it reads the
// metadata of the service provider at its entity ID.
func (p *samlIDP) GetServiceProvider(_ *http.Request, id string) (*saml.EntityDescriptor, error) {
	response, err := http.Get(id)
	if err != nil {
		return nil, os.ErrNotExist
	}
	defer response.Body.Close()
	descriptor := new(saml.EntityDescriptor)
	return descriptor, xml.NewDecoder(response.Body).Decode(descriptor)
}

// answer returns the form that answers a request at the assertion consumer service.
func (p *samlIDP) answer(address string, lie samlLie) (acs string, form url.Values) {
	p.t.Helper()
	request, err := saml.NewIdpAuthnRequest(&p.idp, httptest.NewRequest(http.MethodGet, strings.TrimSuffix(address, "#"), nil))
	if err != nil {
		p.t.Fatalf("expected a SAML request, seen %v", err)
	}
	if err := request.Validate(); err != nil {
		p.t.Fatalf("expected a valid SAML request, seen %v", err)
	}
	return p.respond(request, lie)
}

// initiate returns an unsolicited response.
func (p *samlIDP) initiate(entityID, relay string, lie samlLie) (acs string, form url.Values) {
	p.t.Helper()
	request, err := p.idp.NewIdpInitiatedRequest(httptest.NewRequest(http.MethodGet, "/", nil), entityID, relay)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.respond(request, lie)
}

func (p *samlIDP) respond(request *saml.IdpAuthnRequest, lie samlLie) (acs string, form url.Values) {
	p.t.Helper()
	session := saml.Session{
		CreateTime: request.Now, Index: "index-1", NameID: "alice-id", NameIDFormat: string(saml.PersistentNameIDFormat),
		UserName: "alice", UserEmail: "alice@partners.example", UserSurname: "Müller", UserGivenName: "Alice",
		CustomAttributes: []saml.Attribute{attribute("groups", "staff", "operators")},
	}
	if lie.session != nil {
		lie.session(&session)
	}
	if err := (saml.DefaultAssertionMaker{}).MakeAssertion(request, &session); err != nil {
		p.t.Fatal(err)
	}
	if lie.assertion != nil {
		lie.assertion(request.Assertion)
	}
	assertion := request.Assertion.Element()
	if lie.element != nil {
		lie.element(assertion)
	}
	sign := lie.sign
	if sign == "" {
		sign = SignBoth
	}
	if sign == SignAssertion || sign == SignBoth {
		p.sign(assertion, lie)
	}
	if lie.encrypt != nil {
		assertion = p.encrypt(assertion, request.SPSSODescriptor, lie.encrypt)
	}
	response := &saml.Response{
		Destination: request.ACSEndpoint.Location, ID: "id-" + rand.Text(), InResponseTo: request.Request.ID, IssueInstant: request.Now, Version: "2.0",
		Issuer: &saml.Issuer{Value: p.idp.MetadataURL.String()}, Status: saml.Status{StatusCode: saml.StatusCode{Value: saml.StatusSuccess}},
	}
	if lie.response != nil {
		lie.response(response)
	}
	root := response.Element()
	root.AddChild(assertion)
	if sign == SignResponse || sign == SignBoth {
		p.sign(root, lie)
	}
	text := p.write(root, lie)
	form = url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(text))}, "RelayState": {request.RelayState}}
	if lie.posted != nil {
		lie.posted(form)
	}
	return request.ACSEndpoint.Location, form
}

func (p *samlIDP) write(root *etree.Element, lie samlLie) string {
	document := etree.NewDocument()
	document.SetRoot(root)
	if lie.final != nil {
		lie.final(document)
	}
	text, err := document.WriteToString()
	if err != nil {
		p.t.Fatal(err)
	}
	if lie.raw != nil {
		text = lie.raw(text)
	}
	return text
}

// sign adds a signature after the issuer of an element.
func (p *samlIDP) sign(element *etree.Element, lie samlLie) {
	p.t.Helper()
	key, certificate := p.key, p.idp.Certificate
	if lie.key != nil {
		key, certificate = lie.key, certificateOf(p.t, lie.key, time.Now().Add(-time.Hour))
	}
	ctx, err := dsig.NewSigningContext(crypto.Signer(key), [][]byte{certificate.Raw})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	method := lie.method
	if method == "" {
		method = dsig.RSASHA256SignatureMethod
	}
	if err := ctx.SetSignatureMethod(method); err != nil {
		p.t.Fatal(err)
	}
	signed, err := ctx.SignEnveloped(element)
	if err != nil {
		p.t.Fatal(err)
	}
	signature := signed.Child[len(signed.Child)-1].(*etree.Element).Copy()
	element.InsertChildAt(1, signature)
}

func (p *samlIDP) encrypt(assertion *etree.Element, sp *saml.SPSSODescriptor, cipher xmlenc.BlockCipher) *etree.Element {
	p.t.Helper()
	document := etree.NewDocument()
	document.SetRoot(assertion)
	text, err := document.WriteToBytes()
	if err != nil {
		p.t.Fatal(err)
	}
	encrypter := xmlenc.OAEP()
	encrypter.BlockCipher, encrypter.DigestMethod = cipher, &xmlenc.SHA1
	recipient := p.encryptFor
	if recipient == nil {
		recipient = encryptionCertificate(p.t, sp)
	}
	data, err := encrypter.Encrypt(recipient, text, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	data.CreateAttr("Type", "http://www.w3.org/2001/04/xmlenc#Element")
	encrypted := etree.NewElement("saml:EncryptedAssertion")
	encrypted.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
	encrypted.AddChild(data)
	return encrypted
}

func encryptionCertificate(t testing.TB, sp *saml.SPSSODescriptor) *x509.Certificate {
	t.Helper()
	for _, key := range sp.KeyDescriptors {
		if key.Use == "encryption" {
			certificate, err := parseCertificate(key.KeyInfo.X509Data.X509Certificates[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			return certificate
		}
	}
	t.Fatal("expected a key for encryption in the metadata, seen none")
	return nil
}

func attribute(name string, values ...string) saml.Attribute {
	a := saml.Attribute{Name: name}
	for _, value := range values {
		a.Values = append(a.Values, saml.AttributeValue{Type: "xs:string", Value: value})
	}
	return a
}

// subject returns the stored form of a user's persistent NameID at a site.
func (p *samlIDP) subject(s *site, value string) string {
	return subjectOf("nameid", string(saml.PersistentNameIDFormat), p.server.URL+"/metadata", s.broker.SAMLEntityID("partners"), value)
}

// samlSite returns a site whose external provider "partners" uses SAML.
func samlSite(t testing.TB, p *samlIDP, change func(*Config)) *site {
	t.Helper()
	s := newSite(t, func(string) []Config {
		c := Config{ID: "partners", Create: true, Domains: []string{"partners.example"}, Groups: []string{"staff"}, SAML: &SAMLConfig{Metadata: p.server.URL + "/metadata"}}
		if change != nil {
			change(&c)
		}
		return []Config{c}
	})
	s.haveKeys("partners")
	return s
}

// haveKeys gives the site existing keys, because generating them takes a second.
func (s *site) haveKeys(id string) {
	s.t.Helper()
	k := s.broker.external(id).kind.(*samlProvider).keys
	keys := testKeys()
	kept := base64.StdEncoding.EncodeToString(sealedKeys(s.t, k, keys[2], keys[3]))
	s.store.change(func(tx store.Tx) error { return tx.SetSetting(k.setting(), kept) })
}

// leave begins a login and returns the address of the SAML request.
func (s *site) leave() string {
	s.t.Helper()
	client := *s.browser
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response := s.get(&client, s.server.URL+"/begin/partners")
	location := response.Header.Get("Location")
	if location == "" {
		s.t.Fatalf("expected to be sent to the provider, seen status %d, %s: %s", response.StatusCode, s.signIn.lastFailure(), s.signIn.lastCause())
	}
	return location
}

// post posts a form from another site, so without cookies that are SameSite=Lax. It returns
// the address of the redirect, and the status.
func (s *site) post(acs string, form url.Values) (location string, status int) {
	s.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.PostForm(acs, form)
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	return response.Header.Get("Location"), response.StatusCode
}

// signInWith performs a login in which the provider tells a lie, and returns the status of
// the last response.
func (s *site) signInWith(p *samlIDP, lie samlLie) int {
	s.t.Helper()
	location, status := s.post(p.answer(s.leave(), lie))
	if location == "" {
		return status
	}
	return s.get(s.browser, location).StatusCode
}

func sealedKeys(t testing.TB, k *samlKeys, signing, decryption *rsa.PrivateKey) []byte {
	t.Helper()
	pair := func(key *rsa.PrivateKey) string {
		text, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return `{"key":"` + base64.StdEncoding.EncodeToString(text) + `","certificate":"` +
			base64.StdEncoding.EncodeToString(certificateOf(t, key, time.Now().Add(-time.Hour)).Raw) + `"}`
	}
	sealed, err := k.b.Vault.Seal(context.Background(), k.setting(), "value",
		bytes.Join([][]byte{[]byte(`{"signing":`), []byte(pair(signing)), []byte(`,"decryption":`), []byte(pair(decryption)), []byte(`}`)}, nil))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// decoded returns the decoded response of a form.
func decoded(t testing.TB, form url.Values) []byte {
	t.Helper()
	document, err := base64.StdEncoding.DecodeString(form.Get("SAMLResponse"))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

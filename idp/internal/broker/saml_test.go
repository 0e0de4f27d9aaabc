package broker

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	"github.com/crewjam/saml/testsaml"
	"github.com/crewjam/saml/xmlenc"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestASAMLProviderSignsAUserIn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sign string // the value of the option
		lie  samlLie
	}{
		"A signed response":                              {SignResponse, samlLie{sign: SignResponse}},
		"A signed assertion":                             {SignAssertion, samlLie{sign: SignAssertion}},
		"Both signed":                                    {SignBoth, samlLie{sign: SignBoth}},
		"A signed response where either will do":         {"", samlLie{sign: SignResponse}},
		"A signed assertion where either will do":        {SignEither, samlLie{sign: SignAssertion}},
		"An encrypted assertion with a signature inside": {"", samlLie{sign: SignAssertion, encrypt: xmlenc.AES256GCM}},
		"An encrypted assertion in a signed response":    {"", samlLie{sign: SignResponse, encrypt: xmlenc.AES128GCM}},
		"A CBC cipher in a signed response":              {"", samlLie{sign: SignResponse, encrypt: xmlenc.AES256CBC}},
		"SHA-512":                                        {"", samlLie{method: dsig.RSASHA512SignatureMethod}},
		"An XML declaration":                             {"", samlLie{raw: func(text string) string { return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + text }}},
		"A line feed at the end":                         {"", samlLie{raw: func(text string) string { return text + "\n" }}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSAMLIDP(t)
			s := samlSite(t, p, func(c *Config) { c.SAML.Sign = tc.sign })
			s.signInWith(p, tc.lie)
			answer := s.signIn.lastAnswer()
			if answer == nil {
				t.Fatalf("expected a user, seen %s: %s", s.signIn.lastFailure(), s.signIn.lastCause())
			}
			a := answer.Assertion
			if want := p.subject(s, "alice-id"); a.Subject != want {
				t.Errorf("expected the subject %s, seen %s", want, a.Subject)
			}
			if a.Issuer != p.server.URL+"/metadata" {
				t.Errorf("expected the issuer to be the entity ID, seen %s", a.Issuer)
			}
			if a.Claims.Email != "alice@partners.example" {
				t.Errorf("expected the address, seen %q", a.Claims.Email)
			}
			if !slices.Equal(a.Claims.Groups, []string{"staff"}) {
				t.Errorf("expected the group that is mapped, seen %q", a.Claims.Groups)
			}
			if a.ACR != sso.ACRExternal {
				t.Errorf("expected acr %s, seen %s", sso.ACRExternal, a.ACR)
			}
			if seen := s.signIn.requests[0]; seen != "request-1" {
				t.Errorf("expected the request to go on, seen %q", seen)
			}
		})
	}
}

// All refused responses cause the same kind of failure and the same status.
func TestWhatASAMLProviderIsNotBelieved(t *testing.T) {
	t.Parallel()
	assertion := func(change func(*saml.Assertion)) samlLie { return samlLie{assertion: change} }
	nameID := func(value string) samlLie {
		return assertion(func(a *saml.Assertion) { a.Subject.NameID.Value = value })
	}
	confirm := func(change func(*saml.SubjectConfirmationData)) samlLie {
		return assertion(func(a *saml.Assertion) { change(a.Subject.SubjectConfirmations[0].SubjectConfirmationData) })
	}
	raw := func(old, new string) samlLie {
		return samlLie{raw: func(text string) string {
			if !strings.Contains(text, old) {
				panic("nothing to replace: " + old)
			}
			return strings.ReplaceAll(text, old, new)
		}}
	}
	foreign := testKeys()[1]
	for name, tc := range map[string]struct {
		cause string // in the log
		lie   samlLie
	}{
		"Nothing is signed": {`signature element not present`, samlLie{sign: "none"}},
		"Another key, with its certificate in the response": {`Could not verify certificate against trusted certs`, samlLie{key: foreign}},
		"SHA-1":                       {`cannot validate signature on Response: SignatureMethod "http://www.w3.org/2000/09/xmldsig#rsa-sha1": SHA-1 based signature algorithms are not accepted`, samlLie{method: dsig.RSASHA1SignatureMethod}},
		"No algorithm":                {`Unknown signature method: none`, raw(dsig.RSASHA256SignatureMethod, "none")},
		"An HMAC with the public key": {`Unknown signature method: http://www.w3.org/2001/04/xmldsig-more#hmac-sha256`, raw(dsig.RSASHA256SignatureMethod, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")},
		"A SHA-1 digest":              {`cannot validate signature on Response: DigestMethod "http://www.w3.org/2000/09/xmldsig#sha1": SHA-1 based signature algorithms are not accepted`, raw("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1")},
		"A changed NameID":            {`Signature could not be verified`, raw("alice-id", "mallory-id")},
		"A changed attribute":         {`Signature could not be verified`, raw("staff", "admins")},
		"An encrypted assertion that nothing signs": {`signature element not present`, samlLie{sign: "none", encrypt: xmlenc.AES256GCM}},
		"A CBC cipher in an unsigned response":      {`RequireSignedResponseForCBC`, samlLie{sign: SignAssertion, encrypt: xmlenc.AES256CBC}},
		"A comment in the NameID":                   {`it has a DOCTYPE, a comment or a CDATA section`, raw("alice-id", "alice<!-- -->-id")},
		"A comment elsewhere":                       {`it has a DOCTYPE, a comment or a CDATA section`, samlLie{raw: func(text string) string { return strings.Replace(text, "<saml:Subject>", "<!-- --><saml:Subject>", 1) }}},
		"A comment before the root":                 {`it has a DOCTYPE, a comment or a CDATA section`, samlLie{raw: func(text string) string { return "<!-- -->" + text }}},
		"Text before the root":                      {`there is text beside the root`, samlLie{raw: func(text string) string { return "x" + text }}},
		"A processing instruction":                  {`it has a processing instruction`, samlLie{raw: func(text string) string { return "<?x y?>" + text }}},
		"A processing instruction inside":           {`it has a processing instruction`, samlLie{element: func(a *etree.Element) { a.FindElement("./Subject/NameID").CreateProcInst("x", "y") }}},
		"Something after the root":                  {`the root is not a Response`, samlLie{raw: func(text string) string { return text + "<x/>" }}},
		"A DOCTYPE":                                 {`it has a DOCTYPE, a comment or a CDATA section`, samlLie{raw: func(text string) string { return "<!DOCTYPE x>" + text }}},
		"Entities that expand": {`it has a DOCTYPE, a comment or a CDATA section`, samlLie{raw: func(text string) string {
			return `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>` + strings.ReplaceAll(text, "alice-id", "&b;")
		}}},
		"A file as an entity": {`it has a DOCTYPE, a comment or a CDATA section`, samlLie{raw: func(text string) string {
			return `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + strings.ReplaceAll(text, "alice-id", "&a;")
		}}},
		"A CDATA section":                                   {`a CDATA section`, raw("alice-id", "<![CDATA[alice-id]]>")},
		"A response that is too large":                      {`it is larger than 262144 bytes`, samlLie{raw: func(text string) string { return strings.Repeat(" ", maxResponse) + text }}},
		"A NameID with a child":                             {`NameID has child elements`, samlLie{element: func(a *etree.Element) { a.FindElement("./Subject/NameID").CreateElement("x") }}},
		"A NameID with a child in an encrypted assertion":   {`NameID has child elements`, samlLie{sign: SignResponse, encrypt: xmlenc.AES256GCM, element: func(a *etree.Element) { a.FindElement("./Subject/NameID").CreateElement("x") }}},
		"A comment in the NameID of an encrypted assertion": {`it has a DOCTYPE, a comment or a CDATA section`, samlLie{sign: SignResponse, encrypt: xmlenc.AES256GCM, element: func(a *etree.Element) { a.FindElement("./Subject/NameID").CreateComment("x") }}},
		"An empty NameID":                                   {`the NameID is empty`, nameID("")},
		"A NameID with a space before":                      {`the NameID begins or ends with spaces`, nameID(" alice-id")},
		"A NameID with a line feed after":                   {`the NameID begins or ends with spaces`, nameID("alice-id\n")},
		"A NameID of spaces":                                {`the NameID begins or ends with spaces`, nameID("   ")},
		"A NameID that is too long":                         {`the NameID is too long`, nameID(strings.Repeat("a", maxNameID+1))},
		"A NameID that is transient":                        {`the NameID is transient: it is another one each time. Set username to an attribute that names the user`, assertion(func(a *saml.Assertion) { a.Subject.NameID.Format = string(saml.TransientNameIDFormat) })},
		"No NameID":                                         {`assertion Subject has no BaseID, NameID or EncryptedID`, assertion(func(a *saml.Assertion) { a.Subject.NameID = nil })},
		"No subject":                                        {`assertion has no Subject`, assertion(func(a *saml.Assertion) { a.Subject = nil })},
		"Another audience":                                  {`assertion Conditions AudienceRestriction does not contain`, assertion(func(a *saml.Assertion) { a.Conditions.AudienceRestrictions[0].Audience.Value = "https://other.test" })},
		"No audience":                                       {`assertion Conditions has no AudienceRestriction for`, assertion(func(a *saml.Assertion) { a.Conditions.AudienceRestrictions = nil })},
		"A second audience restriction that excludes us": {`assertion Conditions AudienceRestriction does not contain`, assertion(func(a *saml.Assertion) {
			a.Conditions.AudienceRestrictions = append(a.Conditions.AudienceRestrictions, saml.AudienceRestriction{Audience: saml.Audience{Value: "https://other.test"}})
		})},
		"Another recipient":                     {`assertion SubjectConfirmation Recipient is not`, confirm(func(d *saml.SubjectConfirmationData) { d.Recipient = "https://other.test/acs" })},
		"Another destination":                   {`` + "`" + `Destination` + "`" + ` does not match requested URL or AcsURL (destination "https://other.test/acs", requested`, samlLie{response: func(r *saml.Response) { r.Destination = "https://other.test/acs" }}},
		"No destination of a signed response":   {`` + "`" + `Destination` + "`" + ` does not match requested URL or AcsURL (destination "", requested`, samlLie{response: func(r *saml.Response) { r.Destination = "" }}},
		"Another issuer of the response":        {`response Issuer does not match the IDP metadata (expected`, samlLie{response: func(r *saml.Response) { r.Issuer.Value = "https://other.test" }}},
		"Another issuer":                        {`issuer is not`, assertion(func(a *saml.Assertion) { a.Issuer.Value = "https://other.test" })},
		"An answer to another request":          {`` + "`" + `InResponseTo` + "`" + ` does not match any of the possible request IDs (expected`, samlLie{response: func(r *saml.Response) { r.InResponseTo = "id-other" }}},
		"An assertion for another request":      {`assertion SubjectConfirmation one of the possible request IDs`, confirm(func(d *saml.SubjectConfirmationData) { d.InResponseTo = "id-other" })},
		"An answer to no request":               {`` + "`" + `InResponseTo` + "`" + ` does not match any of the possible request IDs (expected`, samlLie{response: func(r *saml.Response) { r.InResponseTo = "" }}},
		"An assertion for no request":           {`assertion SubjectConfirmation one of the possible request IDs`, confirm(func(d *saml.SubjectConfirmationData) { d.InResponseTo = "" })},
		"A confirmation that has expired":       {`assertion SubjectConfirmationData is expired`, confirm(func(d *saml.SubjectConfirmationData) { d.NotOnOrAfter = time.Now().Add(-time.Hour) })},
		"Conditions that have expired":          {`assertion Conditions is expired`, assertion(func(a *saml.Assertion) { a.Conditions.NotOnOrAfter = time.Now().Add(-time.Hour) })},
		"Conditions that are not yet met":       {`assertion Conditions is not yet valid`, assertion(func(a *saml.Assertion) { a.Conditions.NotBefore = time.Now().Add(time.Hour) })},
		"An assertion that was issued long ago": {`expired on`, assertion(func(a *saml.Assertion) { a.IssueInstant = time.Now().Add(-time.Hour) })},
		"A response of the future":              {`response IssueInstant`, samlLie{response: func(r *saml.Response) { r.IssueInstant = time.Now().Add(time.Hour) }}},
		"Another version":                       {`response Version "1.1" is not 2.0`, samlLie{response: func(r *saml.Response) { r.Version = "1.1" }}},
		"No conditions":                         {`assertion has no Conditions`, assertion(func(a *saml.Assertion) { a.Conditions = nil })},
		"An unknown condition": {`assertion Conditions has unrecognised conditions ["{urn:x}Strange"]: the assertion is Indeterminate`, samlLie{element: func(a *etree.Element) {
			condition := a.FindElement("./Conditions").CreateElement("x:Strange")
			condition.CreateAttr("xmlns:x", "urn:x")
		}}},
		"No authentication statement": {`assertion has no AuthnStatement`, assertion(func(a *saml.Assertion) { a.AuthnStatements = nil })},
		"A sign-in in the future":     {`AuthnInstant is in the future`, assertion(func(a *saml.Assertion) { a.AuthnStatements[0].AuthnInstant = time.Now().Add(time.Hour) })},
		"A session that is over": {`SessionNotOnOrAfter has passed: the session at the provider is over`, assertion(func(a *saml.Assertion) {
			ends := time.Now().Add(-time.Minute)
			a.AuthnStatements[0].SessionNotOnOrAfter = &ends
		})},
		"A status that is no success":                 {`the provider answers with the status urn:oasis:names:tc:SAML:2.0:status:Responder`, samlLie{response: func(r *saml.Response) { r.Status.StatusCode.Value = saml.StatusResponder }}},
		"A second assertion":                          {`two elements have the same ID`, samlLie{final: func(d *etree.Document) { d.Root().AddChild(d.Root().FindElement("./Assertion").Copy()) }}},
		"An assertion of another namespace beside it": {`there is not exactly one assertion: there are 2`, samlLie{final: func(d *etree.Document) { d.Root().CreateElement("x:Assertion").CreateAttr("xmlns:x", "urn:x") }}},
		"An assertion as advice": {`two elements have the same ID`, samlLie{element: func(a *etree.Element) {
			advice := etree.NewElement("saml:Advice")
			advice.AddChild(a.Copy())
			a.AddChild(advice)
		}}},
		"An Object in a signature": {`a signature has an Object`, samlLie{final: func(d *etree.Document) { d.Root().FindElement("./Signature").CreateElement("ds:Object") }}},
		"Two equal IDs": {`two elements have the same ID`, samlLie{final: func(d *etree.Document) {
			d.Root().FindElement("./Status").CreateAttr("ID", d.Root().SelectAttrValue("ID", ""))
		}}},
		"A response inside of it": {`there is not exactly one Response`, samlLie{final: func(d *etree.Document) {
			d.Root().CreateElement("samlp:Extensions").CreateElement("samlp:Response")
		}}},
		"Too many levels": {`it is nested too deeply`, samlLie{final: func(d *etree.Document) {
			for at, i := d.Root(), 0; i < maxDepth; i++ {
				at = at.CreateElement("samlp:Extensions")
			}
		}}},
		"An encrypted NameID": {`a part of the assertion is encrypted separately`, samlLie{element: func(a *etree.Element) {
			a.FindElement("./Subject").CreateElement("saml:EncryptedID")
		}}},
		"A NameID with a control character": {`the NameID has control characters`, nameID("alice\u0085-id")},
		"No time of the sign-in":            {`AuthnInstant is missing`, assertion(func(a *saml.Assertion) { a.AuthnStatements[0].AuthnInstant = time.Time{} })},
		"A form that is too large":          {`the body is too large`, samlLie{posted: func(form url.Values) { form.Set("x", strings.Repeat("a", maxForm)) }}},
		"No base64":                         {`SAMLResponse is not base64`, samlLie{posted: func(form url.Values) { form.Set("SAMLResponse", "<Response/>") }}},
		"Two responses":                     {`there is not exactly one SAMLResponse`, samlLie{posted: func(form url.Values) { form.Add("SAMLResponse", form.Get("SAMLResponse")) }}},
		"Two relay states":                  {`there is more than one RelayState`, samlLie{posted: func(form url.Values) { form.Add("RelayState", "x") }}},
		"The SimpleSign binding": {`it is of a binding that is not accepted`, samlLie{posted: func(form url.Values) {
			form.Set("SigAlg", dsig.RSASHA256SignatureMethod)
			form.Set("Signature", "AAAA")
		}}},
		"The artifact binding": {`it is of a binding that is not accepted`, samlLie{posted: func(form url.Values) { form.Set("SAMLart", "AAAA") }}},
		"Another root": {`the root is not a Response`, samlLie{posted: func(form url.Values) {
			form.Set("SAMLResponse", base64.StdEncoding.EncodeToString([]byte(`<Response xmlns="urn:x"/>`)))
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSAMLIDP(t)
			s := samlSite(t, p, nil)
			status := s.signInWith(p, tc.lie)
			if answer := s.signIn.lastAnswer(); answer != nil {
				t.Fatalf("expected no user, seen %s", answer.Assertion.Subject)
			}
			if seen := s.signIn.lastFailure(); seen != Invalid {
				t.Errorf("expected the kind %s, seen %s: %s", Invalid, seen, s.signIn.lastCause())
			}
			if status != http.StatusBadRequest {
				t.Errorf("expected the status 400, seen %d", status)
			}
			if !strings.Contains(s.signIn.lastCause(), tc.cause) {
				t.Errorf("expected the cause %q, seen %q", tc.cause, s.signIn.lastCause())
			}
			for _, secret := range []string{"alice", "Alice", "Müller", "staff", "operators", "index-1"} {
				if strings.Contains(s.signIn.lastCause(), secret) {
					t.Errorf("expected a cause without %s of the user, seen %s", secret, s.signIn.lastCause())
				}
			}
		})
	}
}

// The POST binding uses a form. A body of another type, as a script of another site can
// send it, is refused.
func TestASAMLResponseComesInAForm(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	acs, form := p.answer(s.leave(), samlLie{})
	for _, kind := range []string{"text/plain", "application/json", "", "multipart/form-data; boundary=x"} {
		response, err := http.Post(acs, kind, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if seen := s.signIn.lastCause(); response.StatusCode != http.StatusBadRequest || seen != "the body is not a form" {
			t.Errorf("%q: expected that the body is not a form, seen %d: %s", kind, response.StatusCode, seen)
		}
	}
	if location, _ := s.post(acs, form); location == "" {
		t.Errorf("expected the form to count, seen %s", s.signIn.lastCause())
	}
}

func TestWhatHasToBeSigned(t *testing.T) {
	t.Parallel()
	for option, refused := range map[string][]string{
		SignResponse: {SignAssertion}, SignAssertion: {SignResponse}, SignBoth: {SignAssertion, SignResponse},
	} {
		for _, sign := range refused {
			t.Run(option+" and only "+sign+" is", func(t *testing.T) {
				t.Parallel()
				p := newSAMLIDP(t)
				s := samlSite(t, p, func(c *Config) { c.SAML.Sign = option })
				s.signInWith(p, samlLie{sign: sign})
				if seen := s.signIn.lastFailure(); seen != Invalid {
					t.Errorf("expected to be refused, seen %q", seen)
				}
			})
		}
	}
}

func TestASAMLResponseCountsOnce(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	acs, form := p.answer(s.leave(), samlLie{})
	location, _ := s.post(acs, form)
	if again, _ := s.post(acs, form); again != "" {
		t.Error("expected the second to be refused, seen an answer")
	}
	s.get(s.browser, location)
	s.get(s.browser, location)
	if seen := len(s.signIn.answers); seen != 1 {
		t.Errorf("expected one answer, seen %d", seen)
	}
}

// An assertion that one node has accepted is refused by the other nodes.
func TestAnAssertionCountsOnceOnAllNodes(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, func(c *Config) { c.SAML.IDPInitiated = "wiki" })
	other := s.node([]Config{*s.broker.external("partners").Config})
	acs, form := p.initiate(s.broker.SAMLEntityID("partners"), "", samlLie{})
	if location, _ := s.post(acs, form); location == "" {
		t.Fatalf("expected an answer, seen %s", s.signIn.lastCause())
	}
	s.broker = other
	if location, _ := s.post(acs, form); location != "" {
		t.Error("expected that the other node refuses it, seen an answer")
	}
	if seen := s.signIn.lastCause(); !strings.Contains(seen, saml.ErrAssertionReplayed.Error()) {
		t.Errorf("expected a replay, seen %s", seen)
	}
	document := etree.NewDocument()
	if err := document.ReadFromBytes(decoded(t, form)); err != nil {
		t.Fatal(err)
	}
	id := document.FindElement("//Assertion").SelectAttrValue("ID", "")
	for after, want := range map[time.Duration]error{saml.MaxIssueDelay + saml.MaxClockSkew - 30*time.Second: nil, time.Hour: store.ErrNotFound} {
		err := s.store.View(t.Context(), func(tx store.Tx) error {
			_, err := tx.Ticket(ticketReplay, store.HashOf(subjectOf("partners", id)), time.Now().Add(after))
			return err
		})
		if !errors.Is(err, want) {
			t.Errorf("the row after %s: expected %v, seen %v", after, want, err)
		}
	}
}

// A login belongs to the browser that began it. The POST of a response comes without that
// browser's cookies, so the next page checks them.
func TestASAMLLoginBelongsToItsBrowser(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	location, status := s.post(p.answer(s.leave(), samlLie{}))
	if status != http.StatusSeeOther {
		t.Fatalf("expected 303, seen %d", status)
	}
	back, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	own := s.browser.Jar.Cookies(back)
	empty, planted, other := newBrowser(t), newBrowser(t), newBrowser(t)
	s.plant(planted, back, own, "planted")
	began := s.browser
	s.browser = other
	s.leave()
	s.browser = began
	s.plant(other, back, own, other.Jar.Cookies(back)[0].Value)
	for name, browser := range map[string]*http.Client{
		"another browser": empty, "with a cookie of that name": planted, "with the secret of a login of its own in it": other,
	} {
		s.signIn.reset()
		s.get(browser, location)
		if seen := s.signIn.lastFailure(); seen != Stale || s.signIn.lastAnswer() != nil {
			t.Errorf("%s: expected %s, seen %q", name, Stale, seen)
		}
	}
	s.get(s.browser, location)
	if s.signIn.lastAnswer() == nil {
		t.Errorf("the browser that began it: expected a user, seen %s", s.signIn.lastCause())
	}
}

func TestAVerifiedAnswerWaitsForAMinute(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	location, _ := s.post(p.answer(s.leave(), samlLie{}))
	s.now = func() time.Time { return time.Now().Add(answerLasts + time.Second) }
	s.get(s.browser, location)
	if seen := s.signIn.lastFailure(); seen != Stale {
		t.Errorf("expected %s, seen %q", Stale, seen)
	}
}

func TestASAMLLoginIsOfOneProvider(t *testing.T) {
	t.Parallel()
	p, other := newSAMLIDP(t), newSAMLIDP(t)
	s := newSite(t, func(string) []Config {
		return []Config{
			{ID: "partners", Create: true, SAML: &SAMLConfig{Metadata: p.server.URL + "/metadata"}},
			{ID: "other", Create: true, SAML: &SAMLConfig{Metadata: other.server.URL + "/metadata"}},
		}
	})
	s.haveKeys("partners")
	s.haveKeys("other")
	acs, form := p.answer(s.leave(), samlLie{})
	s.post(strings.Replace(acs, "/partners/", "/other/", 1), form)
	if seen := s.signIn.lastFailure(); seen != Invalid {
		t.Errorf("expected %s, seen %q", Invalid, seen)
	}
	location, _ := s.post(acs, form)
	if location == "" {
		t.Fatalf("expected that the answer counts at its own address, seen %s", s.signIn.lastCause())
	}
	s.signIn.failures = nil
	s.get(s.browser, strings.Replace(location, "/partners/", "/other/", 1))
	if seen := s.signIn.lastFailure(); seen == "" {
		t.Error("expected a verified answer to be refused at another provider's page, seen that it is not")
	}
}

// requestOf returns the SAML request in an address.
func requestOf(t testing.TB, address string) *etree.Element {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	text, err := testsaml.ParseRedirectRequest(u)
	if err != nil {
		t.Fatal(err)
	}
	document := etree.NewDocument()
	if err := document.ReadFromBytes(text); err != nil {
		t.Fatal(err)
	}
	return document.Root()
}

func TestSAMLRequestsAreSigned(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	address := s.leave()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if u.Query().Get("Signature") == "" {
		t.Error("expected a signature, seen none")
	}
	if seen := u.Query().Get("SigAlg"); seen != dsig.RSASHA256SignatureMethod {
		t.Errorf("expected RSA with SHA-256, seen %s", seen)
	}
	policy := requestOf(t, address).FindElement("./NameIDPolicy")
	if policy == nil || policy.SelectAttr("Format") != nil {
		t.Errorf("expected that the provider chooses the format of the NameID, seen %v", policy)
	}
	if seen := len(u.Query().Get("RelayState")); seen > 80 {
		t.Errorf("expected at most 80 bytes of RelayState, seen %d", seen)
	}
	if u.Fragment != "" || !strings.HasSuffix(address, "#") {
		t.Errorf("expected an empty fragment, seen %s", address)
	}
}

// A provider without the redirect binding gets a form with a signed request.
func TestASAMLRequestByPost(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	p.metadata = func(d *saml.EntityDescriptor) {
		d.IDPSSODescriptors[0].SingleSignOnServices = []saml.Endpoint{{Binding: saml.HTTPPostBinding, Location: p.server.URL + "/sso"}}
	}
	s := samlSite(t, p, nil)
	s.login("partners")
	if seen := s.signIn.posted["action"]; seen != p.server.URL+"/sso" {
		t.Fatalf("expected a form for the provider, seen %q: %s", seen, s.signIn.lastCause())
	}
	text, err := base64.StdEncoding.DecodeString(s.signIn.posted["SAMLRequest"])
	if err != nil {
		t.Fatal(err)
	}
	document := etree.NewDocument()
	if err := document.ReadFromBytes(text); err != nil {
		t.Fatal(err)
	}
	if document.FindElement("/AuthnRequest/Signature") == nil {
		t.Errorf("expected a signature, seen %s", text)
	}
	form := url.Values{"SAMLRequest": {s.signIn.posted["SAMLRequest"]}, "RelayState": {s.signIn.posted["RelayState"]}}
	r := httptest.NewRequest(http.MethodPost, p.server.URL+"/sso", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	asked, err := saml.NewIdpAuthnRequest(&p.idp, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := asked.Validate(); err != nil {
		t.Fatalf("expected a request that the provider accepts, seen %v", err)
	}
	location, _ := s.post(p.respond(asked, samlLie{}))
	s.get(s.browser, location)
	if s.signIn.lastAnswer() == nil {
		t.Errorf("expected a user, seen %s", s.signIn.lastCause())
	}
}

func TestWhatARequestDemandsOfASAMLProvider(t *testing.T) {
	t.Parallel()
	minute := 5 * time.Minute
	const mfa = "https://refeds.org/profile/mfa"
	old := samlLie{session: func(s *saml.Session) { s.CreateTime = time.Now().Add(-90 * 24 * time.Hour) }}
	strong := samlLie{session: func(s *saml.Session) { s.AuthnContextClassRef = mfa }}
	for name, tc := range map[string]struct {
		request *request.Request
		lie     samlLie
		want    FailureKind
		force   string
		context string
		acr     string
	}{
		"Nothing":                               {&request.Request{}, samlLie{}, "", "", "", sso.ACRExternal},
		"An old sign-in will do":                {&request.Request{}, old, "", "", "", sso.ACRExternal},
		"prompt=login is ForceAuthn":            {&request.Request{Prompt: []string{"login"}}, samlLie{}, "", "true", "", sso.ACRExternal},
		"max_age is ForceAuthn":                 {&request.Request{MaxAge: &minute}, samlLie{}, "", "true", "", sso.ACRExternal},
		"An old sign-in after prompt=login":     {&request.Request{Prompt: []string{"login"}}, old, Unproved, "true", "", ""},
		"An old sign-in with max_age":           {&request.Request{MaxAge: &minute}, old, Unproved, "true", "", ""},
		"Two factors are asked for as mapped":   {&request.Request{ACRValues: []string{sso.ACRMFA}}, strong, "", "", mfa, sso.ACRMFA},
		"Two factors that were not proved":      {&request.Request{ACRValues: []string{sso.ACRMFA}}, samlLie{}, "", "", mfa, sso.ACRExternal},
		"Values of OpenID Connect mean nothing": {&request.Request{ACRValues: []string{"phr"}}, samlLie{}, "", "", "", sso.ACRExternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSAMLIDP(t)
			s := samlSite(t, p, func(c *Config) { c.ACR = map[string]string{mfa: MFA} })
			s.request = tc.request
			address := s.leave()
			sent := requestOf(t, address)
			if seen := sent.SelectAttrValue("ForceAuthn", ""); seen != tc.force {
				t.Errorf("expected ForceAuthn %q, seen %q", tc.force, seen)
			}
			context := ""
			if class := sent.FindElement("./RequestedAuthnContext/AuthnContextClassRef"); class != nil {
				context = class.Text()
			}
			if context != tc.context {
				t.Errorf("expected the context %q, seen %q", tc.context, context)
			}
			location, _ := s.post(p.answer(address, tc.lie))
			if location != "" {
				s.get(s.browser, location)
			}
			if seen := s.signIn.lastFailure(); seen != tc.want {
				t.Fatalf("expected %q, seen %q: %s", tc.want, seen, s.signIn.lastCause())
			}
			if tc.want == "" && s.signIn.lastAnswer().Assertion.ACR != tc.acr {
				t.Errorf("expected acr %s, seen %s", tc.acr, s.signIn.lastAnswer().Assertion.ACR)
			}
		})
	}
}

func TestWhoAUserOfASAMLProviderIs(t *testing.T) {
	t.Parallel()
	byUID := func(c *Config) { c.SAML.Username = "uid" }
	uid := func(values ...string) func(*saml.Session) {
		return func(s *saml.Session) { s.CustomAttributes = append(s.CustomAttributes, attribute("uid", values...)) }
	}
	transient := func(next func(*saml.Session)) samlLie {
		return samlLie{session: func(s *saml.Session) {
			s.NameIDFormat = string(saml.TransientNameIDFormat)
			if next != nil {
				next(s)
			}
		}}
	}
	const nameID = "(the NameID)" // with the qualifiers of an honest provider
	persistent := string(saml.PersistentNameIDFormat)
	for name, tc := range map[string]struct {
		config  func(*Config)
		lie     samlLie
		subject string // empty if the response is refused
		account string
		email   string
	}{
		"The NameID":                        {nil, samlLie{}, nameID, "partners/alice-id", "alice@partners.example"},
		"The NameID, named by an attribute": {byUID, samlLie{session: uid("Alice")}, nameID, "partners/alice", "alice@partners.example"},
		"Qualifiers make another subject": {nil, samlLie{assertion: func(a *saml.Assertion) { a.Subject.NameID.NameQualifier, a.Subject.NameID.SPNameQualifier = "q", "sp" }},
			subjectOf("nameid", persistent, "q", "sp", "alice-id"), "partners/alice-id", "alice@partners.example"},
		"The format makes another subject": {nil, samlLie{session: func(s *saml.Session) { s.NameIDFormat = string(saml.UnspecifiedNameIDFormat) }},
			subjectOf("nameid", string(saml.UnspecifiedNameIDFormat), "", "", "alice-id"), "partners/alice-id", "alice@partners.example"},
		"A transient NameID and an attribute":  {byUID, transient(uid("alice")), subjectOf("attribute", "uid", "alice"), "partners/alice", "alice@partners.example"},
		"The attribute is missing":             {byUID, samlLie{}, "", "", ""},
		"The attribute has two values":         {byUID, transient(uid("alice", "admin")), "", "", ""},
		"The attribute appears twice":          {byUID, transient(func(s *saml.Session) { uid("alice")(s); uid("admin")(s) }), "", "", ""},
		"The attribute is empty":               {byUID, transient(uid("")), "", "", ""},
		"The attribute has a space":            {byUID, transient(uid("alice ")), "", "", ""},
		"An address of another domain is none": {func(c *Config) { c.Domains = []string{"other.example"} }, samlLie{}, nameID, "partners/alice-id", ""},
		"A NameID that is an address": {nil, samlLie{session: func(s *saml.Session) {
			s.NameIDFormat, s.NameID, s.UserEmail = string(saml.EmailAddressNameIDFormat), "bob@partners.example", ""
		}}, subjectOf("nameid", string(saml.EmailAddressNameIDFormat), "", "", "bob@partners.example"), "partners/bob", "bob@partners.example"},
		"An attribute of the operator's choice": {func(c *Config) { c.SAML.Claims = map[string]string{"email": "contact"} },
			samlLie{session: func(s *saml.Session) {
				s.CustomAttributes = append(s.CustomAttributes, attribute("contact", "x@partners.example"))
			}},
			nameID, "partners/alice-id", "x@partners.example"},
		"Two addresses are none": {nil, samlLie{session: func(s *saml.Session) {
			s.UserEmail, s.CustomAttributes = "", append(s.CustomAttributes, attribute("mail", "a@partners.example", "b@partners.example"))
		}}, nameID, "partners/alice-id", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSAMLIDP(t)
			s := samlSite(t, p, tc.config)
			s.signInWith(p, tc.lie)
			answer := s.signIn.lastAnswer()
			if (answer != nil) != (tc.subject != "") {
				t.Fatalf("expected a user: %t, seen %s: %s", tc.subject != "", s.signIn.lastFailure(), s.signIn.lastCause())
			}
			if answer == nil {
				return
			}
			want := strings.Replace(tc.subject, nameID, p.subject(s, "alice-id"), 1)
			if seen := answer.Assertion.Subject; seen != want {
				t.Errorf("expected the subject %s, seen %s", want, seen)
			}
			if seen := answer.User.Name; seen != tc.account {
				t.Errorf("expected the account %s, seen %s", tc.account, seen)
			}
			if seen := answer.User.Email; seen != tc.email {
				t.Errorf("expected the address %q, seen %q", tc.email, seen)
			}
		})
	}
}

func TestASAMLSessionBoundsOurs(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	s.signInWith(p, samlLie{assertion: func(a *saml.Assertion) { a.AuthnStatements[0].SessionNotOnOrAfter = &ends }})
	answer := s.signIn.lastAnswer()
	if answer == nil {
		t.Fatal(s.signIn.lastCause())
	}
	if seen := answer.Assertion.SessionEnds; !seen.Equal(ends) {
		t.Errorf("expected %s, seen %s", ends, seen)
	}
}

// An assertion with several statements has the earliest sign-in and the earliest end of the
// session. Its class is ignored, because no class is certain to belong to that sign-in.
func TestSeveralAuthenticationStatements(t *testing.T) {
	t.Parallel()
	const mfa = "https://refeds.org/profile/mfa"
	now := time.Now().UTC().Truncate(time.Second)
	at := func(ago, lasts time.Duration, class string) saml.AuthnStatement {
		ends := now.Add(lasts)
		statement := saml.AuthnStatement{AuthnInstant: now.Add(-ago), SessionNotOnOrAfter: &ends}
		if class != "" {
			statement.AuthnContext.AuthnContextClassRef = &saml.AuthnContextClassRef{Value: class}
		}
		return statement
	}
	for name, tc := range map[string]struct {
		statements []saml.AuthnStatement
		since      time.Duration
		lasts      time.Duration
		acr        string
	}{
		"one with a class":                       {[]saml.AuthnStatement{at(time.Minute, time.Hour, mfa)}, time.Minute, time.Hour, sso.ACRMFA},
		"one without a class":                    {[]saml.AuthnStatement{at(time.Minute, time.Hour, "")}, time.Minute, time.Hour, sso.ACRExternal},
		"the earliest is the first":              {[]saml.AuthnStatement{at(time.Hour, time.Hour, mfa), at(time.Minute, 2*time.Hour, mfa)}, time.Hour, time.Hour, sso.ACRExternal},
		"the earliest is the last":               {[]saml.AuthnStatement{at(time.Minute, 2*time.Hour, mfa), at(time.Hour, time.Hour, mfa)}, time.Hour, time.Hour, sso.ACRExternal},
		"the class is that of another time":      {[]saml.AuthnStatement{at(time.Hour, time.Hour, ""), at(time.Minute, time.Hour, mfa)}, time.Hour, time.Hour, sso.ACRExternal},
		"a class and then a statement with none": {[]saml.AuthnStatement{at(time.Hour, time.Hour, mfa), at(time.Minute, time.Hour, "")}, time.Hour, time.Hour, sso.ACRExternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSAMLIDP(t)
			s := samlSite(t, p, func(c *Config) { c.ACR = map[string]string{mfa: MFA} })
			s.signInWith(p, samlLie{assertion: func(a *saml.Assertion) { a.AuthnStatements = tc.statements }})
			answer := s.signIn.lastAnswer()
			if answer == nil {
				t.Fatalf("expected a user, seen %s: %s", s.signIn.lastFailure(), s.signIn.lastCause())
			}
			if seen, want := answer.Assertion.AuthTime, now.Add(-tc.since); !seen.Equal(want) {
				t.Errorf("expected a sign-in at %s, seen %s", want, seen)
			}
			if seen, want := answer.Assertion.SessionEnds, now.Add(tc.lasts); !seen.Equal(want) {
				t.Errorf("expected a session until %s, seen %s", want, seen)
			}
			if seen := answer.Assertion.ACR; seen != tc.acr {
				t.Errorf("expected acr %s, seen %s", tc.acr, seen)
			}
		})
	}
}

// The configuration can change while a user is at the external provider. A login that began
// with OpenID Connect has no SAML request, so an unsolicited response must not complete it.
func TestALoginWithoutASAMLRequest(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	after := s.broker
	provider := oidctest.New(t)
	s.broker = s.node([]Config{oidcConfig("partners", provider, nil)})
	away, err := url.Parse(s.leave())
	if err != nil {
		t.Fatal(err)
	}
	s.broker = after
	_, status := s.post(p.initiate(s.broker.SAMLEntityID("partners"), away.Query().Get("state"), samlLie{}))
	if seen := s.signIn.lastCause(); status != http.StatusBadRequest || seen != "the login has made no SAML request" {
		t.Errorf("expected that the login has made no request, seen %d: %s", status, seen)
	}
}

func TestADatabaseThatIsDownIsNoWrongResponse(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	acs, form := p.answer(s.leave(), samlLie{})
	s.store.down = true
	if _, status := s.post(acs, form); status != http.StatusServiceUnavailable {
		t.Errorf("expected 503, seen %d", status)
	}
	s.store.down = false
	if location, _ := s.post(acs, form); location == "" {
		t.Errorf("expected that the response counts afterwards, seen %s", s.signIn.lastCause())
	}
}

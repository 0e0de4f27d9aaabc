package broker

import (
	"net/http"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// FuzzSAMLResponse changes honest responses. An accepted response is signed and names the
// user who signed in. All refusals look the same to users.
// TestWhatASAMLProviderIsNotBelieved checks that their causes say nothing about the user.
func FuzzSAMLResponse(f *testing.F) {
	p := newSAMLIDP(f)
	s := samlSite(f, p, nil)
	kind := s.broker.external("partners").kind.(*samlProvider)
	address := s.leave()
	requestID := requestOf(f, address).SelectAttrValue("ID", "")
	for _, sign := range []string{SignBoth, SignResponse, SignAssertion} {
		_, form := p.answer(address, samlLie{sign: sign})
		f.Add(decoded(f, form))
	}
	for _, form := range wrappings {
		_, posted := p.answer(address, samlLie{sign: form.sign, final: func(document *etree.Document) {
			document.SetRoot(form.wrap(document.Root().Copy()))
		}})
		f.Add(decoded(f, posted))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		v, err := kind.verify(t.Context(), document, requestID)
		if err != nil {
			if seen := failureOf(err).Kind; seen != Invalid {
				t.Errorf("expected the kind %s, seen %s: %v", Invalid, seen, err)
			}
			return
		}
		if seen := v.Subject.NameID.Value; seen != "alice-id" {
			t.Errorf("expected the user who signed in, seen %q", seen)
		}
		if !v.covered.response && !v.covered.assertion {
			t.Error("expected a signature, seen none")
		}
	})
}

// FuzzSAMLMetadata checks that accepted metadata has an entity ID, and addresses to which
// browsers may be redirected.
func FuzzSAMLMetadata(f *testing.F) {
	p := newSAMLIDP(f)
	s := samlSite(f, p, nil)
	source := s.broker.external("partners").kind.(*samlProvider).source
	f.Add(p.describe())
	f.Add([]byte(`<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + string(p.describe()) + `</EntitiesDescriptor>`))
	f.Add([]byte(strings.ReplaceAll(string(p.describe()), "http://127.0.0.1", "http://evil.test")))
	f.Add([]byte("<!DOCTYPE x>" + string(p.describe())))
	f.Fuzz(func(t *testing.T, document []byte) {
		entity, err := source.parse(document)
		if err != nil {
			return
		}
		if entity.EntityID == "" {
			t.Error("expected an entity ID, seen none")
		}
		for _, role := range entity.IDPSSODescriptors {
			for _, service := range role.SingleSignOnServices {
				if strings.HasSuffix(service.Binding, "HTTP-Redirect") && op.CheckURL(service.Location, false) != nil {
					t.Errorf("expected an address with TLS, seen %s", service.Location)
				}
			}
		}
	})
}

// FuzzPosted checks that a response is read from the form only, never from the query, and
// that its size is limited.
func FuzzPosted(f *testing.F) {
	f.Add("SAMLResponse=PHgvPg%3D%3D&RelayState=x")
	f.Add("SAMLResponse=PHgvPg==&SAMLResponse=PHkvPg==")
	f.Add("SAMLart=AAAA&SAMLResponse=PHgvPg==")
	f.Add("SAMLResponse=%zz")
	f.Fuzz(func(t *testing.T, body string) {
		w := newRecorder()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://login.test/saml/partners/acs?SAMLResponse=PHovPg==", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		got, err := readPosted(w, r)
		if err != nil {
			return
		}
		if string(got.document) == "<z/>" && !strings.Contains(body, "P") {
			t.Error("expected nothing of the query, seen its response")
		}
		if _, err := checkShape(got.document); err == nil && len(got.document) > maxResponse {
			t.Errorf("expected at most %d bytes, seen %d", maxResponse, len(got.document))
		}
	})
}

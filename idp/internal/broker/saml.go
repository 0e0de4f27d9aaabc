package broker

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// This file implements external SAML 2.0 identity providers. For each of them we
// are a service provider with its own entity ID, assertion consumer service and
// keys. crewjam/saml implements signatures and encryption; saml_response.go
// restricts what is accepted.

type samlProvider struct {
	b        *Broker
	external *external
	source   *samlSource
	keys     *samlKeys
}

func (b *Broker) newSAML(e *external) (provider, error) {
	source, err := b.newSource(e)
	if err != nil {
		return nil, err
	}
	keys, err := b.newKeys(e)
	if err != nil {
		return nil, err
	}
	return &samlProvider{b: b, external: e, source: source, keys: keys}, nil
}

func (p *samlProvider) close() { p.source.close() }

// address returns one of our addresses for this external provider.
func (p *samlProvider) address(name string) string {
	return p.b.Issuer + "/saml/" + p.external.ID + "/" + name
}

// SAMLEntityID returns our entity ID at a SAML identity provider; "" for an
// external provider of another kind.
func (b *Broker) SAMLEntityID(id string) string { return b.samlAddress(id, "metadata") }

// SAMLAssertionURL returns the address of the assertion consumer service.
func (b *Broker) SAMLAssertionURL(id string) string { return b.samlAddress(id, "acs") }

func (b *Broker) samlAddress(id, name string) string {
	for _, e := range b.externals {
		if p, ok := e.kind.(*samlProvider); ok && e.ID == id {
			return p.address(name)
		}
	}
	return ""
}

// serve serves our addresses.
func (p *samlProvider) serve(w http.ResponseWriter, r *http.Request, name string) bool {
	methods := map[string]map[string]func(http.ResponseWriter, *http.Request){
		"metadata": {http.MethodGet: p.serveMetadata},
		"acs":      {http.MethodPost: p.serveResponse},
		"continue": {http.MethodGet: p.serveAnswer, http.MethodPost: p.serveAgreed},
	}[name]
	if methods == nil {
		return false
	}
	secure(w)
	if serve := methods[r.Method]; serve != nil {
		serve(w, r)
		return true
	}
	for method := range methods {
		w.Header().Add("Allow", method)
	}
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	return true
}

// serviceProvider returns our service provider for an identity provider. It accepts
// only responses to our own requests: AllowIDPInitiated is never set here.
func (p *samlProvider) serviceProvider(ctx context.Context, idp *saml.EntityDescriptor) (*saml.ServiceProvider, error) {
	keys, err := p.keys.get(ctx)
	if err != nil {
		return nil, err
	}
	metadata, err := url.Parse(p.address("metadata"))
	if err != nil {
		return nil, err
	}
	acs, err := url.Parse(p.address("acs"))
	if err != nil {
		return nil, err
	}
	return &saml.ServiceProvider{
		EntityID: metadata.String(), MetadataURL: *metadata, AcsURL: *acs, IDPMetadata: idp,
		Key: keys.signing.key, Certificate: keys.signing.certificate,
		EncryptionKey: keys.decryption.key, EncryptionCertificate: keys.decryption.certificate, DecryptionKeys: keys.alsoDecrypt,
		SignatureMethod:                  dsig.RSASHA256SignatureMethod,
		AuthnNameIDFormat:                saml.UnspecifiedNameIDFormat,
		AssertionConsumerServiceBindings: []string{saml.HTTPPostBinding},
		MetadataOmitValidUntil:           true,
		RejectSHA1Signatures:             true,
		RejectExpiredIDPMetadata:         true,
		RejectUnknownConditions:          true,
		RequireSignedResponseForCBC:      true,
		LimitRelayStateLength:            true,
		ReplayCache:                      replayCache{ctx, p.b, p.external},
		Clock:                            dsig.NewFakeClockAt(p.b.Now()),
	}, nil
}

// leave creates a signed request (SAML Core 3.4.1). SAML has no max_age: if one is
// demanded, the user has to authenticate again.
func (p *samlProvider) leave(ctx context.Context, l *login) (departure, error) {
	idp, err := p.source.get(ctx)
	if err != nil {
		return departure{}, err
	}
	sp, err := p.serviceProvider(ctx, idp)
	if err != nil {
		return departure{}, err
	}
	if l.Fresh || l.MaxAge != nil {
		force := true
		sp.ForceAuthn = &force
	}
	if len(l.ACRs) > 0 {
		sp.RequestedAuthnContext = &saml.RequestedAuthnContext{Comparison: "exact", AuthnContextClassRefs: l.ACRs}
	}
	binding := saml.HTTPRedirectBinding
	address := sp.GetSSOBindingLocation(binding)
	if address == "" {
		binding = saml.HTTPPostBinding
		address = sp.GetSSOBindingLocation(binding)
	}
	request, err := sp.MakeAuthenticationRequest(address, saml.HTTPRedirectBinding, saml.HTTPPostBinding)
	if err != nil {
		return departure{}, failed(Unconfigured, fmt.Errorf("make a SAML request: %w", err))
	}
	// Do not request a format: it would override that in the provider's settings,
	// which unsolicited responses have, so that one user would have two subjects.
	request.NameIDPolicy.Format = nil
	l.MessageID = request.ID
	if binding == saml.HTTPRedirectBinding {
		u, err := request.Redirect(l.state, sp)
		if err != nil {
			return departure{}, failed(Unconfigured, fmt.Errorf("make a SAML request: %w", err))
		}
		return departure{url: u.String()}, nil
	}
	if err := sp.SignAuthnRequest(request); err != nil {
		return departure{}, failed(Unconfigured, fmt.Errorf("sign a SAML request: %w", err))
	}
	document := etree.NewDocument()
	document.SetRoot(request.Element())
	text, err := document.WriteToBytes()
	if err != nil {
		return departure{}, failed(Unconfigured, err)
	}
	return departure{url: address, fields: map[string]string{
		"SAMLRequest": base64.StdEncoding.EncodeToString(text), "RelayState": l.state,
	}}, nil
}

// serveMetadata serves our metadata. It has no logout service.
func (p *samlProvider) serveMetadata(w http.ResponseWriter, r *http.Request) {
	text, err := p.metadata(r.Context())
	if err != nil {
		p.b.fail(w, r, p.external, "", failed(kindOfStore(err), err))
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	w.Header().Set("Content-Disposition", `inline; filename="metadata.xml"`)
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(text) // the client has disconnected
}

// metadata returns our metadata.
func (p *samlProvider) metadata(ctx context.Context) ([]byte, error) {
	sp, err := p.serviceProvider(ctx, nil)
	if err != nil {
		return nil, err
	}
	keys, err := p.keys.get(ctx)
	if err != nil {
		return nil, err
	}
	descriptor := sp.Metadata()
	for i := range descriptor.SPSSODescriptors {
		role := &descriptor.SPSSODescriptors[i]
		wants := p.external.SAML.Sign != SignResponse
		role.WantAssertionsSigned = &wants
		keys.publish(role)
		for j := range role.KeyDescriptors {
			role.KeyDescriptors[j].EncryptionMethods = authenticated(role.KeyDescriptors[j].EncryptionMethods)
		}
	}
	element, err := descriptorElement(descriptor)
	if err != nil {
		return nil, err
	}
	return element, nil
}

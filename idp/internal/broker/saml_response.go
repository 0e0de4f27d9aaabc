package broker

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/crewjam/saml"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file parses SAML responses. First, a response must have the one structure
// that regular providers send: an element Response with one assertion, and nothing
// that could be parsed in two ways. Then crewjam/saml verifies it, and reads only
// what a signature covers.

const (
	// maxResponse is the maximum size of a response in bytes of XML, and maxForm
	// that of the form.
	maxResponse = 256 << 10
	maxForm     = 512 << 10
	maxDepth    = 64

	ticketReplay = "saml_assertion"
)

// posted is what a browser posts to the assertion consumer service.
type posted struct {
	document []byte
	relay    string
}

// readPosted parses the POST binding (Bindings 3.5). It ignores the query.
func readPosted(w http.ResponseWriter, r *http.Request) (posted, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return posted{}, errors.New("the body is not a form")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return posted{}, errors.New("the body is too large, or did not arrive")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return posted{}, errors.New("the body is not a form")
	}
	switch {
	case len(form["SAMLResponse"]) != 1:
		return posted{}, errors.New("there is not exactly one SAMLResponse")
	case len(form["RelayState"]) > 1:
		return posted{}, errors.New("there is more than one RelayState")
	case form.Has("SigAlg") || form.Has("Signature") || form.Has("SAMLart"):
		return posted{}, errors.New("it is of a binding that is not accepted")
	}
	document, err := base64.StdEncoding.DecodeString(strings.TrimSpace(form.Get("SAMLResponse")))
	if err != nil {
		return posted{}, errors.New("SAMLResponse is not base64")
	}
	return posted{document, form.Get("RelayState")}, nil
}

// checkNoDeclarations returns an error for DOCTYPE, comments and CDATA sections,
// which could define entities or be parsed differently by different parsers.
func checkNoDeclarations(document []byte) error {
	if bytes.Contains(document, []byte("<!")) {
		return errors.New("it has a DOCTYPE, a comment or a CDATA section")
	}
	return nil
}

// shape is what checkShape counts.
type shape struct {
	responses, assertions, depth int
	encrypted                    bool
	ids                          map[string]bool
}

// checkShape checks the structure of a response. encrypted reports whether the
// assertion is encrypted.
func checkShape(document []byte) (encrypted bool, err error) {
	if len(document) > maxResponse {
		return false, fmt.Errorf("it is larger than %d bytes", maxResponse)
	}
	if err := checkNoDeclarations(document); err != nil {
		return false, err
	}
	s := shape{ids: make(map[string]bool)}
	decoder := xml.NewDecoder(bytes.NewReader(document))
	for first := true; ; first = false {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, errors.New("it is not well-formed XML")
		}
		if err := s.take(token, first); err != nil {
			return false, err
		}
	}
	switch {
	case s.responses != 1:
		return false, errors.New("there is not exactly one Response")
	case s.assertions != 1:
		return false, fmt.Errorf("there is not exactly one assertion: there are %d", s.assertions)
	}
	return s.encrypted, nil
}

func (s *shape) take(token xml.Token, first bool) error {
	switch token := token.(type) {
	case xml.StartElement:
		if s.depth == 0 && (s.responses > 0 || token.Name != xml.Name{Space: samlProtocol, Local: "Response"}) {
			return errors.New("the root is not a Response")
		}
		if s.depth++; s.depth > maxDepth {
			return errors.New("it is nested too deeply")
		}
		return s.start(token)
	case xml.EndElement:
		s.depth--
	case xml.CharData:
		if s.depth == 0 && len(bytes.TrimSpace(token)) > 0 {
			return errors.New("there is text beside the root")
		}
	case xml.ProcInst:
		if !first || token.Target != "xml" {
			return errors.New("it has a processing instruction")
		}
	default:
		return errors.New("it has a DOCTYPE or a comment")
	}
	return nil
}

// start counts an element by its local name, whatever its namespace.
func (s *shape) start(element xml.StartElement) error {
	switch element.Name.Local {
	case "Response":
		s.responses++
	case "Assertion":
		s.assertions++
	case "EncryptedAssertion":
		s.assertions++
		s.encrypted = true
	case "EncryptedID", "NewEncryptedID", "EncryptedAttribute":
		return errors.New("a part of the assertion is encrypted separately")
	case "Object":
		return errors.New("a signature has an Object")
	}
	for _, attribute := range element.Attr {
		if !strings.EqualFold(attribute.Name.Local, "ID") || attribute.Name.Space == "xmlns" {
			continue
		}
		if s.ids[attribute.Value] {
			return errors.New("two elements have the same ID")
		}
		s.ids[attribute.Value] = true
	}
	return nil
}

// verified is a verified assertion.
type verified struct {
	*saml.Assertion
	entityID string
	covered  signatures
	keys     []*rsa.PrivateKey // our keys; it may be encrypted for one of them
}

// verify verifies a response. requestID is the ID of the request that it must
// respond to; if it is empty, the response must be unsolicited.
func (p *samlProvider) verify(ctx context.Context, document []byte, requestID string) (*verified, error) {
	encrypted, err := checkShape(document)
	if err != nil {
		return nil, err
	}
	v, err := p.parse(ctx, document, requestID)
	if err != nil {
		return nil, err
	}
	if err := v.covered.check(p.external.SAML.Sign); err != nil {
		return nil, err
	}
	if encrypted && !v.covered.assertion {
		return v, checkEncrypted(document, v.keys)
	}
	return v, nil
}

// parse verifies a response with crewjam/saml, with a parser for this response
// only.
func (p *samlProvider) parse(ctx context.Context, document []byte, requestID string) (*verified, error) {
	idp, err := p.source.get(ctx)
	if err != nil {
		return nil, err
	}
	sp, err := p.serviceProvider(ctx, idp)
	if err != nil {
		return nil, failed(kindOfStore(err), err)
	}
	var possible []string
	if requestID != "" {
		possible = []string{requestID}
	} else {
		sp.AllowIDPInitiated = true
	}
	v := &verified{entityID: idp.EntityID, keys: append([]*rsa.PrivateKey{sp.EncryptionKey}, sp.DecryptionKeys...)}
	sp.SignatureVerifier = &v.covered
	v.Assertion, err = sp.ParseXMLResponse(document, possible, sp.AcsURL)
	if errors.Is(err, saml.ErrInvalidSignature) { // the provider may have new keys
		p.source.doubt()
	}
	if err != nil {
		return nil, causeOf(err)
	}
	return v, nil
}

// causeOf returns the cause that crewjam/saml hides from users.
func causeOf(err error) error {
	var invalid *saml.InvalidResponseError
	var status saml.ErrBadStatus
	switch {
	case errors.As(err, &status):
		return fmt.Errorf("the provider answers with the status %s", status.Status)
	case errors.As(err, &invalid) && invalid.PrivateErr != nil:
		return invalid.PrivateErr
	}
	return err
}

// replayCache accepts each assertion once, on all nodes.
type replayCache struct {
	ctx      context.Context
	b        *Broker
	external *external
}

// Consume implements saml.AssertionReplayCache. It remembers the assertion for a
// while longer than its lifetime, because nodes with other clocks still accept it.
func (c replayCache) Consume(id string, expires time.Time) error {
	ticket := store.Ticket{
		Hash: store.HashOf(subjectOf(c.external.ID, id)), Kind: ticketReplay,
		Created: c.b.Now(), Expires: expires.Add(saml.MaxClockSkew),
	}
	err := c.b.Store.Update(c.ctx, func(tx store.Tx) error { return tx.AddTicket(ticket) })
	if errors.Is(err, store.ErrExists) {
		return saml.ErrAssertionReplayed
	}
	return err
}

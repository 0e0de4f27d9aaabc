package broker

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/beevik/etree"
	"github.com/crewjam/saml/xmlenc"
	dsig "github.com/russellhaering/goxmldsig"
)

// signatures records which elements of a response are signed, and checks what the
// signatures cover. goxmldsig verifies them.
type signatures struct{ response, assertion bool }

// VerifySignature implements saml.SignatureVerifier.
func (s *signatures) VerifySignature(ctx *dsig.ValidationContext, element *etree.Element) error {
	_, err := s.VerifySignedElement(ctx, element)
	return err
}

// VerifySignedElement implements saml.SignedElementVerifier. It returns the signed
// element; nothing else is read.
func (s *signatures) VerifySignedElement(ctx *dsig.ValidationContext, element *etree.Element) (*etree.Element, error) {
	signed, err := validate(ctx, element)
	if err != nil {
		return nil, err
	}
	switch signed.Tag {
	case "Response":
		s.response = true
	case "Assertion":
		s.assertion = true
	default:
		return nil, errors.New("an element is signed that need not be")
	}
	if signed.Tag != element.Tag {
		return nil, errors.New("the signature covers another element")
	}
	return signed, checkNames(signed)
}

// validate verifies a signature with the accepted certificates. If the signature
// does not name its certificate, all are tried.
func validate(ctx *dsig.ValidationContext, element *etree.Element) (*etree.Element, error) {
	all, err := ctx.CertificateStore.Certificates()
	if err != nil {
		return nil, err
	}
	if len(all) < 2 || element.FindElement("./Signature/KeyInfo") != nil {
		return ctx.Validate(element)
	}
	var last error
	for _, certificate := range all {
		one := *ctx
		one.CertificateStore = &dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{certificate}}
		signed, err := one.Validate(element)
		if err == nil {
			return signed, nil
		}
		last = err
	}
	return nil, last
}

// check checks the signed elements against the option sign.
func (s *signatures) check(sign string) error {
	missing := ""
	switch {
	case (sign == SignResponse || sign == SignBoth) && !s.response:
		missing = "response"
	case (sign == SignAssertion || sign == SignBoth) && !s.assertion:
		missing = "assertion"
	case !s.response && !s.assertion:
		missing = "response or assertion"
	}
	if missing != "" {
		return fmt.Errorf("the %s is not signed", missing)
	}
	return nil
}

// checkNames returns an error for elements with ambiguous names, and for an
// assertion inside of an assertion.
func checkNames(root *etree.Element) error {
	assertions := 0
	var visit func(*etree.Element) error
	visit = func(element *etree.Element) error {
		switch element.Tag {
		case "Assertion", "EncryptedAssertion":
			if assertions++; assertions > 1 {
				return errors.New("there is an assertion inside of another one")
			}
		case "EncryptedID", "EncryptedAttribute":
			return errors.New("a part of the assertion is encrypted separately")
		case "NameID", "Issuer", "Audience", "AuthnContextClassRef":
			if len(element.ChildElements()) > 0 {
				return fmt.Errorf("%s has child elements", element.Tag)
			}
		}
		for _, child := range element.Child {
			switch child := child.(type) {
			case *etree.Element:
				if err := visit(child); err != nil {
					return err
				}
			case *etree.CharData:
			default:
				return errors.New("there is a comment or a processing instruction")
			}
		}
		return nil
	}
	return visit(root)
}

// checkEncrypted checks an encrypted assertion without a signature of its own, in a
// response whose signature was accepted.
func checkEncrypted(document []byte, keys []*rsa.PrivateKey) error {
	read := etree.NewDocument()
	if err := read.ReadFromBytes(document); err != nil {
		return errors.New("it is not well-formed XML")
	}
	data := read.FindElement("//EncryptedAssertion/EncryptedData")
	if data == nil {
		return errors.New("there is no EncryptedData")
	}
	wrapped := append(data.FindElements("./KeyInfo/EncryptedKey"), data.Parent().FindElements("./EncryptedKey")...)
	bare := data.Copy()
	for _, element := range bare.FindElements("./KeyInfo/EncryptedKey") {
		element.Parent().RemoveChild(element)
	}
	for _, element := range wrapped[:min(len(wrapped), 4)] {
		for _, key := range keys {
			content, err := xmlenc.Decrypt(key, element)
			if err != nil {
				continue
			}
			plain, err := xmlenc.Decrypt(content, bare)
			if err != nil {
				continue
			}
			return checkPlain(plain)
		}
	}
	return errors.New("the encrypted assertion cannot be looked at")
}

func checkPlain(plain []byte) error {
	if err := checkNoDeclarations(plain); err != nil {
		return err
	}
	read := etree.NewDocument()
	if err := read.ReadFromBytes(plain); err != nil || read.Root() == nil {
		return errors.New("the encrypted assertion is not well-formed XML")
	}
	if strings.Contains(string(plain), "<?") && !strings.HasPrefix(strings.TrimSpace(string(plain)), "<?xml") {
		return errors.New("the encrypted assertion has a processing instruction")
	}
	if read.Root().Tag != "Assertion" {
		return errors.New("what is encrypted is not an assertion")
	}
	return checkNames(read.Root())
}

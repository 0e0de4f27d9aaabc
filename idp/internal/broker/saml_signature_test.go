package broker

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Only the part that the signature covers is read, without the signature itself, which
// could contain anything.
func TestTheSignedElementIsWhatIsRead(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{p.idp.Certificate}})
	ctx.Clock = dsig.NewFakeClockAt(time.Now())
	for tag, wrong := range map[string]string{"Response": "", "Assertion": "", "Subject": "an element is signed that need not be"} {
		element := etree.NewElement(tag)
		element.CreateAttr("ID", "id-"+tag)
		element.CreateElement("Issuer").SetText("them")
		p.sign(element, samlLie{})
		covered := new(signatures)
		signed, err := covered.VerifySignedElement(ctx, element)
		if wrong != "" {
			if err == nil || err.Error() != wrong {
				t.Errorf("%s: expected %q, seen %v", tag, wrong, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if signed.FindElement(".//Signature") != nil {
			t.Errorf("%s: expected no signature in what is read, seen one", tag)
		}
		if want := (signatures{tag == "Response", tag == "Assertion"}); *covered != want {
			t.Errorf("%s: expected %+v, seen %+v", tag, want, *covered)
		}
	}
}

func TestWhatIsSignedMeetsTheOption(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		sign string
		seen signatures
		want string
	}{
		{"", signatures{}, "the response or assertion is not signed"},
		{SignEither, signatures{}, "the response or assertion is not signed"},
		{SignEither, signatures{assertion: true}, ""},
		{"", signatures{response: true}, ""},
		{SignResponse, signatures{assertion: true}, "the response is not signed"},
		{SignAssertion, signatures{response: true}, "the assertion is not signed"},
		{SignBoth, signatures{response: true}, "the assertion is not signed"},
		{SignBoth, signatures{assertion: true}, "the response is not signed"},
		{SignBoth, signatures{true, true}, ""},
	} {
		seen := ""
		if err := test.seen.check(test.sign); err != nil {
			seen = err.Error()
		}
		if seen != test.want {
			t.Errorf("%q and %+v: expected %q, seen %q", test.sign, test.seen, test.want, seen)
		}
	}
}

// checkNames is a second line of defence, because the check of the response's shape already refuses
// most of these documents.
func TestNamesThatCouldBeReadInTwoWays(t *testing.T) {
	t.Parallel()
	for text, wrong := range map[string]string{
		`<Assertion><Issuer>them</Issuer><Subject><NameID>ada</NameID></Subject></Assertion>`:                   "",
		`<Response><Assertion/></Response>`:                                                                     "",
		`<Assertion><Advice><Assertion/></Advice></Assertion>`:                                                  "there is an assertion inside of another one",
		`<Response><Assertion/><EncryptedAssertion/></Response>`:                                                "there is an assertion inside of another one",
		`<Assertion><Subject><EncryptedID/></Subject></Assertion>`:                                              "a part of the assertion is encrypted separately",
		`<Assertion><AttributeStatement><EncryptedAttribute/></AttributeStatement></Assertion>`:                 "a part of the assertion is encrypted separately",
		`<Assertion><Subject><NameID>ad<x/>a</NameID></Subject></Assertion>`:                                    "NameID has child elements",
		`<Assertion><Issuer><x/></Issuer></Assertion>`:                                                          "Issuer has child elements",
		`<Assertion><Conditions><Audience>a<x/></Audience></Conditions></Assertion>`:                            "Audience has child elements",
		`<Assertion><AuthnContext><AuthnContextClassRef><x/></AuthnContextClassRef></AuthnContext></Assertion>`: "AuthnContextClassRef has child elements",
		`<Assertion><Subject><NameID>ad<!-- -->a</NameID></Subject></Assertion>`:                                "there is a comment or a processing instruction",
		`<Assertion><?x y?></Assertion>`:                                                                        "there is a comment or a processing instruction",
	} {
		document := etree.NewDocument()
		if err := document.ReadFromString(text); err != nil {
			t.Fatal(err)
		}
		seen := ""
		if err := checkNames(document.Root()); err != nil {
			seen = err.Error()
		}
		if seen != wrong {
			t.Errorf("%s: expected %q, seen %q", text, wrong, seen)
		}
	}
}

func TestWhatMayBeEncrypted(t *testing.T) {
	t.Parallel()
	const assertion = `<Assertion><Subject><NameID>ada</NameID></Subject></Assertion>`
	for text, wrong := range map[string]string{
		assertion:                                       "",
		`<?xml version="1.0"?>` + assertion:             "",
		`<!DOCTYPE x>` + assertion:                      "it has a DOCTYPE, a comment or a CDATA section",
		`<?x y?>` + assertion:                           "the encrypted assertion has a processing instruction",
		`<Response>` + assertion + `</Response>`:        "what is encrypted is not an assertion",
		strings.Replace(assertion, "ada", "ad<x/>a", 1): "NameID has child elements",
		`<Assertion>`:                                   "the encrypted assertion is not well-formed XML",
		``:                                              "the encrypted assertion is not well-formed XML",
	} {
		seen := ""
		if err := checkPlain([]byte(text)); err != nil {
			seen = err.Error()
		}
		if seen != wrong {
			t.Errorf("%s: expected %q, seen %q", text, wrong, seen)
		}
	}
}

package broker

import (
	"strings"
	"testing"

	"github.com/beevik/etree"
)

// wrapping is a form of signature wrapping. The signed response is still in the document,
// and its signature is valid, but a careless parser finds the assertion of an attacker
// first. The numbers are those of Somorovsky et al., "On Breaking SAML: Be Whoever You Want
// to Be" (2012).
type wrapping struct {
	name string
	sign string
	wrap func(response *etree.Element) *etree.Element // returns the new root
}

// evil copies an element and changes its user. The copy keeps its signatures if signed is
// true.
func evil(element *etree.Element, signed bool) *etree.Element {
	fake := element.Copy()
	for _, id := range fake.FindElements(".//NameID") {
		id.SetText("victim")
	}
	if !signed {
		for _, signature := range fake.FindElements(".//Signature") {
			signature.Parent().RemoveChild(signature)
		}
	}
	return fake
}

// renamed gives an element another ID.
func renamed(element *etree.Element) *etree.Element {
	element.CreateAttr("ID", "evil-"+element.SelectAttrValue("ID", ""))
	return element
}

// without removes the element's own signature.
func without(element *etree.Element) *etree.Element {
	bare := element.Copy()
	if signature := bare.FindElement("./Signature"); signature != nil {
		bare.RemoveChild(signature)
	}
	return bare
}

func assertionOf(response *etree.Element) *etree.Element { return response.FindElement("./Assertion") }

// under returns a new element with a child.
func under(name, namespace string, child *etree.Element) *etree.Element {
	parent := etree.NewElement(name)
	if prefix, _, ok := strings.Cut(name, ":"); ok {
		parent.CreateAttr("xmlns:"+prefix, namespace)
	}
	parent.AddChild(child)
	return parent
}

const (
	namespaceSig  = "http://www.w3.org/2000/09/xmldsig#"
	namespaceSAML = "urn:oasis:names:tc:SAML:2.0:assertion"
)

var wrappings = []wrapping{
	{"XSW1 the signed response is inside of the signature of another one", SignResponse, func(r *etree.Element) *etree.Element {
		fake := renamed(evil(r, false))
		signature := r.FindElement("./Signature").Copy()
		signature.AddChild(under("ds:Object", namespaceSig, without(r)))
		fake.InsertChildAt(1, signature)
		return fake
	}},
	{"XSW2 the signed response is beside the signature in another one", SignResponse, func(r *etree.Element) *etree.Element {
		fake := renamed(evil(r, false))
		fake.InsertChildAt(1, without(r))
		fake.InsertChildAt(2, r.FindElement("./Signature").Copy())
		return fake
	}},
	{"XSW3 another assertion comes before the signed one", SignAssertion, func(r *etree.Element) *etree.Element {
		r.InsertChildAt(assertionOf(r).Index(), renamed(evil(assertionOf(r), false)))
		return r
	}},
	{"XSW4 the signed assertion is inside of another one", SignAssertion, func(r *etree.Element) *etree.Element {
		signed := assertionOf(r)
		fake := renamed(evil(signed, false))
		r.RemoveChild(signed)
		fake.AddChild(signed)
		r.AddChild(fake)
		return r
	}},
	{"XSW5 the signature is in another assertion, and the signed one comes last", SignAssertion, func(r *etree.Element) *etree.Element {
		signed := assertionOf(r)
		fake := renamed(evil(signed, true))
		r.RemoveChild(signed)
		r.AddChild(fake)
		r.AddChild(without(signed))
		return r
	}},
	{"XSW6 the signed assertion is inside of its signature in another one", SignAssertion, func(r *etree.Element) *etree.Element {
		signed := assertionOf(r)
		fake := renamed(evil(signed, true))
		fake.FindElement("./Signature").AddChild(without(signed))
		r.RemoveChild(signed)
		r.AddChild(fake)
		return r
	}},
	{"XSW7 another assertion is among the extensions", SignAssertion, func(r *etree.Element) *etree.Element {
		r.InsertChildAt(1, under("samlp:Extensions", samlProtocol, evil(assertionOf(r), false)))
		return r
	}},
	{"XSW8 the signed assertion is in an object of the signature of another one", SignAssertion, func(r *etree.Element) *etree.Element {
		signed := assertionOf(r)
		fake := evil(signed, true)
		fake.FindElement("./Signature").AddChild(under("ds:Object", namespaceSig, without(signed)))
		r.RemoveChild(signed)
		r.AddChild(fake)
		return r
	}},
	{"another assertion of the same ID comes before the signed one", SignAssertion, func(r *etree.Element) *etree.Element {
		r.InsertChildAt(assertionOf(r).Index(), evil(assertionOf(r), false))
		return r
	}},
	{"another assertion of the same ID comes after the signed one", SignAssertion, func(r *etree.Element) *etree.Element {
		r.AddChild(evil(assertionOf(r), true))
		return r
	}},
	{"another assertion is in a signed response", SignResponse, func(r *etree.Element) *etree.Element {
		r.InsertChildAt(1, renamed(evil(assertionOf(r), false)))
		return r
	}},
	{"the signed response is the advice of another assertion", SignResponse, func(r *etree.Element) *etree.Element {
		signed := r.Copy()
		fake := renamed(evil(r, false))
		assertionOf(fake).AddChild(under("saml:Advice", namespaceSAML, signed))
		return fake
	}},
	{"the signed assertion is an attribute of another one", SignAssertion, func(r *etree.Element) *etree.Element {
		signed := assertionOf(r)
		fake := renamed(evil(signed, false))
		fake.FindElement(".//AttributeValue").AddChild(signed.Copy())
		r.RemoveChild(signed)
		r.AddChild(fake)
		return r
	}},
	{"the signed assertion has another namespace around it", SignAssertion, func(r *etree.Element) *etree.Element {
		signed := assertionOf(r)
		r.RemoveChild(signed)
		r.AddChild(renamed(evil(signed, false)))
		r.AddChild(under("x:Keep", "urn:x", signed))
		return r
	}},
	{"a second user is in the signed assertion", SignAssertion, func(r *etree.Element) *etree.Element {
		subject := assertionOf(r).FindElement("./Subject")
		subject.InsertChildAt(0, evil(subject.FindElement("./NameID"), false))
		subject.ChildElements()[0].SetText("victim")
		return r
	}},
	{"the signature of an assertion is moved to another one", SignAssertion, func(r *etree.Element) *etree.Element {
		signed := assertionOf(r)
		r.RemoveChild(signed)
		r.AddChild(evil(signed, true))
		return r
	}},
	{"the reference of the signature is empty", SignAssertion, func(r *etree.Element) *etree.Element {
		assertionOf(r).FindElement("./Signature/SignedInfo/Reference").CreateAttr("URI", "")
		return r
	}},
	{"two references are in the signature", SignAssertion, func(r *etree.Element) *etree.Element {
		info := assertionOf(r).FindElement("./Signature/SignedInfo")
		info.AddChild(info.FindElement("./Reference").Copy())
		return r
	}},
}

// All forms of signature wrapping are refused, while the honest response is accepted.
func TestSignatureWrapping(t *testing.T) {
	t.Parallel()
	for _, form := range wrappings {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			p := newSAMLIDP(t)
			s := samlSite(t, p, nil)
			s.signInWith(p, samlLie{sign: form.sign, final: func(document *etree.Document) {
				document.SetRoot(form.wrap(document.Root().Copy()))
			}})
			if answer := s.signIn.lastAnswer(); answer != nil {
				t.Fatalf("expected no user, seen %s", answer.Assertion.Subject)
			}
			if seen := s.signIn.lastFailure(); seen != Invalid {
				t.Errorf("expected %s, seen %q", Invalid, seen)
			}
			s.signInWith(p, samlLie{sign: form.sign})
			if s.signIn.lastAnswer() == nil {
				t.Errorf("expected that the honest response counts, seen %s", s.signIn.lastCause())
			}
		})
	}
}

// What the signature covers decides, even without the check of the response's shape. No
// form of signature wrapping signs in the attacker's user.
func TestSignatureWrappingWithoutTheShape(t *testing.T) {
	t.Parallel()
	for _, form := range wrappings {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			p := newSAMLIDP(t)
			s := samlSite(t, p, nil)
			kind := s.broker.external("partners").kind.(*samlProvider)
			address := s.leave()
			_, posted := p.answer(address, samlLie{sign: form.sign, final: func(document *etree.Document) {
				document.SetRoot(form.wrap(document.Root().Copy()))
			}})
			assertion, err := kind.parse(t.Context(), decoded(t, posted), requestOf(t, address).SelectAttrValue("ID", ""))
			if err == nil && assertion.Subject.NameID.Value != "alice-id" {
				t.Errorf("expected nothing or the user who signed in, seen %s", assertion.Subject.NameID.Value)
			}
		})
	}
}

package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/crewjam/saml"
)

// This file interprets a verified assertion: the subject, the claims, and when and
// how the user authenticated.

// wellKnown are the attributes for claims that the option claims does not mention:
// the names of the X.500 profile, of Active Directory and of common products.
var wellKnown = map[string][]string{
	"email": {"email", "mail", "urn:oid:0.9.2342.19200300.100.1.3", "urn:oid:1.2.840.113549.1.9.1",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"},
	"name": {"displayName", "name", "urn:oid:2.16.840.1.113730.3.1.241", "http://schemas.microsoft.com/identity/claims/displayname"},
	"given_name": {"givenName", "firstName", "urn:oid:2.5.4.42",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"},
	"family_name": {"sn", "surname", "lastName", "urn:oid:2.5.4.4",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname"},
	"locale": {"preferredLanguage", "urn:oid:2.16.840.1.113730.3.1.39"},
	"groups": {"groups", "memberOf", "isMemberOf", "urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "Role",
		"http://schemas.xmlsoap.org/claims/Group", "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"},
}

// maxNameID is the maximum length of an identifier (SAML Core 8.3.7 allows 256
// characters for persistent ones).
const maxNameID = 1024

// read returns our assertion for theirs.
func (p *samlProvider) read(v *verified, l *login) (*Assertion, error) {
	now := p.b.Now()
	c := p.external.SAML
	attributes := attributesOf(v.Assertion)
	a := &Assertion{Issuer: v.entityID}
	username := ""
	if c.Username != "" {
		var err error
		if username, err = single(attributes, c.Username); err != nil {
			return nil, err
		}
	}
	id := v.Subject.NameID
	if err := checkNameID(id); err != nil {
		return nil, err
	}
	switch {
	case id.Format != string(saml.TransientNameIDFormat):
		a.Subject = subjectOf("nameid", id.Format, id.NameQualifier, id.SPNameQualifier, id.Value)
		a.Name = id.Value
	case username == "":
		return nil, errors.New("the NameID is transient: it is another one each time. Set username to an attribute that names the user")
	default:
		a.Subject = subjectOf("attribute", c.Username, username)
	}
	if username != "" {
		a.Name = username
	}
	p.claims(a, attributes)
	if a.Claims.Email == "" && id.Format == string(saml.EmailAddressNameIDFormat) {
		a.Claims.Email = id.Value
	}
	acrs, err := a.readStatements(v.AuthnStatements, now)
	if err != nil {
		return nil, err
	}
	if l != nil {
		if err := l.checkTime(a.AuthTime, now); err != nil {
			return nil, err
		}
	}
	a.fill(p.external.Config, acrs, now)
	return a, nil
}

func checkNameID(id *saml.NameID) error {
	switch {
	case id == nil || id.Value == "":
		return errors.New("the NameID is empty")
	case strings.TrimFunc(id.Value, unicode.IsSpace) != id.Value:
		return errors.New("the NameID begins or ends with spaces")
	case strings.ContainsFunc(id.Value, unicode.IsControl):
		return errors.New("the NameID has control characters")
	case len(id.Value) > maxNameID:
		return errors.New("the NameID is too long")
	}
	return nil
}

// attributesOf returns the values of each attribute, by its Name. FriendlyName
// means nothing (Core 2.7.3.1). An attribute that is there twice has an empty
// entry: what would count is not known.
func attributesOf(assertion *saml.Assertion) map[string][]string {
	all, twice := make(map[string][]string), make(map[string]bool)
	for _, statement := range assertion.AttributeStatements {
		for _, attribute := range statement.Attributes {
			if _, there := all[attribute.Name]; there {
				twice[attribute.Name] = true
			}
			values := make([]string, 0, len(attribute.Values))
			for _, value := range attribute.Values {
				if !value.Nil {
					values = append(values, value.Value)
				}
			}
			all[attribute.Name] = values
		}
	}
	for name := range twice {
		all[name] = nil
	}
	return all
}

// single returns an attribute that must be there once, with one value.
func single(attributes map[string][]string, name string) (string, error) {
	values := attributes[name]
	if len(values) != 1 {
		return "", fmt.Errorf("the attribute that names the user is not there exactly once with one value: it has %d", len(values))
	}
	if err := checkNameID(&saml.NameID{Value: values[0]}); err != nil {
		return "", errors.New("the attribute that names the user is empty, too long, or has spaces at an end")
	}
	return values[0], nil
}

// claims reads the attributes that become claims. One that should have one value
// and has several says nothing.
func (p *samlProvider) claims(a *Assertion, attributes map[string][]string) {
	values := func(claim string) []string {
		names := wellKnown[claim]
		if name := p.external.SAML.Claims[claim]; name != "" {
			names = []string{name}
		}
		for _, name := range names {
			if found := attributes[name]; len(found) > 0 {
				return found
			}
		}
		return nil
	}
	for claim, to := range map[string]*string{
		"email": &a.Claims.Email, "name": &a.Claims.Name, "given_name": &a.Claims.GivenName,
		"family_name": &a.Claims.FamilyName, "locale": &a.Claims.Language,
	} {
		if found := values(claim); len(found) == 1 {
			*to = strings.TrimSpace(found[0])
		}
	}
	a.Claims.Groups = slices.Clone(values("groups"))
}

// readStatements determines when and how the user authenticated; of several
// statements the earliest time counts. It returns the authentication context
// classes.
func (a *Assertion) readStatements(statements []saml.AuthnStatement, now time.Time) (classes []string, err error) {
	for _, statement := range statements {
		switch instant := statement.AuthnInstant; {
		case instant.IsZero():
			return nil, errors.New("AuthnInstant is missing")
		case instant.After(now.Add(skew)):
			return nil, errors.New("AuthnInstant is in the future")
		case a.AuthTime.IsZero() || instant.Before(a.AuthTime):
			a.AuthTime = instant
		}
		if ends := statement.SessionNotOnOrAfter; ends != nil && (a.SessionEnds.IsZero() || ends.Before(a.SessionEnds)) {
			a.SessionEnds = *ends
		}
		if class := statement.AuthnContext.AuthnContextClassRef; class != nil {
			classes = append(classes, class.Value)
		}
	}
	if !a.SessionEnds.IsZero() && !now.Before(a.SessionEnds) {
		return nil, errors.New("SessionNotOnOrAfter has passed: the session at the provider is over")
	}
	if len(statements) > 1 {
		classes = nil // it is unknown which of them belongs to the time
	}
	return classes, nil
}

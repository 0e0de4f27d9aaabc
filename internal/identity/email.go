package identity

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file determines which e-mail addresses count as verified, and for which
// domains a provider is trusted.

// Email returns the e-mail address if it counts as verified; otherwise "", since
// users may have entered any address.
func (u User) Email() string {
	if value, ok := u.verifiedEmail(); ok {
		return value.Text()
	}
	return ""
}

// EmailDomain returns the domain of the user's e-mail address, in lower case. It is
// "" unless the address counts as verified, has exactly one @ and has an ASCII
// domain. believed reports whether the provider can vouch for a domain at this
// site: of several providers, only the default one and those with configured
// domains can.
func (u User) EmailDomain() (domain string, believed bool) {
	if !u.SignedIn() {
		return "", false
	}
	value, ok := u.verifiedEmail()
	if !ok {
		return "", false
	}
	domain = DomainOf(value.Plain())
	return domain, domain != "" && (!u.Prefixed || len(u.Mapping.Domains) > 0)
}

// verifiedEmail returns the claim email if it counts as verified. An email claim
// that the configuration derives from another claim never does, since
// email_verified does not vouch for it.
func (u User) verifiedEmail() (claims.Value, bool) {
	m := u.Mapping
	value, ok := u.Session.Claims.Get("email")
	if !ok || m.makes("email") {
		return claims.Value{}, false
	}
	verified, _ := u.Session.Claims.Get("email_verified")
	if !m.believes(value, verified.True() && !m.makes("email_verified")) {
		return claims.Value{}, false
	}
	return value, true
}

// believes reports whether an e-mail address of the provider counts as verified.
// verified is the email_verified of its source.
func (m *Mapping) believes(address claims.Value, verified bool) bool {
	return (verified || m.EmailTrusted) && (len(m.Domains) == 0 || slices.Contains(m.Domains, DomainOf(address.Plain())))
}

// makes reports whether the configuration derives the named claim from another one.
func (m *Mapping) makes(name string) bool {
	path, local := m.Claims[name]
	return local && path != name
}

// DomainOf returns the domain of an e-mail address in lower case; "" if it does not
// have exactly one @ with something on both sides, or the domain is not ASCII.
func DomainOf(address string) string {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" || strings.Contains(domain, "@") {
		return ""
	}
	for i := range len(domain) {
		if domain[i] >= utf8.RuneSelf {
			return ""
		}
	}
	return strings.ToLower(domain)
}

// emailFlaw returns why the address of a source does not count as verified; "" if
// it does.
func (m *Mapping) emailFlaw(source op.Claims) string {
	address, err := claims.FromJSON(source["email"])
	if err != nil {
		return "is not there"
	}
	switch {
	case m.believes(address, isEmailVerified(source)):
		return ""
	case !m.EmailTrusted && !isEmailVerified(source):
		return "email_verified is " + emailVerifiedAs(source)
	}
	return "it is not in one of the provider's domains"
}

func isEmailVerified(source op.Claims) bool {
	value, err := claims.FromJSON(source["email_verified"])
	return err == nil && value.True()
}

// emailVerifiedAs describes an email_verified that is not true, for messages.
func emailVerifiedAs(source op.Claims) string {
	if _, ok := source["email_verified"]; !ok {
		return "absent"
	}
	return "not true"
}

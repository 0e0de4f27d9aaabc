// Package identity turns what a provider said about a user into the user that a
// site sees: the user's name, the claims that a session keeps, groups and tenant.
// It also knows what logins request for that, and what a session lacks.
//
// It starts from the claims of an ID token and of a userinfo response that were
// checked before. It is pure: no network, no clock, no logger, no request. What
// an operator should know is returned as findings. How the claims are fetched and
// checked is known to package op, how a session is kept to package sessionstore,
// and what a user may do to package authz.
package identity

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Userinfo policies: when the userinfo endpoint is called at a login.
const (
	UserinfoAuto   = "auto" // when a claim that is named is not in the ID token
	UserinfoAlways = "always"
	UserinfoNever  = "never"
)

// Mapping is how the claims of one provider become a user, by its configuration.
// It is not changed once it is in use.
type Mapping struct {
	Provider string // the provider's id
	Issuer   string // the provider's issuer, as configured
	// Tenants is the issuer with op.TenantPart in the place of the tenant, if there
	// can be several, each an issuer of its own. Empty for a single issuer.
	Tenants string

	// ACRs are the acr that a login asks for to have a method in amr, by the method,
	// where the provider says that one leads to the other.
	ACRs map[string]string

	// Usernames are the claim paths that can name the user; the first that does
	// counts. There is at least one.
	Usernames []string
	// Claims are claims that the configuration makes: their names, each with the
	// path of the claim that it is made of.
	Claims map[string]string
	// Groups is the claim path of the user's groups. It may lead through lists.
	Groups string
	// GroupsNamed reports whether the configuration names Groups, so that it is
	// not the default, or says which of them exist here.
	GroupsNamed bool
	// GroupList and GroupNames, if there are any, are the groups that exist here: by
	// the provider's names, and by the provider's names with those here. No name
	// here is in both.
	GroupList  []string
	GroupNames map[string]string
	// TenantList are the tenants whose users may sign in. Empty for all.
	TenantList []string
	// EmailTrusted reports whether e-mail addresses count as verified, whatever the
	// provider says of them.
	EmailTrusted bool
	// Domains are the domains, in lower case, whose addresses the provider is
	// believed for. Empty for all.
	Domains []string
	// Userinfo is the policy: UserinfoAuto, UserinfoAlways or UserinfoNever.
	Userinfo string
}

// Sources are the checked claims about one user: those of the ID token, and those
// of userinfo, which are nil if it was not called.
type Sources struct {
	IDToken, Userinfo op.Claims
	// Lost reports whether userinfo was called and did not answer.
	Lost bool
}

// has reports whether either source has a value at a path, which may lead through
// lists.
func (s *Sources) has(path string) bool {
	return presentEach(s.IDToken, path) || presentEach(s.Userinfo, path)
}

// ofEmail returns the source that the e-mail address is taken from: an address
// and what vouches for it come from one source.
func (s *Sources) ofEmail() op.Claims {
	if _, ok := s.IDToken["email"]; ok {
		return s.IDToken
	}
	return s.Userinfo
}

// tenantOf returns the tenant of a checked ID token; empty if the provider has
// only one issuer.
func (m *Mapping) tenantOf(idToken op.Claims) string {
	var issuer, tenant string
	if m.Tenants == "" || json.Unmarshal(idToken["tid"], &tenant) != nil || json.Unmarshal(idToken["iss"], &issuer) != nil || issuer != m.issuerIn(tenant) {
		return ""
	}
	return tenant
}

// issuerIn returns the issuer of a tenant.
func (m *Mapping) issuerIn(tenant string) string {
	return strings.Replace(m.Tenants, op.TenantPart, tenant, 1)
}

// hasTenant reports whether users of a tenant can sign in.
func (m *Mapping) hasTenant(tenant string) bool {
	if len(m.TenantList) > 0 {
		return slices.Contains(m.TenantList, tenant)
	}
	return (&op.Metadata{Issuer: m.Tenants}).IsIssuer(m.issuerIn(tenant))
}

// TenantOf returns the tenant of a session; empty if the provider has only one
// issuer.
func (m *Mapping) TenantOf(s *session.Session) string {
	if m.Tenants != "" {
		if value, ok := s.Claims.Get(tenantEntry); ok {
			return value.Plain()
		}
	}
	return ""
}

// IssuerOf returns the issuer of a session. Only together with it does sub
// identify a user (Core 5.7): users of two tenants are two.
func (m *Mapping) IssuerOf(s *session.Session) string {
	if tenant := m.TenantOf(s); tenant != "" {
		return m.issuerIn(tenant)
	}
	return m.Issuer
}

// RevocationIssuer returns the issuer that revocations are kept under, for a name
// that was checked to be an issuer of the provider: each tenant has its own.
func (m *Mapping) RevocationIssuer(name string) string {
	if m.Tenants != "" && (&op.Metadata{Issuer: m.Tenants}).IsIssuer(name) {
		return name
	}
	return m.Issuer
}

// ACRFor returns the acr that a login asks for to have one of these methods in amr;
// empty if the provider has none for them.
func (m *Mapping) ACRFor(methods []string) string {
	for _, method := range methods {
		if acr := m.ACRs[method]; acr != "" {
			return acr
		}
	}
	return ""
}

// Package identity maps the claims of a provider to the user of a site: the user's name,
// the claims that a session keeps, groups and tenant. It also determines what logins have
// to request, and what a session lacks.
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

// Userinfo policies determine whether a login calls the userinfo endpoint.
const (
	UserinfoAuto   = "auto" // if the ID token lacks a claim that the configuration names
	UserinfoAlways = "always"
	UserinfoNever  = "never"
)

// Mapping is the configured mapping from the claims of one provider to users. It
// must not be changed once it is in use.
type Mapping struct {
	Provider string // the provider's id
	Issuer   string // the provider's issuer, as configured
	// Tenants is the issuer, with op.TenantPart for the tenant, of a provider with
	// several tenants; empty for a single issuer.
	Tenants string

	// ACRs has the acr to request for a method in amr, for providers where one
	// leads to the other.
	ACRs map[string]string

	// Usernames are the claim paths that can name the user, at least one. The first
	// one with a value is used.
	Usernames []string
	// Claims maps the names of derived claims to the paths of the claims that they
	// are derived from.
	Claims map[string]string
	// Groups is the claim path of the user's groups. It may lead through lists.
	Groups string
	// GroupsNamed reports whether the configuration sets Groups or which groups
	// exist here.
	GroupsNamed bool
	// GroupList and GroupNames, if not empty, are the groups that exist here: by
	// the provider's names, and by the provider's names with their local names. No
	// local name is in both.
	GroupList  []string
	GroupNames map[string]string
	// TenantList are the tenants whose users may sign in; empty for all.
	TenantList []string
	// EmailTrusted reports whether e-mail addresses count as verified regardless of
	// email_verified.
	EmailTrusted bool
	// Domains are the domains, in lower case, for whose addresses the provider is
	// trusted; empty for all.
	Domains []string
	// Userinfo is the policy: UserinfoAuto, UserinfoAlways or UserinfoNever.
	Userinfo string
}

// Sources are the verified claims about one user: those of the ID token, and those
// of userinfo, or nil if it was not called.
type Sources struct {
	IDToken, Userinfo op.Claims
	// Lost reports whether userinfo was called and failed.
	Lost bool
}

// has reports whether either source has a value at a path, which may lead through
// lists.
func (s *Sources) has(path string) bool {
	return presentEach(s.IDToken, path) || presentEach(s.Userinfo, path)
}

// ofEmail returns the source of the e-mail address. An address and its
// email_verified must come from the same source.
func (s *Sources) ofEmail() op.Claims {
	if _, ok := s.IDToken["email"]; ok {
		return s.IDToken
	}
	return s.Userinfo
}

// tenantOf returns the tenant of a verified ID token; "" if the provider has only
// one issuer.
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

// IssuerOf returns the issuer of a session. Only issuer and sub together identify a
// user (OpenID Connect Core 5.7): users of different tenants are different users.
func (m *Mapping) IssuerOf(s *session.Session) string {
	if tenant := m.TenantOf(s); tenant != "" {
		return m.issuerIn(tenant)
	}
	return m.Issuer
}

// RevocationIssuer returns the issuer that revocations are stored with, for a name
// that is known to be an issuer of the provider.
func (m *Mapping) RevocationIssuer(name string) string {
	if m.Tenants != "" && (&op.Metadata{Issuer: m.Tenants}).IsIssuer(name) {
		return name
	}
	return m.Issuer
}

// ACRFor returns the acr to request to get one of the methods in amr; "" if the
// provider has none for them.
func (m *Mapping) ACRFor(methods []string) string {
	for _, method := range methods {
		if acr := m.ACRs[method]; acr != "" {
			return acr
		}
	}
	return ""
}

package op

import (
	"errors"
	"regexp"
	"strings"
)

// This file knows issuers that stand for many: Entra ID's metadata for
// `common` and `organizations` has the issuer
// https://login.microsoftonline.com/{tenantid}/v2.0, and each token that of its
// own tenant, which it also names in tid.

// TenantPart stands in an issuer for the tenant that a token is of.
const TenantPart = "{tenantid}"

// tenantID is a UUID as Entra ID writes it: one spelling for one tenant.
var tenantID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// IsTenant reports whether a text can be the id of a tenant.
func IsTenant(text string) bool { return tenantID.MatchString(text) }

// tenantAliases are what Entra ID puts in the place of the tenant where any
// tenant's users may sign in.
var tenantAliases = []string{"common", "organizations"}

// isForAllTenants reports whether an issuer with TenantPart is that of an address
// which names no tenant. Where it names one, other tenants' tokens must not
// come in because a document says so.
func isForAllTenants(issuer, address string) bool {
	return strings.Contains(issuer, TenantPart) && TenantTemplate(address) == issuer && issuer != address
}

// TenantTemplate is the issuer with TenantPart that a configured issuer can turn
// out to have, or "" for one that names a single issuer.
func TenantTemplate(issuer string) string {
	if strings.Contains(issuer, TenantPart) {
		return issuer
	}
	for _, alias := range tenantAliases {
		if before, after, ok := strings.Cut(issuer, "/"+alias+"/"); ok && !strings.HasSuffix(before, "/") {
			return before + "/" + TenantPart + "/" + after
		}
	}
	return ""
}

// Tenants reports whether the issuer stands for many.
func (m *Metadata) Tenants() bool { return strings.Contains(m.Issuer, TenantPart) }

// IsIssuer reports whether a name is the provider's, or one of its tenants'.
func (m *Metadata) IsIssuer(name string) bool {
	before, after, many := strings.Cut(m.Issuer, TenantPart)
	if !many {
		return name == m.Issuer
	}
	tenant, ok := strings.CutPrefix(name, before)
	if ok {
		tenant, ok = strings.CutSuffix(tenant, after)
	}
	return ok && tenantID.MatchString(tenant)
}

// CheckTenant holds checked claims to the tenants whose tokens are taken.
func (c *Client) CheckTenant(idToken Claims) error {
	check := idTokenCheck{tenants: c.Tenants}
	return check.checkTenant(object(idToken))
}

// checkIssuerOf holds the iss of a token to the provider's issuer, with the
// token's own tenant put in where that has none.
func (m *Metadata) checkIssuerOf(claims object) error {
	issuer, err := claims.text("iss")
	if err != nil {
		return err
	}
	want := m.Issuer
	if m.Tenants() {
		tenant, err := claims.text("tid")
		if err != nil || !tenantID.MatchString(tenant) {
			return errors.New("tid names no tenant, which the provider's issuer needs")
		}
		want = strings.Replace(want, TenantPart, tenant, 1)
	}
	if issuer != want {
		return notTheIssuer(issuer)
	}
	return nil
}

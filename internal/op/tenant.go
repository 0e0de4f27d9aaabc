package op

import (
	"errors"
	"regexp"
	"strings"
)

// This file handles issuers that stand for many tenants: Entra ID's metadata for
// common and organizations has the issuer
// https://login.microsoftonline.com/{tenantid}/v2.0, and each token has that of its
// tenant, which is also in tid.

// TenantPart is the part of an issuer that stands for the tenant.
const TenantPart = "{tenantid}"

// tenantID matches a UUID in the only spelling that Entra ID uses.
var tenantID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// IsTenant reports whether a text has the form of a tenant's id.
func IsTenant(text string) bool { return tenantID.MatchString(text) }

// tenantAliases replace the tenant in Entra ID URLs at which users of any tenant
// may sign in.
var tenantAliases = []string{"common", "organizations"}

// isForAllTenants reports whether an issuer with TenantPart is that of a URL which
// names no tenant. If the URL names one, a document must not let in the tokens of
// other tenants.
func isForAllTenants(issuer, address string) bool {
	return strings.Contains(issuer, TenantPart) && TenantTemplate(address) == issuer && issuer != address
}

// TenantTemplate returns the issuer with TenantPart that the metadata of a
// configured issuer may have; "" if it names a single issuer.
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

// Tenants reports whether the issuer stands for many tenants.
func (m *Metadata) Tenants() bool { return strings.Contains(m.Issuer, TenantPart) }

// IsIssuer reports whether name is the provider's issuer, or one of its tenants'.
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

// CheckTenant checks that verified claims are from an accepted tenant.
func (c *Client) CheckTenant(idToken Claims) error {
	check := idTokenCheck{tenants: c.Tenants}
	return check.checkTenant(object(idToken))
}

// checkIssuerOf checks iss against the provider's issuer, with the token's own
// tenant filled in.
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

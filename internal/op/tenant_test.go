package op

import (
	"fmt"
	"testing"
)

const (
	microsoft = "https://login.microsoftonline.com/"
	tenantA   = "9188040d-6c67-4c5b-b112-36a304b66dad"
	tenantB   = "72f988bf-86f1-41af-91ab-2d7cd011db47"
)

func TestWhoseMetadataIsForAllTenants(t *testing.T) {
	t.Parallel()
	const all = microsoft + TenantPart + "/v2.0"
	for _, tc := range []struct {
		name, got, issuer, configurationURL string
		ok                                  bool
	}{
		{"the configuration URL for all", all, "", microsoft + "common/v2.0" + WellKnown, true},
		{"the configuration URL for companies", all, "", microsoft + "organizations/v2.0" + WellKnown, true},
		{"the issuer as in the document", all, all, microsoft + "common/v2.0" + WellKnown, true},
		{"the issuer for all", all, microsoft + "common/v2.0", "", true},
		{"the configuration URL of one tenant", all, "", microsoft + tenantA + "/v2.0" + WellKnown, false},
		{"the issuer of one tenant", all, microsoft + tenantA + "/v2.0", "", false},
		{"the issuer by name of one tenant", all, microsoft + "contoso.onmicrosoft.com/v2.0", "", false},
		{"another host", "https://evil.example/" + TenantPart + "/v2.0", "", microsoft + "common/v2.0" + WellKnown, false},
		{"another version", microsoft + TenantPart + "/v1.0", "", microsoft + "common/v2.0" + WellKnown, false},
		{"all of the path", microsoft + TenantPart, "", microsoft + "common" + WellKnown, false},
		{"a host for all", "https://" + TenantPart + "/v2.0", "https://common/v2.0", "", false},
	} {
		if err := checkIssuer(tc.got, tc.issuer, tc.configurationURL); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestATokenIsOfItsOwnTenant(t *testing.T) {
	t.Parallel()
	m := &Metadata{Issuer: microsoft + TenantPart + "/v2.0"}
	for name, tc := range map[string]struct {
		iss, tid string
		ok       bool
	}{
		"its own":                    {microsoft + tenantA + "/v2.0", `"` + tenantA + `"`, true},
		"another tenant's":           {microsoft + tenantA + "/v2.0", `"` + tenantB + `"`, false},
		"the template":               {m.Issuer, `"` + TenantPart + `"`, false},
		"no tenant":                  {microsoft + tenantA + "/v2.0", `null`, false},
		"a tenant that is no UUID":   {microsoft + "common/v2.0", `"common"`, false},
		"a tenant that is a path":    {microsoft + tenantA + "/x/v2.0", `"` + tenantA + `/x"`, false},
		"a tenant in capitals":       {microsoft + "9188040D-6C67-4C5B-B112-36A304B66DAD/v2.0", `"9188040D-6C67-4C5B-B112-36A304B66DAD"`, false},
		"a tenant that is no text":   {microsoft + tenantA + "/v2.0", `["` + tenantA + `"]`, false},
		"a tenant with a line after": {microsoft + tenantA + "\n/v2.0", `"` + tenantA + `\n"`, false},
		"another host":               {"https://evil.example/" + tenantA + "/v2.0", `"` + tenantA + `"`, false},
		"an empty tenant":            {microsoft + "/v2.0", `""`, false},
	} {
		claims, err := parseObject([]byte(fmt.Sprintf(`{"iss":%q,"tid":%s}`, tc.iss, tc.tid)))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.checkIssuerOf(claims); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]bool{
		microsoft + tenantB + "/v2.0": true, m.Issuer: false, microsoft + "common/v2.0": false, microsoft + tenantB: false, "": false,
	} {
		if m.IsIssuer(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	one := &Metadata{Issuer: microsoft}
	if !one.IsIssuer(microsoft) {
		t.Error("an issuer without tenants: expected its own name to be its issuer, seen that it is not")
	}
	if one.IsIssuer(microsoft + tenantA) {
		t.Error("an issuer without tenants: expected a tenant's name not to be its issuer, seen that it is")
	}
}

func TestTenantTemplates(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]string{
		microsoft + "common/v2.0":          microsoft + TenantPart + "/v2.0",
		microsoft + "organizations/v2.0":   microsoft + TenantPart + "/v2.0",
		microsoft + TenantPart + "/v2.0":   microsoft + TenantPart + "/v2.0",
		microsoft + tenantA + "/v2.0":      "",
		"https://op.example":               "",
		"https://common/v2.0":              "",
		"https://op.example/uncommon/v2.0": "",
	} {
		if got := TenantTemplate(issuer); got != want {
			t.Errorf("%s: %q", issuer, got)
		}
	}
}

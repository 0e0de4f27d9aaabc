package broker

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
)

func TestConfigurationsThatCannotWork(t *testing.T) {
	t.Parallel()
	samlAt := func(change func(*SAMLConfig)) func(*Config) {
		return func(c *Config) {
			c.OIDC, c.SAML = nil, &SAMLConfig{Metadata: "https://idp.test/metadata"}
			change(c.SAML)
		}
	}
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string // the error; empty if the configuration is valid
	}{
		"OpenID Connect":                      {nil, ""},
		"SAML":                                {samlAt(func(*SAMLConfig) {}), ""},
		"OAuth 2.0":                           {func(c *Config) { c.OIDC, c.OAuth2 = nil, &OAuth2Config{"github", "id", "secret"} }, ""},
		"No protocol":                         {func(c *Config) { c.OIDC = nil }, "exactly one of oidc, saml and oauth2"},
		"Two protocols":                       {func(c *Config) { c.OAuth2 = &OAuth2Config{"github", "id", "secret"} }, "exactly one of oidc, saml and oauth2"},
		"An id with a slash":                  {func(c *Config) { c.ID = "a/b" }, "the id must be"},
		"An id that is the prefix of clients": {func(c *Config) { c.ID = "client" }, "must not be client"},
		"No id":                               {func(c *Config) { c.ID = "" }, "the id must be"},
		"A name with a line feed":             {func(c *Config) { c.Name = "a\nb" }, "name is longer"},
		"An icon elsewhere":                   {func(c *Config) { c.Icon = "https://cdn.test/x.svg" }, "icon must be a file"},
		"An unknown kind of links":            {func(c *Config) { c.Link = "name" }, "link"},
		"Links without domains":               {func(c *Config) { c.Link, c.Domains = LinkVerifiedEmail, nil }, "link verified_email needs domains"},
		"A domain with capitals":              {func(c *Config) { c.Domains = []string{"Example.com"} }, "is not a domain"},
		"A domain that is a wildcard":         {func(c *Config) { c.Domains = []string{"*.example.com"} }, "is not a domain"},
		"An acr that means nothing":           {func(c *Config) { c.ACR = map[string]string{"gold": "otp"} }, "mapped to mfa alone"},
		"An acr of OAuth 2.0": {func(c *Config) {
			c.OIDC, c.OAuth2, c.ACR = nil, &OAuth2Config{"github", "id", "secret"}, map[string]string{"gold": MFA}
		}, "OAuth 2.0 has none"},
		"A group without a name":             {func(c *Config) { c.GroupNames = map[string]string{"a": ""} }, "cannot be the name of a group"},
		"A group that appears twice":         {func(c *Config) { c.Groups, c.GroupNames = []string{"a"}, map[string]string{"a": "b"} }, "appears twice"},
		"OpenID Connect without a client":    {func(c *Config) { c.OIDC = &opconfig.Options{Issuer: "https://op.test"} }, "oidc: client_id is missing"},
		"OpenID Connect by form_post":        {func(c *Config) { c.OIDC.ResponseMode = "form_post" }, "response_mode must be query"},
		"An unknown preset":                  {func(c *Config) { c.OIDC, c.OAuth2 = nil, &OAuth2Config{"myspace", "id", "secret"} }, "oauth2"},
		"OAuth 2.0 without a secret":         {func(c *Config) { c.OIDC, c.OAuth2 = nil, &OAuth2Config{"github", "id", ""} }, "client_secret is missing"},
		"SAML without anything":              {samlAt(func(c *SAMLConfig) { c.Metadata = "" }), "metadata is missing"},
		"SAML with metadata and an address":  {samlAt(func(c *SAMLConfig) { c.Endpoint = "https://idp.test/sso" }), "exclude each other"},
		"SAML by hand without an entity":     {samlAt(func(c *SAMLConfig) { c.Metadata, c.Endpoint, c.Certificate = "", "https://idp.test/sso", "x" }), "endpoint needs entity_id"},
		"SAML by hand without a certificate": {samlAt(func(c *SAMLConfig) { c.Metadata, c.Endpoint, c.EntityID = "", "https://idp.test/sso", "x" }), "endpoint needs certificate"},
		"SAML at an address without TLS": {samlAt(func(c *SAMLConfig) {
			c.Metadata, c.Endpoint, c.EntityID, c.Certificate = "", "http://idp.test/sso", "x", "x"
		}), "saml: endpoint: "},
		"SAML that signs nothing":      {samlAt(func(c *SAMLConfig) { c.Sign = "off" }), "saml: sign"},
		"SAML with an unknown claim":   {samlAt(func(c *SAMLConfig) { c.Claims = map[string]string{"sub": "x"} }), "is not one of email"},
		"SAML with an empty attribute": {samlAt(func(c *SAMLConfig) { c.Claims = map[string]string{"email": ""} }), "has no attribute"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := partners(tc.change)
			err := c.Check()
			if (err != nil) != (tc.want != "") {
				t.Fatalf("expected %q, seen %v", tc.want, err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("expected %q, seen %v", tc.want, err)
			}
		})
	}
}

func TestConfigurationsThatExcludeEachOther(t *testing.T) {
	t.Parallel()
	other := partners(func(c *Config) { c.ID = "other" })
	if err := CheckAll([]Config{partners(nil), other}); err == nil || !strings.Contains(err.Error(), "is one of external partners already") {
		t.Errorf("one domain of two: expected an error, seen %v", err)
	}
	other.Domains = nil
	if err := CheckAll([]Config{partners(nil), other}); err != nil {
		t.Errorf("two: expected no error, seen %v", err)
	}
	if err := CheckAll([]Config{other, other}); err == nil || !strings.Contains(err.Error(), "appears twice") {
		t.Errorf("one id of two: expected an error, seen %v", err)
	}
}

func TestTheListOfExternalProviders(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(string) []Config {
		return []Config{
			partners(func(c *Config) { c.Icon = "/srv/partners.svg" }),
			{ID: "code", OAuth2: &OAuth2Config{"github", "id", "secret"}},
		}
	})
	all := s.broker.Externals()
	if seen := []string{all[0].ID, all[0].Name, all[0].Kind, all[0].Icon, all[1].ID, all[1].Name, all[1].Kind}; !slices.Equal(seen,
		[]string{"partners", "Partners", "oidc", "/srv/partners.svg", "code", "code", "oauth2"}) {
		t.Errorf("expected them in the order of the configuration, seen %q", seen)
	}
}

package broker

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

// Values of Config.Link. Empty means LinkOff.
const (
	LinkOff           = "off"
	LinkVerifiedEmail = "verified_email"
)

// MFA is what acr values may be mapped to: the user used two factors.
const MFA = "mfa"

// Config configures an external provider. Exactly one of OIDC, SAML and OAuth2 is
// set.
type Config struct {
	ID     string
	OIDC   *opconfig.Options
	SAML   *SAMLConfig
	OAuth2 *OAuth2Config

	// Domains are the domains, in lower case, of the e-mail addresses that the
	// external provider can vouch for.
	Domains []string
	Create  bool   // whether to create accounts for unknown users
	Link    string // LinkOff or LinkVerifiedEmail
	// Groups are the external provider's groups that exist here under the same
	// name, and GroupNames those that have another name here.
	Groups     []string
	GroupNames map[string]string
	// ACR maps values of acr, or authentication context classes, to MFA.
	ACR map[string]string

	Name     string // on the button; empty is the ID
	Icon     string // a file
	Disabled bool
}

// OAuth2Config configures a provider without ID tokens.
type OAuth2Config struct {
	Preset       string // see Presets
	ClientID     string
	ClientSecret string // may have placeholders
}

func (c *Config) title() string { return cmp.Or(c.Name, c.ID) }

func (c *Config) kind() string {
	switch {
	case c.SAML != nil:
		return "saml"
	case c.OAuth2 != nil:
		return "oauth2"
	}
	return "oidc"
}

// maxName is the maximum length of the text of a button.
const maxName = 200

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// CheckAll checks the configurations of all external providers, individually and
// together. Errors name the external provider and the option.
func CheckAll(configs []Config) error {
	seen, domains, entities := map[string]bool{}, map[string]string{}, map[string]string{}
	for i := range configs {
		c := &configs[i]
		if err := c.Check(); err != nil {
			return fmt.Errorf("external %s: %w", c.ID, err)
		}
		if seen[c.ID] {
			return fmt.Errorf("external %s: appears twice", c.ID)
		}
		seen[c.ID] = true
		for _, domain := range c.Domains {
			if other, taken := domains[domain]; taken {
				return fmt.Errorf("external %s: domains: %s is one of external %s already", c.ID, domain, other)
			}
			domains[domain] = c.ID
		}
		if c.SAML == nil || c.SAML.EntityID == "" {
			continue
		}
		if other, taken := entities[c.SAML.EntityID]; taken {
			return fmt.Errorf("external %s: saml: external %s has the same entity_id; two must differ", c.ID, other)
		}
		entities[c.SAML.EntityID] = c.ID
	}
	return nil
}

// Check checks what does not depend on placeholders. Errors name the option.
func (c *Config) Check() error {
	return optioncheck.Each(c.checkKind, c.checkNames, c.checkRules, c.checkProtocol)
}

func (c *Config) checkKind() error {
	kinds := 0
	for _, there := range []bool{c.OIDC != nil, c.SAML != nil, c.OAuth2 != nil} {
		if there {
			kinds++
		}
	}
	return optioncheck.First(
		optioncheck.Refuse("", !idForm.MatchString(c.ID), "the id must be of a-z, 0-9, - and _, at most 32 of them, got '%s'", c.ID),
		optioncheck.Refuse("", c.ID == "client", "the id must not be client: the names of clients begin so"),
		optioncheck.Refuse("", kinds != 1, "exactly one of oidc, saml and oauth2 must be there"),
	)
}

func (c *Config) checkNames() error {
	return optioncheck.First(
		optioncheck.Refuse("name", len(c.Name) > maxName || !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, unicode.IsControl),
			"name is longer than %d bytes, or is no text", maxName),
		optioncheck.Refuse("icon", strings.Contains(c.Icon, "://"), "icon must be a file: the pages load nothing from elsewhere"),
	)
}

func (c *Config) checkRules() error {
	rules := []optioncheck.Rule{
		optioncheck.EmptyOrOneOf("link", c.Link, LinkOff, LinkVerifiedEmail),
		optioncheck.Refuse("link", c.Link == LinkVerifiedEmail && len(c.Domains) == 0,
			"link verified_email needs domains: no other address counts as verified by this external provider"),
	}
	for _, domain := range c.Domains {
		rules = append(rules, optioncheck.Refuse("domains", domain != strings.ToLower(domain) || !address.IsDomain(domain),
			"domains: '%s' is not a domain in lower case", domain))
	}
	for _, theirs := range slices.Sorted(maps.Keys(c.ACR)) {
		rules = append(rules,
			optioncheck.Refuse("acr", theirs == "" || strings.ContainsFunc(theirs, unicode.IsSpace), "acr: '%s' is not one word", theirs),
			optioncheck.Refuse("acr", c.ACR[theirs] != MFA, "acr: a value can be mapped to mfa alone, got '%s'", c.ACR[theirs]))
	}
	rules = append(rules, optioncheck.Refuse("acr", len(c.ACR) > 0 && c.OAuth2 != nil, "acr: OAuth 2.0 has none"))
	for _, name := range c.localGroups() {
		rules = append(rules, optioncheck.Refuse("groups", name == "" || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl),
			"groups: '%s' cannot be the name of a group", name))
	}
	for _, name := range c.Groups {
		rules = append(rules, optioncheck.Refuse("groups", c.GroupNames[name] != "", "groups: '%s' appears twice", name))
	}
	return optioncheck.First(rules...)
}

func (c *Config) checkProtocol() error {
	switch {
	case c.OIDC != nil:
		if err := c.OIDC.CheckWritten(); err != nil {
			return fmt.Errorf("oidc: %w", err)
		}
		if c.OIDC.ResponseMode != "" && c.OIDC.ResponseMode != "query" {
			return fmt.Errorf("oidc: response_mode must be query, got '%s'", c.OIDC.ResponseMode)
		}
	case c.SAML != nil:
		if err := c.SAML.Check(); err != nil {
			return fmt.Errorf("saml: %w", err)
		}
	default:
		if err := c.OAuth2.Check(); err != nil {
			return fmt.Errorf("oauth2: %w", err)
		}
	}
	return nil
}

// Check checks the configuration of a preset.
func (c *OAuth2Config) Check() error {
	return optioncheck.First(
		optioncheck.OneOf("oauth2", c.Preset, Presets()...),
		optioncheck.Refuse("client_id", c.ClientID == "", "client_id is missing"),
		optioncheck.Refuse("client_secret", c.ClientSecret == "", "client_secret is missing"),
	)
}

// localGroups returns the local groups that the external provider can name.
func (c *Config) localGroups() []string {
	all := slices.Concat(c.Groups, slices.Collect(maps.Values(c.GroupNames)))
	slices.Sort(all)
	return slices.Compact(all)
}

// groupsHere returns the local groups for those of the external provider. Groups
// that are not mapped are ignored.
func (c *Config) groupsHere(theirs []string) []string {
	var here []string
	for _, name := range theirs {
		if local, ok := c.GroupNames[name]; ok {
			here = append(here, local)
		} else if slices.Contains(c.Groups, name) {
			here = append(here, name)
		}
	}
	slices.Sort(here)
	return slices.Compact(here)
}

const (
	// acrPrefix is the prefix of our own acr values, and classPrefix that of
	// SAML's.
	acrPrefix   = "urn:oidc-idp:"
	classPrefix = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
)

// askedACRs returns the values to request from the external provider for those that
// an application requests. Our own values are left out unless one is mapped.
func (c *Config) askedACRs(values []string) (asked []string) {
	add := func(value string) {
		if !slices.Contains(asked, value) {
			asked = append(asked, value)
		}
	}
	for _, value := range values {
		switch {
		case value == sso.ACRMFA:
			for _, theirs := range slices.Sorted(maps.Keys(c.ACR)) {
				add(theirs)
			}
		case strings.HasPrefix(value, acrPrefix):
		case c.SAML == nil || strings.HasPrefix(value, classPrefix):
			add(value)
		}
	}
	return asked
}

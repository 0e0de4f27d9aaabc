package opconfig

import (
	"maps"
	"regexp"
	"slices"

	"golang.org/x/net/idna"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

// checkIdentity returns an error for options that cannot identify users, or not
// safely.
func (o *Options) checkIdentity() error {
	severalTenants := op.TenantTemplate(o.issuer()) != ""
	rules := []optioncheck.Rule{
		optioncheck.Refuse("tenants", len(o.Tenants) > 0 && !severalTenants, "tenants: the issuer has no %s, so that there is only one tenant", op.TenantPart),
		optioncheck.Refuse("email_trusted", o.EmailTrusted && severalTenants && len(o.Tenants) == 0,
			"email_trusted: the issuer is that of any tenant (%s), and each could claim any address; name those that you trust with tenants", op.TenantPart),
	}
	for _, option := range o.identityLists() {
		for i, text := range *option.list {
			rules = append(rules, optioncheck.Refuse(option.name, text == "" || slices.Contains((*option.list)[:i], text), "%s: item %d is empty or a duplicate", option.name, i+1))
		}
	}
	for _, tenant := range o.Tenants {
		rules = append(rules, optioncheck.Refuse("tenants", !op.IsTenant(tenant), "tenants: %q is no tenant id, such as 00000000-0000-0000-0000-000000000000", tenant))
	}
	for _, domain := range o.Domains {
		flaw := domainFlaw(domain)
		rules = append(rules, optioncheck.Refuse("domains", flaw != "", "domains: %q %s", domain, flaw))
	}
	return optioncheck.First(append(rules, o.groupRules()...)...)
}

// groupRules are the rules against ambiguous names of groups.
func (o *Options) groupRules() (rules []optioncheck.Rule) {
	locals := slices.Collect(maps.Values(o.GroupNames))
	for _, name := range o.Groups {
		_, renamed := o.GroupNames[name]
		rules = append(rules,
			optioncheck.Refuse("groups", renamed, "groups: %s appears twice", name),
			optioncheck.Refuse("groups", slices.Contains(locals, name), "groups: %s is the name of two groups", name))
	}
	for theirs, local := range o.GroupNames {
		rules = append(rules, optioncheck.Refuse("groups", theirs == "" || local == "", "groups: a name is empty"))
	}
	return rules
}

// maxDomain is the maximum length of a domain name (RFC 1035 2.3.4), in characters.
const maxDomain = 253

var domainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// domainFlaw returns what is wrong with a domain of e-mail addresses, or the empty
// string.
func domainFlaw(domain string) string {
	if domainName.MatchString(domain) && len(domain) <= maxDomain {
		return ""
	}
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil && ascii != domain && domainName.MatchString(ascii) {
		return "is not ASCII; write " + ascii
	}
	return "is not a domain, such as corp.example"
}

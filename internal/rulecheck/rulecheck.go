// Package rulecheck finds rules that cannot do what they seem to do, when a
// configuration is loaded: none at all where a provider signs in the whole world,
// groups and providers that no user can have, and conditions that any of several
// providers can satisfy.
//
// It knows rules and issuers. It does not know Caddy, and evaluates nothing: that is
// package authz's.
package rulecheck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// Instance is what the checks need to know of an instance.
type Instance struct {
	// Providers are those that sign users in here. Disabled ones do not.
	Providers []Provider
	// ProviderIDs are the ids of all providers that the instance could name.
	ProviderIDs []string
	// Keys reports whether programs with access keys are let in, whose groups have any
	// name.
	Keys bool
	// KnowsUsers reports whether only users of some directories are signed in.
	KnowsUsers bool
	// Places are where a session is needed.
	Places []Place
}

// Provider is a provider that signs users in.
type Provider struct {
	ID string
	// Issuer and Tenants are the options, resolved.
	Issuer  string
	Tenants []string
	// CanHaveGroup reports whether a user of the provider can have a group of a name
	// here.
	CanHaveGroup func(name string) bool
}

// Place is a part of a site where a session is needed, with its rules.
type Place struct {
	// Name is empty for what no route names, and else the route's matcher.
	Name  string
	Rules *authz.Set
}

// Check returns an error about rules that can never do what they say, and warnings
// about what is likely to be a mistake.
func Check(in *Instance) (warnings []string, err error) {
	for _, place := range in.Places {
		for _, check := range []func(*Instance, *Place) error{checkWorldwide, checkProviders, checkGroups} {
			if err := check(in, &place); err != nil {
				return nil, fmt.Errorf("%s%w", place.prefix(), err)
			}
		}
		if kind := anyProviders(in, &place); kind != "" {
			warnings = append(warnings, place.prefix()+"several providers sign users in, and any of them can satisfy the rule "+kind+"; add require provider with those that may")
		}
	}
	return warnings, nil
}

func (p *Place) prefix() string {
	if p.Name == "" {
		return ""
	}
	return "private " + p.Name + ": "
}

// checkWorldwide refuses a place that is private and open to everyone all the same.
func checkWorldwide(in *Instance, place *Place) error {
	if in.KnowsUsers || place.Rules.LimitsUsers() {
		return nil
	}
	for _, p := range in.Providers {
		if SignsInEveryone(p.Issuer, p.Tenants) {
			return fmt.Errorf("provider %s (%s) signs in everyone in the world, and no rule says who may enter: add a rule such as require email_domain or require user, or, if everyone may enter, "+
				"require any_user", p.ID, p.Issuer)
		}
	}
	return nil
}

// checkProviders refuses rules about providers that no user here signs in at.
func checkProviders(in *Instance, place *Place) (err error) {
	signIn := func(id string) bool {
		return in.Keys && id == program.KeyProvider || slices.ContainsFunc(in.Providers, func(p Provider) bool { return p.ID == id })
	}
	place.Rules.Each(func(rule *authz.Rule, use authz.Use) bool {
		if rule.Kind != authz.KindProvider {
			return true
		}
		for i, id := range rule.Values {
			if !slices.Contains(in.ProviderIDs, id) && !signIn(id) {
				written := rule.ValueAsWritten(i)
				err = suggest.Hint(fmt.Errorf("%s: there is no provider %s", rule, written), written, in.ProviderIDs...)
				return false
			}
		}
		if use == authz.Required && !slices.ContainsFunc(rule.Values, signIn) {
			err = fmt.Errorf("%s: users of this site never sign in there, so the rule lets no one in", rule)
		}
		return err == nil
	})
	return err
}

// checkGroups refuses rules about groups that the option groups of no provider
// produces.
func checkGroups(in *Instance, place *Place) (err error) {
	place.Rules.Each(func(rule *authz.Rule, _ authz.Use) bool {
		if rule.Kind != authz.KindGroup {
			return true
		}
		for i, name := range rule.Values {
			can := func(p Provider) bool { return p.CanHaveGroup(name) }
			if len(in.Providers) > 0 && !in.Keys && !slices.ContainsFunc(in.Providers, can) {
				err = fmt.Errorf("%s: no user can be in the group %q, since the option groups of the provider does not name it", rule, rule.ValueAsWritten(i))
				return false
			}
		}
		return true
	})
	return err
}

// anyProviders returns a rule that each of several providers can satisfy although
// what it says means something at one of them alone; empty if there is none.
func anyProviders(in *Instance, place *Place) (found string) {
	if len(in.Providers) < 2 {
		return ""
	}
	limited := false
	place.Rules.Each(func(rule *authz.Rule, use authz.Use) bool {
		switch {
		case use == authz.Denied:
		case rule.Kind == authz.KindProvider && use == authz.Required:
			limited = true
		case found == "" && slices.Contains(saidByAny, rule.Kind):
			found = rule.String()
		}
		return true
	})
	if limited {
		return ""
	}
	return found
}

// saidByAny are the kinds of rules about what each provider says as it likes.
var saidByAny = []string{authz.KindClaim, authz.KindTenant, authz.KindACR, authz.KindAMR, authz.KindScope}

// worldwide are the hosts of issuers at which everyone can have an account.
var worldwide = []string{
	"accounts.google.com", "appleid.apple.com", "account.apple.com", "gitlab.com", "www.facebook.com", "www.linkedin.com", "api.login.yahoo.com",
	"token.actions.githubusercontent.com", // gives tokens to the workflows of everyone
}

// microsoft are the hosts of Microsoft's issuers, whose first part of the path is a
// tenant, and everyone the names that stand for all tenants, or for private accounts.
var (
	microsoft = []string{"login.microsoftonline.com", "sts.windows.net", "login.microsoftonline.us"}
	everyone  = []string{"common", "organizations", "consumers", privateAccounts, "{tenantid}"}
)

// privateAccounts is the tenant of all private Microsoft accounts.
const privateAccounts = "9188040d-6c67-4c5b-b112-36a304b66dad"

// SignsInEveryone reports whether everyone can have an account at an issuer, so that
// a sign-in there says nothing about whether a user may enter. tenants are those whose
// users can sign in; none stand for all. It is a help, and knows the large ones.
func SignsInEveryone(issuer string, tenants []string) bool {
	address := strings.ToLower(issuer)
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	host, path, _ := strings.Cut(address, "/")
	host = strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ".")
	tenant, _, _ := strings.Cut(path, "/")
	switch {
	case slices.Contains(worldwide, host):
		return true
	case !slices.Contains(microsoft, host) || !slices.Contains(everyone, tenant):
		return false
	case tenant == "consumers" || tenant == privateAccounts || len(tenants) == 0:
		return true
	}
	return slices.ContainsFunc(tenants, func(t string) bool { return strings.EqualFold(t, privateAccounts) })
}

// Package rulecheck finds rules that cannot do what they seem to do, when a
// configuration is loaded: missing rules for a provider at which anyone can have
// an account, groups and providers that no user can have, and conditions that any
// of several providers can satisfy.
//
// It knows rules and issuers. It does not import Caddy, and does not evaluate rules,
// which is up to package authz.
package rulecheck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// Instance is what the checks need to know about an instance.
type Instance struct {
	// Providers are the enabled providers of the instance.
	Providers []Provider
	// ProviderIDs are the ids of all providers that the instance could name.
	ProviderIDs []string
	// Keys reports whether programs with access keys are let in. Their groups can have
	// any name.
	Keys bool
	// KnowsUsers reports whether only users that the directories know may sign
	// in.
	KnowsUsers bool
	// Places are the parts of the site that require a session.
	Places []Place
}

// Provider is a provider that signs users in.
type Provider struct {
	ID string
	// Issuer and Tenants are the options with placeholders resolved.
	Issuer  string
	Tenants []string
	// CanHaveGroup reports whether a user of the provider can have the named group
	// at this instance.
	CanHaveGroup func(name string) bool
}

// Place is a part of a site that requires a session, with its rules.
type Place struct {
	// Name is the matcher of the route, or "" for everything that no route
	// matches.
	Name  string
	Rules *authz.Set
}

// Check returns an error if a rule can never do what it says, and warnings about
// probable mistakes.
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

// checkWorldwide refuses a private place that is nevertheless open to everyone:
// anyone can have an account at one of the providers, and no rule limits who may
// enter.
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

// checkProviders refuses rules about unknown providers, and requirements for
// providers that no user of this site signs in with.
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

// checkGroups refuses rules about groups that no provider's groups option
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

// anyProviders returns a rule that any of several providers can satisfy, although
// the meaning of its values differs between providers. It returns "" if there is
// none, or if a rule requires certain providers.
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

// saidByAny are the kinds of rules about values that each provider chooses
// freely.
var saidByAny = []string{authz.KindClaim, authz.KindTenant, authz.KindACR, authz.KindAMR, authz.KindScope}

// worldwide are the hosts of issuers at which anyone can have an account.
var worldwide = []string{
	"accounts.google.com", "appleid.apple.com", "account.apple.com", "gitlab.com", "www.facebook.com", "www.linkedin.com", "api.login.yahoo.com",
	"token.actions.githubusercontent.com", // issues tokens to anyone's workflows
}

// microsoft are the hosts of Microsoft's issuers, which have a tenant as the first
// segment of their path. everyone are the tenants that stand for all tenants or for
// personal accounts.
var (
	microsoft = []string{"login.microsoftonline.com", "sts.windows.net", "login.microsoftonline.us"}
	everyone  = []string{"common", "organizations", "consumers", privateAccounts, "{tenantid}"}
)

// privateAccounts is the tenant of all personal Microsoft accounts.
const privateAccounts = "9188040d-6c67-4c5b-b112-36a304b66dad"

// SignsInEveryone reports whether anyone can have an account at an issuer, so that
// signing in there alone must not be enough to enter. tenants are those whose users
// can sign in; if empty, all. It knows only the large public providers.
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

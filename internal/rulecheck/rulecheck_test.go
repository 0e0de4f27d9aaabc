package rulecheck

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
)

const someTenant = "11111111-2222-3333-4444-555555555555"

func TestIssuersOfTheWholeWorld(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]bool{
		"https://accounts.google.com":                                                     true,
		"https://ACCOUNTS.google.com/":                                                    true,
		"https://accounts.google.com:443":                                                 true,
		"https://accounts.google.com.":                                                    true,
		"accounts.google.com":                                                             true,
		"https://login.microsoftonline.com/common/v2.0":                                   true,
		"https://login.microsoftonline.com/organizations/v2.0":                            true,
		"https://login.microsoftonline.com/consumers/v2.0":                                true,
		"https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0":     true,
		"https://login.microsoftonline.com/9188040D-6C67-4C5B-B112-36A304B66DAD/v2.0":     true,
		"https://login.microsoftonline.com/{tenantid}/v2.0":                               true,
		"https://sts.windows.net/common/":                                                 true,
		"https://appleid.apple.com":                                                       true,
		"https://account.apple.com":                                                       true,
		"https://gitlab.com":                                                              true,
		"https://www.facebook.com":                                                        true,
		"https://www.linkedin.com/oauth":                                                  true,
		"https://login.microsoftonline.com/" + someTenant + "/v2.0":                       false,
		"https://login.example.com":                                                       false,
		"https://gitlab.example.com":                                                      false,
		"https://accounts.google.com.example.com":                                         false,
		"https://example.com/accounts.google.com":                                         false,
		"https://login.example.com/common/v2.0":                                           false,
		"https://login.example.com/{tenantid}/v2.0":                                       false,
		"https://keycloak.example.com/realms/login.microsoftonline.com/common/v2.0/realm": false,
		"": false,
	} {
		if got := SignsInEveryone(issuer, nil); got != want {
			t.Errorf("%s: expected %v, seen %v", issuer, want, got)
		}
	}
	for _, row := range []struct {
		tenant, only string
		want         bool
	}{
		{"{tenantid}", someTenant, false},
		{"common", someTenant, false},
		{"{tenantid}", privateAccounts, true},
		{"consumers", privateAccounts, true},
	} {
		if got := SignsInEveryone("https://login.microsoftonline.com/"+row.tenant+"/v2.0", []string{row.only}); got != row.want {
			t.Errorf("%s with the tenant %s: expected %v, seen %v", row.tenant, row.only, row.want, got)
		}
	}
}

// rules compiles lines such as "require group a".
func rules(t *testing.T, text string) *authz.Set {
	t.Helper()
	var lines authz.Lines
	for line := range strings.SplitSeq(text, ";") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		into := &lines.Require
		rule := authz.Rule{Kind: words[1], Values: words[2:]}
		if words[0] == "deny" {
			into = &lines.Deny
		}
		switch words[1] {
		case "any": // only of groups and providers
			rule = authz.Rule{Kind: authz.KindAny}
			for i := 2; i+1 < len(words); i += 2 {
				rule.Any = append(rule.Any, authz.Rule{Kind: words[i], Values: words[i+1 : i+2]})
			}
		case "claim":
			rule.Path, rule.Values = words[2], words[3:]
		}
		*into = append(*into, rule)
	}
	set, err := authz.Compile(nil, lines)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestRulesThatCannotWork(t *testing.T) {
	t.Parallel()
	corp := Provider{ID: "corp", Issuer: "https://login.corp.example", CanHaveGroup: func(string) bool { return true }}
	google := Provider{ID: "google", Issuer: "https://accounts.google.com", CanHaveGroup: func(string) bool { return true }}
	some := Provider{ID: "some", Issuer: "https://some.example", CanHaveGroup: func(name string) bool { return name == "a" }}
	for _, row := range []struct {
		name      string
		providers []Provider
		known     bool
		keys      bool
		rules     string
		err, warn string // parts of the messages; empty for none
	}{
		{name: "no rules", providers: []Provider{corp}},
		{name: "no rules, and the whole world", providers: []Provider{google}, err: "require any_user"},
		{name: "no rules, and the whole world beside others", providers: []Provider{corp, google}, err: "provider google (https://accounts.google.com) signs in everyone in the world"},
		{name: "any user of the whole world", providers: []Provider{google}, rules: "require any_user"},
		{name: "a domain of the whole world", providers: []Provider{google}, rules: "require email_domain corp.example"},
		{name: "known users of the whole world", providers: []Provider{google}, known: true},
		{name: "deny limits no one", providers: []Provider{google}, rules: "deny group a", err: "require any_user"},
		{name: "a provider limits no one", providers: []Provider{google}, rules: "require provider google", err: "require any_user"},
		{name: "a second factor limits no one", providers: []Provider{google}, rules: "require acr gold", err: "require any_user"},
		{name: "an alternative that limits no one", providers: []Provider{google}, rules: "require any group a provider google", err: "require any_user"},
		{name: "alternatives that limit users", providers: []Provider{google}, rules: "require any group a group b"},
		{name: "a provider that is none", providers: []Provider{corp}, rules: "require provider crop", err: "provider crop: there is no provider crop: did you mean"},
		{name: "a provider that is none, denied", providers: []Provider{corp}, rules: "deny provider crop", err: "there is no provider crop"},
		{name: "a provider of other sites", providers: []Provider{corp}, rules: "require provider other", err: "never sign in there"},
		{name: "a provider of other sites beside one of this", providers: []Provider{corp}, rules: "require provider other corp"},
		{name: "a provider of other sites, denied", providers: []Provider{corp}, rules: "deny provider other"},
		{name: "a provider of other sites as an alternative", providers: []Provider{corp}, rules: "require any provider other group a"},
		{name: "a group that exists", providers: []Provider{some}, rules: "require group a"},
		{name: "a group that cannot be", providers: []Provider{some}, rules: "require group a b", err: `no user can be in the group "b"`},
		{name: "a group that cannot be, denied", providers: []Provider{some}, rules: "deny group b", err: `no user can be in the group "b"`},
		{name: "a group that cannot be, as an alternative", providers: []Provider{some}, rules: "require any group b group a", err: `no user can be in the group "b"`},
		{name: "a group that only access keys can have", providers: []Provider{some}, keys: true, rules: "require group b"},
		{name: "the provider of access keys", providers: []Provider{some}, keys: true, rules: "require provider key"},
		{name: "the provider of access keys, denied", providers: []Provider{some}, keys: true, rules: "deny provider key"},
		{name: "the provider of access keys where there are none", providers: []Provider{some}, rules: "require provider key", err: "there is no provider key"},
		{name: "access keys and the whole world", providers: []Provider{google}, keys: true, err: "require any_user"},
		{name: "a group of one of two providers", providers: []Provider{some, corp}, rules: "require group b"},
		{name: "a claim of one provider", providers: []Provider{corp}, rules: "require claim level 3"},
		{name: "a claim of any of two providers", providers: []Provider{corp, some}, rules: "require claim level 3", warn: "claim level 3"},
		{name: "an acr of any of two providers", providers: []Provider{corp, some}, rules: "require acr gold", warn: "acr gold"},
		{name: "a tenant of any of two providers", providers: []Provider{corp, some}, rules: "require tenant t-1", warn: "tenant t-1"},
		{name: "a scope of any of two providers", providers: []Provider{corp, some}, rules: "require scope read", warn: "scope read"},
		{name: "a tenant of one of two providers", providers: []Provider{corp, some}, rules: "require tenant t-1; require provider corp"},
		{name: "a claim of one of two providers", providers: []Provider{corp, some}, rules: "require claim level 3; require provider corp"},
		{name: "a denied claim of two providers", providers: []Provider{corp, some}, rules: "deny claim level 3"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			warnings, err := Check(&Instance{
				Providers: row.providers, ProviderIDs: []string{"corp", "google", "some", "other"}, KnowsUsers: row.known, Keys: row.keys,
				Places: []Place{{Rules: rules(t, row.rules)}},
			})
			if row.err == "" && err != nil {
				t.Errorf("expected no error, seen %v", err)
			}
			if row.err != "" && !strings.Contains(fmt.Sprint(err), row.err) {
				t.Errorf("expected the error %q, seen %v", row.err, err)
			}
			if row.warn == "" && len(warnings) > 0 {
				t.Errorf("expected no warnings, seen %q", warnings)
			}
			if got := strings.Join(warnings, "\n"); !strings.Contains(got, row.warn) {
				t.Errorf("expected the warning %q, seen %q", row.warn, got)
			}
		})
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	t.Parallel()
	_, err := Check(&Instance{
		Providers: []Provider{{ID: "google", Issuer: "https://accounts.google.com"}},
		Places:    []Place{{Rules: rules(t, "require any_user")}, {Name: "/admin"}},
	})
	if err == nil || !strings.HasPrefix(err.Error(), "private /admin: ") {
		t.Errorf("expected an error about the route, seen %v", err)
	}
}

package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// corpAndPartners is a site with the default provider corp and the provider partners,
// whose application receives who the user is. more holds further options of each provider
// by its id, and those of the site.
func corpAndPartners(t *testing.T, more map[string]string) (r *harness, ops map[string]*oidctest.Provider) {
	t.Helper()
	ops = make(map[string]*oidctest.Provider)
	var providers strings.Builder
	for _, id := range []string{"corp", "partners"} {
		ops[id] = newOP(t, oidctest.ClaimsInIDToken())
		ops[id].Register(rpURL + "/@app/auth/" + id + "/code")
		providers.WriteString(`provider ` + id + ` {
			` + options(ops[id]) + more[id] + `
		}
		`)
	}
	return newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+providers.String()+`
		default_provider corp
		`+more["site"]+`
		upstream {
			header X-User {http.auth.user.id}
			header X-Groups groups
			header X-Groups-Again {http.auth.user.groups}
			header X-Email email
		}
	}
	@admins expression `+"`path('/admin') && 'admins' in {http.auth.user.groups}`"+`
	respond @admins "welcome, admin"
	reverse_proxy {upstream}
}
`), ops
}

// Nothing that a provider sends can name a user, group or address of another provider.
func TestNoProviderCanNameWhatIsAnothers(t *testing.T) {
	t.Parallel()
	hostile := []any{"admins", "corp/admins", "partners/admins", "%2F", "a,b", "Admins", "admins "}
	for _, row := range []struct {
		name, corp, partners string
		groups               []any
		// The groups that the application receives for a user of each provider; empty for none.
		ofCorp, ofPartners string
		corpIsAdmin        bool
		partnerIsAdmin     bool
	}{
		{name: "the same group", groups: []any{"admins"}, ofCorp: "admins", ofPartners: "partners/admins", corpIsAdmin: true},
		{
			name: "hostile names", groups: hostile, corpIsAdmin: true,
			ofCorp:     "admins,corp%252Fadmins,partners%252Fadmins,%25252F,a%2Cb,Admins,admins%2520",
			ofPartners: "partners/admins,partners/corp%252Fadmins,partners/partners%252Fadmins,partners/%25252F,partners/a%2Cb,partners/Admins,partners/admins%2520",
		},
		{name: "a local name", partners: `groups {
			"Grp 7" admins
		}`, groups: []any{"Grp 7"}, ofCorp: "Grp 7", ofPartners: "admins", partnerIsAdmin: true},
		{name: "a local name is not the provider's", partners: `groups {
			"Grp 7" admins
		}`, groups: hostile, ofPartners: "", ofCorp: "admins,corp%252Fadmins,partners%252Fadmins,%25252F,a%2Cb,Admins,admins%2520", corpIsAdmin: true},
		{name: "a list keeps the prefix", partners: "groups admins", corp: "groups Admins", groups: hostile, ofCorp: "Admins", ofPartners: "partners/admins"},
		{name: "both forms", partners: `groups Admins a,b
		groups {
			admins staff/1
		}`, groups: hostile, ofCorp: "admins,corp%252Fadmins,partners%252Fadmins,%25252F,a%2Cb,Admins,admins%2520", ofPartners: "staff%252F1,partners/a%2Cb,partners/Admins", corpIsAdmin: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r, ops := corpAndPartners(t, map[string]string{"corp": row.corp, "partners": row.partners})
			for id, want := range map[string]struct {
				user, groups string
				isAdmin      bool
			}{"corp": {"corp%2Falice", row.ofCorp, row.corpIsAdmin}, "partners": {"partners/corp%2Falice", row.ofPartners, row.partnerIsAdmin}} {
				claimsOf(ops[id], map[string]any{"groups": row.groups, "preferred_username": "corp/alice"})
				b := r.browser()
				if p := b.open("/@app/auth/" + id + "/login?returnto=/page"); p.StatusCode != http.StatusOK {
					t.Fatalf("%s: expected the application, seen status %d\n%s", id, p.StatusCode, r.logs())
				}
				header, _ := r.upstream.got()
				if got := header.Get("X-User"); got != want.user {
					t.Errorf("%s: expected the user %s, seen %s\n%s", id, want.user, got, r.logs())
				}
				if got := header.Get("X-Groups"); got != want.groups {
					t.Errorf("%s: expected the groups %s, seen %s", id, want.groups, got)
				}
				if got := header.Get("X-Groups-Again"); got != want.groups {
					t.Errorf("%s: expected the placeholder to print %s, seen %s", id, want.groups, got)
				}
				p := b.get("/admin")
				if isAdmin := p.body == "welcome, admin"; isAdmin != want.isAdmin {
					t.Errorf("%s: expected an admin: %v, seen %q", id, want.isAdmin, p.body)
				}
			}
		})
	}
}

// An address outside of a provider's domains counts as unverified, and so does an address
// that the provider has not verified.
func TestAddressesThatAProviderIsBelievedFor(t *testing.T) {
	t.Parallel()
	r, ops := corpAndPartners(t, map[string]string{
		"corp": `email_trusted
		username_claim email sub`,
		"partners": `domains partners.example Third.Example
		username_claim email sub`,
	})
	for _, row := range []struct {
		name, provider string
		said           map[string]any
		email, user    string
	}{
		{"a trusted address", "corp", map[string]any{"email": "boss@corp.example", "email_verified": nil}, "boss@corp.example", "boss@corp.example"},
		{"an address of a domain of the provider", "partners", map[string]any{"email": "bob@Partners.Example"}, "bob@Partners.Example", "partners/bob@Partners.Example"},
		{"an address of another domain of the provider", "partners", map[string]any{"email": "bob@third.example"}, "bob@third.example", "partners/bob@third.example"},
		{"an address of the other provider", "partners", map[string]any{"email": "boss@corp.example"}, "", "partners/u-1001"},
		{"an address of a subdomain", "partners", map[string]any{"email": "bob@x.partners.example"}, "", "partners/u-1001"},
		{"two addresses in one", "partners", map[string]any{"email": "boss@corp.example@partners.example"}, "", "partners/u-1001"},
		{"an address of the provider that is not verified", "partners", map[string]any{"email": "bob@partners.example", "email_verified": false}, "", "partners/u-1001"},
	} {
		row.said["groups"] = []string{}
		claimsOf(ops[row.provider], row.said)
		if p := r.browser().open("/@app/auth/" + row.provider + "/login?returnto=/page"); p.StatusCode != http.StatusOK {
			t.Errorf("%s: expected the application, seen status %d\n%s", row.name, p.StatusCode, r.logs())
			continue
		}
		header, _ := r.upstream.got()
		if got := header.Get("X-Email"); got != row.email {
			t.Errorf("%s: expected the address %q, seen %q", row.name, row.email, got)
		}
		if got := header.Get("X-User"); got != row.user {
			t.Errorf("%s: expected the user %q, seen %q", row.name, row.user, got)
		}
	}
	if logs := r.logs(); !strings.Contains(logs, "it is not in one of the provider's domains") {
		t.Errorf("expected the log to say why an address does not count, seen\n%s", logs)
	}
}

// Nothing that a provider sends satisfies a rule that names a user, group or domain of
// another provider, however it is spelled. A tenant does not say which provider vouches
// for it, so rules for one also name the provider.
func TestRulesTellProvidersApart(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, rule, corp, partners string
		claims                     string // of the ID tokens of both
		ofCorp, ofPartners         bool   // whether the user of each provider is let in
	}{
		{name: "a group", rule: "require group admins", claims: `{"groups": ["admins"]}`, ofCorp: true},
		{name: "a group of the other provider", rule: "require group partners/admins", claims: `{"groups": ["admins"]}`, ofPartners: true},
		{name: "a group of the other provider by a hostile name", rule: "require group partners/admins", claims: `{"groups": ["partners/admins"]}`},
		{name: "a group by an encoded name", rule: "require group partners%2Fadmins", claims: `{"groups": ["partners/admins"]}`, ofCorp: true},
		{name: "a group whose name looks encoded", rule: "require group a/b %2F", claims: `{"groups": ["a%2Fb", "/"]}`, ofCorp: true},
		{name: "a name with a comma is one group", rule: "require group admins", claims: `{"groups": ["a,admins", "a%2Cadmins"]}`},
		{name: "a name in another case", rule: "require group admins partners/admins", claims: `{"groups": ["Admins", "ADMINS", "adm\u0131ns"]}`},
		{name: "a local name", rule: "require group admins", partners: `groups {
			ops admins
		}`, claims: `{"groups": ["ops"]}`, ofPartners: true},
		{name: "a listed name", rule: "require group partners/ops", partners: "groups ops", claims: `{"groups": ["ops"]}`, ofPartners: true},
		{name: "a user", rule: "require user alice", claims: `{"preferred_username": "alice"}`, ofCorp: true},
		{name: "a user of the other provider", rule: "require user partners/alice", claims: `{"preferred_username": "alice"}`, ofPartners: true},
		{name: "a user of the other provider by a hostile name", rule: "require user partners/alice", claims: `{"preferred_username": "partners/alice"}`},
		{name: "a user in another case", rule: "require user alice partners/alice", claims: `{"preferred_username": "Alice"}`},
		{name: "a domain", rule: "require email_domain corp.example", claims: `{"email": "a@Corp.Example"}`, ofCorp: true},
		{name: "a domain of the other provider", rule: "require email_domain partners.example", partners: "domains partners.example", corp: "domains corp.example", claims: `{"email": "a@partners.example"}`, ofPartners: true},
		{name: "a domain that both are believed for", rule: "require email_domain x.example", partners: "domains x.example", claims: `{"email": "a@x.example"}`, ofCorp: true, ofPartners: true},
		{name: "a domain behind another one", rule: "require email_domain corp.example", partners: "domains corp.example", claims: `{"email": "a@evil.example@corp.example"}`},
		{name: "a domain that is not ASCII", rule: "require email_domain k.example", claims: `{"email": "a@\u212a.example"}`},
		{name: "a domain with a dot at the end", rule: "require email_domain corp.example", claims: `{"email": "a@corp.example."}`},
		{name: "a trusted address of the other provider", rule: "require email_domain corp.example", partners: "email_trusted", claims: `{"email": "a@corp.example", "email_verified": false}`},
		{name: "a tenant", rule: "require tenant t-1", claims: `{"tid": "t-1"}`, ofCorp: true, ofPartners: true},
		{name: "a tenant of one provider", rule: "require provider partners\nrequire tenant t-1", claims: `{"tid": "t-1"}`, ofPartners: true},
		{name: "a tenant in another case", rule: "require tenant t-1", claims: `{"tid": "T-1"}`},
		{name: "a provider", rule: "require provider partners", claims: `{"tid": "corp"}`, ofPartners: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r, ops := corpAndPartners(t, map[string]string{"corp": row.corp, "partners": row.partners, "site": row.rule})
			for id, enters := range map[string]bool{"corp": row.ofCorp, "partners": row.ofPartners} {
				says(t, ops[id], row.claims)
				want := http.StatusForbidden
				if enters {
					want = http.StatusOK
				}
				if p := r.browser().open("/@app/auth/" + id + "/login?returnto=/page"); p.StatusCode != want {
					t.Errorf("a user of %s: expected status %d, seen %d\n%s", id, want, p.StatusCode, r.logs())
				}
			}
		})
	}
}

package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// corpAndPartners is a site with the default provider corp and the provider partners,
// each with more options, whose application receives who the user is.
func corpAndPartners(t *testing.T, more map[string]string) (r *harness, ops map[string]*oidctest.Provider) {
	t.Helper()
	ops = make(map[string]*oidctest.Provider)
	var providers strings.Builder
	for _, id := range []string{"corp", "partners"} {
		ops[id] = newOP(t, oidctest.ClaimsInIDToken())
		ops[id].Register(rpURL + "/@app/auth/" + id + "/code")
		providers.WriteString("provider " + id + " {\n" + options(ops[id]) + more[id] + "\n}\n")
	}
	return newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+providers.String()+`
		default_provider corp
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

// Threat D1, issue 9: whatever a provider sends, it names no user, group or address
// of another one.
func TestNoProviderCanNameWhatIsAnothers(t *testing.T) {
	t.Parallel()
	hostile := []any{"admins", "corp/admins", "partners/admins", "%2F", "a,b", "Admins", "admins "}
	for _, row := range []struct {
		name, corp, partners string
		groups               []any
		// What the application receives of a user of either provider; empty for
		// nothing.
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
		{name: "a local name", partners: "groups {\n\"Grp 7\" admins\n}", groups: []any{"Grp 7"}, ofCorp: "Grp 7", ofPartners: "admins", partnerIsAdmin: true},
		{name: "a local name is not the provider's", partners: "groups {\n\"Grp 7\" admins\n}", groups: hostile, ofPartners: "", ofCorp: "admins,corp%252Fadmins,partners%252Fadmins,%25252F,a%2Cb,Admins,admins%2520", corpIsAdmin: true},
		{name: "a list keeps the prefix", partners: "groups admins", corp: "groups Admins", groups: hostile, ofCorp: "Admins", ofPartners: "partners/admins"},
		{name: "both forms", partners: "groups Admins a,b\ngroups {\nadmins staff/1\n}", groups: hostile, ofCorp: "admins,corp%252Fadmins,partners%252Fadmins,%25252F,a%2Cb,Admins,admins%2520", ofPartners: "staff%252F1,partners/a%2Cb,partners/Admins", corpIsAdmin: true},
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

// An address outside of a provider's domains counts as unverified, and so does one
// that nothing vouches for.
func TestAddressesThatAProviderIsBelievedFor(t *testing.T) {
	t.Parallel()
	r, ops := corpAndPartners(t, map[string]string{
		"corp":     "email_trusted\nusername_claim email sub",
		"partners": "domains partners.example Third.Example\nusername_claim email sub",
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

package integration_test

import (
	"net/http"
	"strings"
	"testing"
)

// Three providers, none of them the default, send the same claims. Names, groups and addresses
// of one provider never count for a user of another.
func TestProvidersWithoutADefaultOneDoNotMix(t *testing.T) {
	t.Parallel()
	r, ops := newChooser(t, map[string]string{
		"corp": "domains corp.example",
		"guests": `groups_claim groups
		groups {
			admins guest-admins
		}`,
		"site": `
		private /admins {
			require group corp/admins
		}
		private /bare {
			require group admins
		}
		private /partner-admins {
			require group partners/admins
			require provider partners
		}
		private /corp-only {
			require provider corp
		}
		private /alice {
			require user corp/alice
		}
		private /domain {
			require email_domain corp.example
		}
		private /guest-admins {
			require group guest-admins
		}`,
	})
	said := map[string]any{
		"sub": "1", "preferred_username": "alice", "email": "alice@corp.example", "email_verified": true,
		"groups": []string{"admins", "corp/admins", "guest-admins"},
	}
	for _, row := range []struct{ provider, user, groups, enters string }{
		{"corp", "corp/alice", "corp/admins,corp/corp%252Fadmins,corp/guest-admins", "/admins /corp-only /alice /domain"},
		{"partners", "partners/alice", "partners/admins,partners/corp%252Fadmins,partners/guest-admins", "/partner-admins"},
		{"guests", "guests/alice", "guest-admins", "/guest-admins"},
	} {
		claimsOf(ops[row.provider], said)
		b := r.signedInAt(row.provider)
		header, _ := r.upstream.got()
		equal(t, row.provider+": the user", header.Get("X-User"), row.user)
		equal(t, row.provider+": the groups", header.Get("X-Groups"), row.groups)
		var enters []string
		for _, page := range []string{"/admins", "/bare", "/partner-admins", "/corp-only", "/alice", "/domain", "/guest-admins"} {
			if p := b.get(page); p.StatusCode == http.StatusOK {
				enters = append(enters, page)
			} else {
				check(t, p, row.provider).status(http.StatusForbidden).shows("<strong>"+row.user+"</strong> at <strong>"+row.provider+"</strong>",
					`href="/@app/auth/?returnto=`+strings.ReplaceAll(page, "/", "%2F")+`&amp;prompt=select_account">Use another account`)
			}
		}
		equal(t, row.provider+": the pages", strings.Join(enters, " "), row.enters)
	}
}

// Signing in at another provider replaces the session, even if both users have the same name.
func TestAnotherProvidersUserReplacesTheSession(t *testing.T) {
	t.Parallel()
	r, _ := newChooser(t, nil)
	b := r.signedInAt("corp")
	before := b.cookies()["__Host-oidc_rp"]
	check(t, b.get("/@app/auth/")).shows(`/@app/auth/corp/login?prompt=select_account">corp<`, `/@app/auth/partners/login">partners<`)
	p := b.get("/@app/auth/?prompt=select_account")
	check(t, p).status(http.StatusOK).shows("<strong>corp/alice</strong> at <strong>corp</strong>", "Use another account", `/@app/auth/partners/login?prompt=select_account"`)
	check(t, b.open("/@app/auth/partners/login?returnto=/page")).status(http.StatusOK)
	header, _ := r.upstream.got()
	equal(t, "the user", header.Get("X-User"), "partners/alice")
	p = r.browser().send(http.MethodGet, "/page", map[string]string{"Cookie": "__Host-oidc_rp=" + before})
	check(t, p, "the session before").leadsTo("/@app/auth/?returnto=%2Fpage")
}

// A step-up goes directly to the provider of the session.
func TestAStepUpDoesNotLeadToTheChooser(t *testing.T) {
	t.Parallel()
	r, ops := newChooser(t, map[string]string{"site": `private /admin {
		require acr mfa
	}`})
	b := r.signedInAt("guests")
	check(t, b.get("/admin")).status(http.StatusFound).leadsInto(ops["guests"].Issuer()).leadsWith("acr_values=mfa")
	p := b.send(http.MethodGet, "/admin", map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Referer": rpURL + "/page"})
	check(t, p).status(http.StatusUnauthorized).shows(`"login_url":"/@app/auth/guests/login?returnto=%2Fpage\u0026acr_values=mfa"`)
}

// After a failed sign-in, users can choose another provider, in case their choice was wrong.
func TestAFailedSignInLeadsToTheChooser(t *testing.T) {
	t.Parallel()
	r, _ := newChooser(t, nil)
	p := r.browser().get("/@app/auth/partners/code?state=x&code=y")
	check(t, p).status(http.StatusForbidden).shows(`href="/@app/auth/">Sign in</a>`).hides("/partners/login")
	r, _ = newChooser(t, map[string]string{"mode": "public", "site": "home /login_url"})
	p = r.browser().open("/@app/auth/partners/code?state=x&code=y")
	check(t, p).status(http.StatusOK).at(rpURL + "/login_url?auth_error=login_expired").body("/@app/auth/")
}

// The instances of a site share one chooser, which lists the providers of all of them.
func TestInstancesHaveOneChooser(t *testing.T) {
	t.Parallel()
	one, two, three := newOP(t), newOP(t), newOP(t)
	for id, op := range map[string]interface{ Register(...string) }{"one": one, "two": two, "three": three} {
		op.Register(rpURL + "/@app/auth/" + id + "/code")
	}
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	handle /first* {
		oidc_rp {
			provider one
		}
		reverse_proxy {upstream}
	}
	handle {
		oidc_rp {
			provider two one three
		}
		reverse_proxy {upstream}
	}
}
`, `oidc_rp {
		provider one {
			`+options(one)+`
		}
		provider two {
			`+options(two)+`
			domains two.example
		}
		provider three {
			`+options(three)+`
			disabled
		}
	}`)
	b := r.browser()
	check(t, b.get("/first")).leadsInto(one.Issuer())
	p := b.open("/second")
	check(t, p).at(rpURL + "/@app/auth/?returnto=%2Fsecond")
	list(t, "the choices", namesOf(p), "two", "one")
	check(t, b.send(http.MethodGet, "/@app/auth/?login_hint=a%40two.example&returnto=/second", map[string]string{"Sec-Fetch-Site": "same-origin"})).leadsInto(two.Issuer()).leadsWith("login_hint=a%40two.example")
	check(t, b.open("/@app/auth/two/login?returnto=/second")).status(http.StatusOK)
}

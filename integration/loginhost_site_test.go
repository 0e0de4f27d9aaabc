package integration_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A site applies its own options to the provider's claims, as at a callback.
func TestASiteReadsTheUserInItsOwnWay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lines, sees string
		code        errorcode.Code
	}{
		"its own name of the user":      {"username_claim email", "alice@example.com", ""},
		"a claim of its own":            {"claims {\nnick preferred_username\n}\nusername_claim nick", "", errorcode.UserUnknown},
		"a name that no user has":       {"username_claim absent", "", errorcode.UserUnknown},
		"its own rule, satisfied":       {"require user alice", "alice", ""},
		"its own rule, not satisfied":   {"require user bob", "", errorcode.Forbidden},
		"its own known users":           {"known_users list alice", "alice", ""},
		"its own known users, not this": {"known_users list bob", "", errorcode.UserUnknown},
		"another group's members":       {"groups bosses\nrequire group bosses", "", errorcode.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFederation(t)
			f.app = tc.lines
			f.start(1)
			b := f.browser()
			p := f.goOn(b, appURL+"/page")
			if tc.code != "" {
				check(t, p).refused(tc.code)
				f.lives("the session at the login host", b, authURL)
				check(t, f.goOn(b, wikiURL+"/"), "another site").body("application sees alice")
				return
			}
			check(t, p).status(http.StatusOK).body("application sees " + tc.sees)
		})
	}
}

// The demands of a page or a login link go to the login host, where the user signs in
// again if the session there is not enough. The site checks the result.
func TestDemandsReachTheLoginHost(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.app = "private /pay {\nrequire max_age 5m\n}\nprivate /admin {\nrequire acr mfa\n}"
	f.start(1)
	b := f.signIn("alice")
	check(t, b.open(appURL+"/pay"), "a recent sign-in").body("application sees alice")
	f.clock.advance(10 * time.Minute)
	begun := f.goOn(b, appURL+"/pay", f.op.Issuer())
	check(required{t}, begun, "an old sign-in").leadsInto(f.op.Issuer()).leadsWith("max_age=300")
	check(t, f.goOn(b, begun.location()), "after the login").at(appURL + "/pay").body("application sees alice")
	f.clock.advance(2 * time.Minute)
	check(required{t}, f.goOn(b, appURL+"/admin", f.op.Issuer()), "a weak sign-in").leadsInto(f.op.Issuer()).leadsWith("acr_values=mfa")
	check(t, f.goOn(b, appURL+"/admin"), "a strong sign-in").at(appURL + "/admin").body("application sees alice")
	f.clock.advance(2 * time.Minute)
	begun = f.goOn(b, appURL+"/@app/auth/default/login?max_age=0&returnto=/x", f.op.Issuer())
	check(required{t}, begun, "a link").leadsInto(f.op.Issuer()).leadsWith("max_age=0")
}

// If the session at the login host cannot satisfy a site, the user is refused there,
// without endless logins.
func TestADemandThatIsNeverMet(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.app = "require acr mfa"
	f.start(1)
	f.op.Lie(func(l *oidctest.Faults) {
		l.IDToken.Claims = func(claims map[string]any) { claims["acr"] = "password" }
	})
	b := f.browser()
	check(t, f.goOn(b, appURL+"/page")).refused(errorcode.Forbidden)
	logins := f.op.Hits(oidctest.Authorize)
	for range 4 {
		check(t, f.goOn(b, appURL+"/page"), "again").refused(errorcode.Forbidden)
	}
	atMost(t, "the logins at the provider", f.op.Hits(oidctest.Authorize)-logins, 4)
}

// The login host fetches claims that only a site needs, once.
func TestClaimsThatOnlyASiteNeeds(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "session {\nclaims preferred_username\n}")
	f.app = "upstream {\nheader X-Mail {http.auth.user.claims.email}\n}\nsession {\nclaims email\n}"
	f.start(1)
	b := f.browser()
	check(required{t}, b.open(authURL+"/")).body("application sees alice")
	check(required{t}, f.goOn(b, appURL+"/page")).body("application sees alice")
	header, _ := f.nodes[0].upstream.got()
	equal(t, "the claim that the application gets", header.Get("X-Mail"), "alice@example.com")
	logins := f.op.Hits(oidctest.Authorize)
	b.jar.SetCookies(mustParse(t, appURL), []*http.Cookie{{Name: "__Host-oidc_rp", MaxAge: -1, Path: "/", Secure: true}})
	check(required{t}, b.open(appURL+"/page")).body("application sees alice")
	equal(t, "the logins at the provider", f.op.Hits(oidctest.Authorize), logins)
}

// A login link for another account signs that account in at the login host and at the
// site.
func TestAnotherAccountAtTheLoginHost(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.app = "forward_params ui_locales prompt"
	f.host = "forward_params ui_locales"
	f.start(1)
	b := f.signIn("alice")
	f.op.SignIn("bob")
	for _, tc := range []struct{ query, prompt string }{{"prompt=select_account", "prompt=login"}, {"prompt=login&ui_locales=de", "ui_locales=de"}} {
		begun := f.goOn(b, appURL+"/@app/auth/default/login?returnto=/x&"+tc.query, f.op.Issuer())
		check(required{t}, begun, tc.query).leadsInto(f.op.Issuer()).leadsWith(tc.prompt, "prompt=login")
		check(t, f.goOn(b, begun.location()), tc.query).at(appURL + "/x").body("application sees bob")
	}
	check(t, b.get(authURL+"/")).body("application sees bob")
	check(t, f.goOn(b, appURL+"/@app/auth/default/login?prompt=none&returnto=/x"), "a prompt that is none").body("application sees bob")
}

// If the session cookie reaches both hosts, no ticket is used.
func TestACookieThatReachesBothHosts(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.op.SetClient(func(c *oidctest.Client) {
		c.RedirectURIs = []string{"https://auth.rp.test/@app/auth/default/code"}
		c.PostLogoutURIs = []string{"https://auth.rp.test/@app/auth/default/signedout"}
	})
	f.session = "cookie {\ndomain rp.test\n}"
	f.another(`
http://auth.rp.test {
	` + f.block("login_for *.rp.test") + `
}
http://app.rp.test {
	` + f.block("login_at https://auth.rp.test\nreturn_to https://shop.test") + `
}
`)
	b := f.browser()
	p := b.open("https://app.rp.test/page?q=1")
	check(required{t}, p).at("https://app.rp.test/page?q=1").body("application sees alice")
	for _, c := range b.jar.Cookies(mustParse(t, "https://app.rp.test/")) {
		lacks(t, "the cookies of the site", c.Name, "_tx_")
	}
	lacks(t, "the log", f.nodes[0].logs(), "handed over")
	p = b.open("https://app.rp.test/@app/auth/default/login?returnto=https://shop.test/cart", "shop.test")
	check(t, p, "another origin of return_to").leadsTo("https://shop.test/cart")
	p = b.open("https://app.rp.test/@app/auth/default/login?returnto=https://evil.test/", "evil.test")
	check(t, p, "an origin that is none").at("https://app.rp.test/")
	p = b.open("https://app.rp.test/Special:UserLogout", f.op.Issuer())
	check(t, p, "the logout").leadsInto(f.op.Issuer()).leadsWith("id_token_hint=", "auth.rp.test")
	check(t, b.open("https://app.rp.test/page", f.op.Issuer()), "after the logout").leadsInto(f.op.Issuer())
}

// Users choose a provider at the login host, and return to the site.
func TestTheChooserOfALoginHost(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	other := oidctest.New(t, oidctest.Now(f.clock.now))
	other.SignIn("bob")
	other.Register(authURL + "/@app/auth/partners/code")
	f.op.Register(authURL + "/@app/auth/corp/code")
	block := func(corp, partners, lines string) string {
		return `
	oidc_rp {
		provider ` + corp + ` {
			` + options(f.op) + `
			name "The company"
			domains corp.example
		}
		provider ` + partners + ` {
			` + options(other) + `
			name "A partner"
			domains partner.example
		}
		` + lines + `
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
`
	}
	f.another(`
http://auth.one.test {
	` + block("corp", "partners", "login_for app.two.test *.three.test") + `
}
http://app.two.test {
	` + block("inside", "outside", "login_at "+authURL) + `
}
http://wiki.three.test {
	oidc_rp {
		` + options(f.op) + `
		login_at ` + authURL + `
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`)
	b := f.browser()
	p := b.open(appURL + "/page?q=1")
	check(required{t}, p).status(http.StatusOK).shows("Choose how to sign in", "The company", "A partner")
	links := choicesOn(p)
	equal(required{t}, "the number of providers", len(links), 2)
	check(t, f.goOn(b, links["A partner"])).at(appURL + "/page?q=1").body("application sees outside/bob")
	// A site that accepts only one provider needs no choice.
	check(t, f.goOn(f.browser(), wikiURL+"/")).body("application sees alice")
	// A user who enters an e-mail address goes to its provider, with the address as
	// login_hint.
	b = f.browser()
	p = b.open(appURL + "/page")
	p = b.open(choicesURL(p)+"&login_hint=carol%40corp.example", f.op.Issuer())
	check(t, p).leadsInto(f.op.Issuer()).leadsWith("login_hint=carol%40corp.example")
	check(t, f.goOn(b, p.location())).at(appURL + "/page").body("application sees inside/alice")
	check(t, f.browser().open(choicesURL(f.browser().open(appURL+"/page"))+"&login_hint=carol%40nowhere.example"), "an address of no provider").shows("Choose how")
	check(t, b.get(choicesURL(f.browser().open(appURL+"/page"))+"&provider=unknown"), "a provider that is none").refused(errorcode.BadRequest)
}

// choicesOn returns the links of a chooser by name.
func choicesOn(p *visited) map[string]string {
	links := make(map[string]string)
	for _, part := range strings.Split(p.body, `<li><a class="button`)[1:] {
		_, part, _ = strings.Cut(part, `href="`)
		href, part, _ := strings.Cut(part, `"`)
		_, part, _ = strings.Cut(part, ">")
		name, _, _ := strings.Cut(part, "<")
		links[name] = authURL + strings.ReplaceAll(href, "&amp;", "&")
	}
	return links
}

// choicesURL returns the address of the chooser's form with its sealed request.
func choicesURL(p *visited) string {
	for _, field := range formField.FindAllStringSubmatch(p.body, -1) {
		if field[1] == "request" {
			return authURL + "/@app/auth/handover?request=" + field[2]
		}
	}
	return ""
}

// The sites and the login host may have different configurations and run on different
// nodes.
func TestALoginHostOfAnotherConfiguration(t *testing.T) {
	t.Parallel()
	forSharedKinds(t, 0, func(t *testing.T, f *federation) {
		host, sites := f.another(f.loginHost()), f.another(f.targets())
		b := host.browser()
		p := b.twin(sites).get(appURL + "/page?q=1")
		check(required{t}, p).leadsInto(authURL + "/@app/auth/handover?request=")
		p = b.open(p.location())
		p = b.agree(p)
		check(required{t}, p).leadsInto(appURL + "/@app/auth/default/handover?ticket=")
		there := b.twin(sites)
		check(t, there.open(p.location())).at(appURL + "/page?q=1").body("application sees alice")
		check(t, b.get(authURL+"/Special:UserLogout")).status(http.StatusSeeOther)
		soon(t, "the site knows of the logout", func() bool {
			return there.send(http.MethodGet, appURL+"/x", program).StatusCode == http.StatusUnauthorized
		})
	})
}

// If a user is removed from the login host's directory, the login host also ends their
// sessions at sites of other configurations.
func TestAUserWhoIsRemovedAtALoginHostOfAnotherConfiguration(t *testing.T) {
	t.Parallel()
	forSharedKinds(t, 0, func(t *testing.T, f *federation) {
		path := filepath.Join(t.TempDir(), "users")
		rewrite(t, path, "alice\nbob\n")
		f.host = "known_users file " + path
		host, sites := f.another(f.loginHost()), f.another(f.targets())
		signIn := func(who string) (there *browser) {
			f.op.SignIn(who)
			b := host.browser()
			p := b.twin(sites).get(appURL + "/page")
			p = b.open(p.location(), appURL)
			if strings.Contains(p.body, `name="confirmation"`) {
				p = b.agree(p)
			}
			there = b.twin(sites)
			check(required{t}, there.open(p.location())).body("application sees " + who)
			return there
		}
		alice, bob := signIn("alice"), signIn("bob")
		status := func(b *browser) int { return b.send(http.MethodGet, appURL+"/x", program).StatusCode }
		host.work("users who were handed over")
		equal(t, "the status while the user is known", status(alice), http.StatusOK)
		rewrite(t, path, "bob\n")
		f.clock.advance(3 * time.Second)
		host.work("users who were handed over")
		soon(t, "the site knows that the user is not", func() bool { return status(alice) == http.StatusUnauthorized })
		equal(t, "the status of another user", status(bob), http.StatusOK)
	})
}

// A reload loses no login in progress and no session.
func TestHandoversSurviveAReload(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(2)
	b := f.browser()
	ticket := f.ticket(b)
	f.nodes[0].cleanUp()
	moveTo(b, f.nodes[1])
	check(t, b.open(ticket)).at(appURL + "/page?q=1").body("application sees alice")
}

package integration_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const triedCookie = "__Host-oidc_rp_tried"

// newSilentSite is a public site that tries a silent login.
func newSilentSite(t *testing.T, op *oidctest.Provider, lines ...string) *harness {
	more := ""
	for _, line := range lines {
		more += line + "\n"
	}
	return newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp public {
		`+options(op)+`
		silent on
		private /private/*
		`+more+`
	}
	respond "user {http.auth.user.id} {http.oidc_rp.error.code}"
}
`)
}

func TestAPublicPageSignsInWhoHasASessionAtTheProvider(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newSilentSite(t, op)
	b := r.browser()
	p := b.get("/page?x=1")
	check(t, p).status(http.StatusFound).leadsInto(op.Issuer()).leadsWith("prompt=none").header("Cache-Control", "no-store")
	ends(t, "the redirect", p.Header.Get("Location"), "#")
	p = b.open(p.location())
	check(t, p).at(rpURL + "/page?x=1").shows("user alice")
	b.get("/Special:UserLogout")
	check(t, b.get("/page"), "after a logout").status(http.StatusOK).body("user  ")
}

func TestAnAttemptThatFindsNoUserShowsNothing(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(*oidctest.Faults){
		"no session at the provider":  func(l *oidctest.Faults) { l.Authorization.Error = "login_required" },
		"a question to the user":      func(l *oidctest.Faults) { l.Authorization.Error = "interaction_required" },
		"consent":                     func(l *oidctest.Faults) { l.Authorization.Error = "consent_required" },
		"a refusal":                   func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" },
		"an error of the provider":    func(l *oidctest.Faults) { l.Authorization.Error = "server_error" },
		"a token endpoint that fails": func(l *oidctest.Faults) { l.At(oidctest.Token).Status = http.StatusInternalServerError },
		"an ID token that is none": func(l *oidctest.Faults) {
			l.IDToken.Claims = func(c map[string]any) { c["aud"] = "another" }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newSilentSite(t, op)
			op.Lie(lie)
			b := r.browser()
			check(t, b.open("/page?x=1")).at(rpURL + "/page?x=1").status(http.StatusOK).body("user  ")
			op.Honest()
			for _, address := range []string{"/page?x=1", "/other", "/"} {
				check(t, b.get(address), "no other attempt").status(http.StatusOK).body("user  ")
			}
			check(t, b.open("/private/x"), "a usual login").shows("user alice")
		})
	}
}

func TestAUserWhoIsNotKnownStaysAnonymous(t *testing.T) {
	t.Parallel()
	r := newSilentSite(t, newOP(t), "known_users list bob")
	b := r.browser()
	check(t, b.open("/page")).at(rpURL + "/page").body("user  ")
	check(t, b.get("/page")).status(http.StatusOK)
}

// A silent login begins only with the first page that a user opens, in a browser that
// sends fetch metadata.
func TestNothingButAFirstPageLoadBeginsAnAttempt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newSilentSite(t, op)
	for name, row := range map[string]struct {
		method string
		header map[string]string
	}{
		"a search engine":            {"GET", map[string]string{"Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "", "Sec-Fetch-Site": ""}},
		"a script":                   {"GET", byScript},
		"a frame":                    {"GET", map[string]string{"Sec-Fetch-Dest": "iframe"}},
		"an image":                   {"GET", map[string]string{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}},
		"a page in advance":          {"GET", map[string]string{"Sec-Purpose": "prefetch"}},
		"HEAD":                       {"HEAD", nil},
		"a form":                     {"POST", nil},
		"a link on a page of ours":   {"GET", map[string]string{"Sec-Fetch-Site": "same-origin"}},
		"a destination left out":     {"GET", map[string]string{"Sec-Fetch-Dest": ""}},
		"a WebSocket":                {"GET", map[string]string{"Sec-Fetch-Mode": "websocket", "Sec-Fetch-Dest": "empty"}},
		"a page that shows an error": {"GET", nil},
	} {
		address := "/page"
		if name == "a page that shows an error" {
			address += "?auth_error=login_expired"
		}
		check(t, r.browser().send(row.method, address, row.header), name).status(http.StatusOK).setsCookies(0)
	}
	for name, site := range map[string]string{"the address bar": "none", "another site": "cross-site", "a sibling": "same-site"} {
		check(t, r.browser().send("GET", "/page", map[string]string{"Sec-Fetch-Site": site}), name).status(http.StatusFound)
	}
	off := newHarness(t, `
oidc_rp public {
	`+options(op)+`
	silent off
}
`)
	check(t, off.browser().get("/page"), "without the option").status(http.StatusOK).setsCookies(0)
}

// The cookie that prevents further attempts is sealed. It lasts for the browser session
// and is limited to this host.
func TestOneAttemptInABrowserSession(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.SignOut()
	r := newSilentSite(t, op)
	b := r.browser()
	p := b.get("/page")
	set := setCookie(t, p, triedCookie)
	equal(t, "Max-Age", set.MaxAge, 0)
	equal(t, "Expires", set.RawExpires, "")
	equal(t, "HttpOnly", set.HttpOnly, true)
	equal(t, "Secure", set.Secure, true)
	check(t, b.get("/page"), "while the attempt is under way").status(http.StatusOK)
	check(t, b.open(p.location()), "afterwards").at(rpURL + "/page")

	jar, _ := cookiejar.New(nil)
	b.jar, b.client.Jar = jar, jar // as if the browser had been closed
	check(t, b.get("/page"), "the next browser session").status(http.StatusFound)
	junk := r.rawGet("/page", "Cookie: "+triedCookie+"=junk", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none")
	check(t, junk, "a cookie that is not ours").status(http.StatusFound)
	other := newSilentSite(t, op)
	moved := other.rawGet("/page", "Cookie: "+triedCookie+"="+set.Value, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none")
	check(t, moved, "a cookie whose key is not known here").status(http.StatusOK)
}

// setCookie returns a cookie that a response sets.
func setCookie(t testing.TB, p *visited, name string) *http.Cookie {
	t.Helper()
	for _, c := range p.Cookies() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("expected the cookie %s to be set, seen %q", name, p.Header["Set-Cookie"])
	return nil
}

// After a logout no silent login begins, even in later browser sessions.
func TestNoAttemptAfterALogout(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newSilentSite(t, op)
	b := r.browser()
	check(t, b.open("/private/x")).shows("user alice")
	p := b.get("/Special:UserLogout")
	atLeast(t, "Max-Age after a logout", setCookie(t, p, triedCookie).MaxAge, 300*24*60*60)
	check(t, b.get("/page"), "after the logout").status(http.StatusOK).body("user  ")

	again := r.browser()
	check(t, again.open("/private/x")).shows("user alice")
	b.open("/private/x")
	equal(t, "a sign-in by hand is of the browser session again", setCookieIn(t, b, triedCookie), true)

	anonymous := r.browser()
	p = anonymous.get("/Special:UserLogout")
	atLeast(t, "Max-Age after a logout without a session", setCookie(t, p, triedCookie).MaxAge, 300*24*60*60)
	check(t, anonymous.get("/page"), "after that").status(http.StatusOK)
	image := r.browser().send("GET", "/Special:UserLogout", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"})
	check(t, image, "an image of another site").setsCookies(0)
}

func setCookieIn(t testing.TB, b *browser, name string) bool {
	t.Helper()
	_, there := b.cookies()[name]
	return there
}

// A session that was ended elsewhere is not replaced by a silent login.
func TestNoAttemptAfterARevocation(t *testing.T) {
	t.Parallel()
	r := newSilentSite(t, newOP(t))
	b := r.browser()
	check(t, b.open("/private/x")).shows("user alice")
	copied := b.cookies()["__Host-oidc_rp"]
	b.get("/Special:UserLogout")
	page := []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none", "Accept: text/html"}
	p := r.rawGet("/page", append(page, "Cookie: __Host-oidc_rp="+copied)...)
	check(t, p).status(http.StatusOK).body("user  ")
	equal(t, "what ends attempts is set", setCookie(t, p, triedCookie).Value != "", true)
}

// A browser that keeps no cookies is not redirected again and again: only its first
// request leads to the provider.
func TestABrowserWithoutCookiesIsNotSentRound(t *testing.T) {
	t.Parallel()
	for _, signedInThere := range []bool{true, false} {
		op := newOP(t)
		if !signedInThere {
			op.SignOut()
		}
		r := newSilentSite(t, op)
		b := r.browser()
		b.client.Jar = nil
		p := b.open("/page")
		check(t, p).status(http.StatusOK).at(rpURL + "/?auth_error=login_expired")
		equal(t, "the number of logins", op.Hits(oidctest.Authorize), 1)
		for _, address := range []string{"/", "/page", "/other"} {
			check(t, b.send("GET", address, map[string]string{"Sec-Fetch-Site": "same-origin"}), address).status(http.StatusOK)
		}
		equal(t, "the number of logins", op.Hits(oidctest.Authorize), 1)
	}
}

// The login may have expired when the response arrives. Even then no error is shown.
func TestAnAttemptThatIsOverShowsNothing(t *testing.T) {
	t.Parallel()
	stop(t)
	op := newOP(t)
	op.SignOut()
	r := newSilentSite(t, op)
	b := r.browser()
	p := b.open("/page", "/@app/auth/default/code")
	r.ahead(16 * time.Minute)
	late := b.get(p.location())
	check(t, late, "too late").status(http.StatusSeeOther).leadsTo("/page")
	r.ahead(0)
	check(t, b.get(p.location()), "without its transaction").status(http.StatusSeeOther).leadsTo("/")
	check(t, b.get("/page"), "no other attempt").status(http.StatusOK)
}

func TestAProviderThatIsDownDoesNotHoldUpPublicPages(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Discovery).Status = http.StatusInternalServerError })
	r := newSilentSite(t, op)
	b := r.browser()
	check(t, b.get("/page")).status(http.StatusOK).body("user  ").headerHas("Cache-Control", "no-store")
	check(t, b.get("/page"), "the next page").status(http.StatusOK).setsCookies(0)
}

// If the configuration sends another prompt or a max_age of 0, a silent login is
// impossible and none begins.
func TestNoAttemptWhereTheProviderAsks(t *testing.T) {
	t.Parallel()
	for name, parameters := range map[string]string{
		"a prompt":                "prompt login",
		"a sign-in of the moment": "max_age 0",
	} {
		r := newSilentSite(t, newOP(t), "authorization_params {\n"+parameters+"\n}")
		check(t, r.browser().get("/page"), name).status(http.StatusOK).setsCookies(0)
	}
	disabled := newSilentSite(t, newOP(t), "disabled")
	check(t, disabled.browser().get("/page"), "a provider that is switched off").status(http.StatusOK).setsCookies(0)
}

// With keep_fragment, a silent login keeps the fragment of a public page.
func TestAnAttemptKeepsTheFragment(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.SignOut()
	r := newSilentSite(t, op, "keep_fragment on")
	b := r.browser()
	next, does, key := fragmentPage(t, b.get("/page"), http.StatusUnauthorized)
	equal(t, "what the script does", does, "keep")
	contains(t, "where it leads", next, "prompt=none")
	p := b.open(next)
	back, does, same := fragmentPage(t, p, http.StatusOK)
	equal(t, "what the script does afterwards", does, "restore")
	equal(t, "the key", same, key)
	equal(t, "where it leads back", back, "/page")
}

func TestSilentIsForInstancesThatGuard(t *testing.T) {
	t.Parallel()
	_, err := adapt(`
:8080 {
	oidc_rp endpoints {
		issuer https://op.test
		client_id rp
		silent on
	}
}
`)
	failsWith(t, "silent with endpoints", err, "endpoints guards nothing: it takes no silent")
}

// If users choose a provider, a silent login uses the one that they chose before. It does
// not begin if a link on another site led to the page.
func TestAnAttemptAsksTheProviderThatWasChosen(t *testing.T) {
	t.Parallel()
	corp, partners, storage := newOP(t), newOP(t), storageDir(t)
	corp.Register(rpURL + "/@app/auth/corp/code")
	partners.Register(rpURL + "/@app/auth/partners/code")
	site := func(id, more string) *harness {
		return newHarnessAt(t, storage, `
http://rp.test {
	oidc_rp public {
		provider corp {
			`+options(corp)+`
		}
		provider `+id+` {
			`+options(partners)+`
			`+more+`
		}
		silent on
		private /private/*
	}
	respond "user {http.auth.user.id}"
}
`)
	}
	b := site("partners", "").browser()
	check(required{t}, b.open("/@app/auth/partners/login?returnto=/x")).shows("user partners/alice")
	choice := b.cookies()["__Host-oidc_rp_choice"]
	for name, row := range map[string]struct {
		id, options, choice, from string
		asked                     bool
	}{
		"a choice":                        {"partners", "", choice, "none", true},
		"no choice":                       {"partners", "", "", "none", false},
		"a choice that is not ours":       {"partners", "", "partners", "none", false},
		"a link on another site":          {"partners", "", choice, "cross-site", false},
		"a link on a sibling":             {"partners", "", choice, "same-site", false},
		"a provider that is switched off": {"partners", "disabled", choice, "none", false},
		"a provider that asks":            {"partners", "authorization_params {\nprompt login\n}", choice, "none", false},
		"a provider that is gone":         {"former", "", choice, "none", false},
	} {
		b := site(row.id, row.options).browser()
		if row.choice != "" {
			here, _ := url.Parse(rpURL)
			b.jar.SetCookies(here, []*http.Cookie{{Name: "__Host-oidc_rp_choice", Value: row.choice, Path: "/", Secure: true}})
		}
		p := b.send("GET", "/page?x=1", map[string]string{"Sec-Fetch-Site": row.from})
		if !row.asked {
			check(t, p, name).status(http.StatusOK).body("user ").setsCookies(0)
			continue
		}
		check(t, p, name).status(http.StatusFound).leadsInto(partners.Issuer()).leadsWith("prompt=none")
		check(t, b.open(p.location()), name).at(rpURL + "/page?x=1").body("user partners/alice")
		b.get("/Special:UserLogout")
		check(t, b.get("/page"), name+", after a logout").status(http.StatusOK).body("user ")
	}
}

package integration_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

var (
	nextAddress = regexp.MustCompile(`data-next="([^"]*)"`)
	keptBy      = regexp.MustCompile(`data-(keep|restore)="([A-Za-z0-9_-]{8})"`)
)

// fragmentPage parses a page that replaces a redirect.
func fragmentPage(t testing.TB, p *visited, status int) (next, does, key string) {
	t.Helper()
	check(required{t}, p).status(status).header("Location", "").header("Cache-Control", "no-store").hides("</script><script")
	found, by := nextAddress.FindStringSubmatch(p.body), keptBy.FindStringSubmatch(p.body)
	if found == nil || by == nil {
		t.Fatalf("expected a page that goes on, seen %s", p.body)
	}
	return html.UnescapeString(found[1]), by[1], by[2]
}

func TestAFragmentIsKeptByTheLoginAndRestored(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, "keep_fragment on", "return_to https://friend.test"))
	for name, row := range map[string]struct {
		address string
		status  int // of the page that begins the login
		back    string
	}{
		"a private page":            {"/page?x=1&y=it's", http.StatusUnauthorized, "/page?x=1&y=it's"},
		"a path with two slashes":   {"//page", http.StatusUnauthorized, rpURL + "//page"},
		"a login link":              {"/@app/auth/default/login?returnto=/a?b=c", http.StatusOK, "/a?b=c"},
		"a login link for home":     {"/@app/auth/default/login", http.StatusOK, "/"},
		"a login link to a section": {"/@app/auth/default/login?returnto=/a%23own", http.StatusOK, "/a#own"},
		"an address of this origin": {"/@app/auth/default/login?returnto=" + rpURL + "/b", http.StatusOK, "/b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := r.browser()
			p := b.get(row.address)
			next, does, key := fragmentPage(t, p, row.status)
			equal(t, "what the script does", does, "keep")
			begins(t, "where it leads", next, op.Issuer())
			ends(t, "where it leads", next, "#")
			checkScript(t, r, p, "/@app/auth/keep_fragment.js")
			check(t, p).shows(`<noscript><meta http-equiv="refresh" content="0; url=` + html.EscapeString(op.Issuer()))
			lacks(t, "the key", next, key) // which the provider must not learn

			p = b.open(next)
			back, does, sameKey := fragmentPage(t, p, http.StatusOK)
			equal(t, "what the script does afterwards", does, "restore")
			equal(t, "the key", sameKey, key)
			equal(t, "where it leads back", strings.TrimPrefix(back, rpURL), strings.TrimPrefix(row.back, rpURL))
			checkScript(t, r, p, "/@app/auth/keep_fragment.js")
			check(t, b.get("/page")).status(http.StatusOK)
		})
	}
}

func TestNoFragmentIsKeptWhereNoneCanBe(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, "keep_fragment on", "return_to https://friend.test"))
	for name, row := range map[string]struct{ method, address string }{
		"a HEAD":                      {"HEAD", "/page"},
		"a login begun by a portal":   {"GET", initiatePath + "?iss=" + escape(op.Issuer())},
		"a login that leads to other": {"GET", "/@app/auth/default/login?returnto=https://friend.test/x"},
		"a login in a popup":          {"GET", popupPath},
	} {
		check(t, r.browser().send(row.method, row.address, nil), name).status(http.StatusFound).leadsInto(op.Issuer())
	}
	check(t, r.browser().send("GET", "/api", byScript), "a script's call").status(http.StatusUnauthorized).hides("data-keep")
	without := newHarness(t, protectedBy(newOP(t), "keep_fragment off"))
	check(t, without.browser().get("/page"), "without the option").status(http.StatusFound)
}

// A redirect to an address with an empty fragment drops the fragment of the page before,
// so the provider's page cannot read it.
func TestRedirectsToProvidersEndInAnEmptyFragment(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, option := range []string{"", "keep_fragment on"} {
		r := newHarness(t, protectedBy(op, option))
		b := r.browser()
		for _, address := range []string{"/page", "/@app/auth/default/login?returnto=/x", initiatePath + "?iss=" + escape(op.Issuer()), popupPath} {
			p := b.get(address)
			to := p.Header.Get("Location")
			if to == "" {
				to, _, _ = fragmentPage(t, p, p.StatusCode)
			}
			begins(t, option+" "+address, to, op.Issuer())
			ends(t, option+" "+address, to, "#")
			equal(t, option+" "+address+": the number of fragments", strings.Count(to, "#"), 1)
		}
		b = r.browser()
		follow(t, b, "/page")
		p := b.get("/Special:UserLogout")
		check(t, p, option+" logout").status(http.StatusSeeOther).leadsInto(op.Issuer())
		ends(t, option+" logout", p.Header.Get("Location"), "#")
	}
}

// follow signs a user in as a browser that runs the page's script does, and returns the
// last page.
func follow(t testing.TB, b *browser, address string) *visited {
	t.Helper()
	for range 8 {
		p := b.open(address)
		next := nextAddress.FindStringSubmatch(p.body)
		if next == nil {
			return p
		}
		address = html.UnescapeString(next[1])
	}
	t.Fatal("a loop")
	return nil
}

// If an ordinary login follows a silent one, it leads to the same fragment.
func TestAFragmentSurvivesALoginThatFollowsAnother(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	storage := storageDir(t)
	site := func(lines string) *harness {
		return newHarnessAt(t, storage, `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		keep_fragment on
		`+lines+`
	}
	respond "user {http.auth.user.id}"
}
`)
	}
	before := site("session {\nclaims email\n}")
	b := before.browser()
	check(t, follow(t, b, "/page")).shows("user alice")
	r := site("require claim email_verified\nsession {\nclaims email\n}\nupstream {\nheader X-Role realm_access.roles\n}")
	moveTo(b, r)
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "interaction_required" })
	p := b.get("/page")
	next, _, key := fragmentPage(t, p, http.StatusUnauthorized)
	contains(t, "the first login", next, "prompt=none")
	p = b.get(next)
	op.Honest()
	p = b.get(p.location())
	check(t, p, "the second login").status(http.StatusFound).leadsWithout("prompt=none")
	p = b.open(p.location())
	_, does, same := fragmentPage(t, p, http.StatusOK)
	equal(t, "what the script does", does, "restore")
	equal(t, "the key", same, key)
}

// If users choose a provider first, the fragment is kept for the login that follows.
func TestAFragmentSurvivesTheChooser(t *testing.T) {
	t.Parallel()
	r, ops := newChooser(t, map[string]string{"site": "keep_fragment on", "corp": "domains corp.example"})
	for name, choose := range map[string]func(b *browser, chooser *visited, query string) *visited{
		"a link": func(b *browser, chooser *visited, query string) *visited {
			check(t, chooser).shows(`href="` + html.EscapeString("/@app/auth/corp/login?"+query) + `"`)
			return b.get("/@app/auth/corp/login?" + query)
		},
		"the form": func(b *browser, chooser *visited, query string) *visited {
			_, key, _ := strings.Cut(query, "kept_fragment=")
			check(t, chooser).shows(`<input type="hidden" name="kept_fragment" value="` + key + `">`)
			return b.get("/@app/auth/?" + query + "&login_hint=bob%40corp.example")
		},
	} {
		b := r.browser()
		p := b.get("/page?x=1")
		next, does, key := fragmentPage(t, p, http.StatusUnauthorized)
		equal(t, name+": what the script does", does, "keep")
		query := "returnto=%2Fpage%3Fx%3D1&kept_fragment=" + key
		equal(t, name+": where it leads", next, "/@app/auth/?"+query)
		checkScript(t, r, p, "/@app/auth/keep_fragment.js")

		p = choose(b, b.get(next), query)
		check(t, p, name).status(http.StatusFound).leadsInto(ops["corp"].Issuer()) // no further page, which would discard the kept fragment
		lacks(t, name+": the key", p.Header.Get("Location"), key)
		back, does, same := fragmentPage(t, b.open(p.location()), http.StatusOK)
		equal(t, name+": what the script does afterwards", does, "restore")
		equal(t, name+": the key", same, key)
		equal(t, name+": where it leads back", back, "/page?x=1")
	}
}

// A link can pass on only the key of a kept fragment. A key is ignored in logins for other
// origins and for popups, and if it is malformed.
func TestAKeptFragmentIsForThisSiteAlone(t *testing.T) {
	t.Parallel()
	r, ops := newChooser(t, map[string]string{"site": "keep_fragment on\nreturn_to https://friend.test"})
	for name, row := range map[string]struct{ query, back string }{
		"another origin":   {"returnto=https://friend.test/x&kept_fragment=AbCdEf-_", "https://friend.test/x"},
		"a popup":          {"returnto=/x&display=popup&kept_fragment=AbCdEf-_", ""},
		"its own fragment": {"returnto=https://friend.test/x%23y&kept_fragment=AbCdEf-_", "https://friend.test/x#y"},
	} {
		b := r.browser()
		p := b.get("/@app/auth/corp/login?" + row.query)
		check(t, p, name).status(http.StatusFound).leadsInto(ops["corp"].Issuer())
		p = b.open(p.location(), rpURL+"/@app/auth/corp/code", "/@app/auth/corp/code")
		last := b.get(p.location())
		check(t, last, name).header("Location", row.back).hides("data-restore")
	}
	for name, key := range map[string]string{"short": "AbCdEf-", "long": "AbCdEf-_x", "markup": "%22%3E%3Cb%3E%3Cb", "none": ""} {
		b := r.browser()
		next, does, fresh := fragmentPage(t, b.get("/@app/auth/corp/login?returnto=/x&kept_fragment="+key), http.StatusOK)
		begins(t, name, next, ops["corp"].Issuer())
		equal(t, name+": what the script does", does, "keep")
		lacks(t, name+": the new key", fresh, "AbCdEf-")
		check(t, b.get("/@app/auth/?returnto=/x&kept_fragment="+key), name).hides("kept_fragment")
	}
	for name, method := range map[string]string{"a HEAD": http.MethodHead} {
		check(t, r.browser().send(method, "/page", nil), name).status(http.StatusFound).leadsTo("/@app/auth/?returnto=%2Fpage")
	}
	without, _ := newChooser(t, map[string]string{"site": "keep_fragment off"})
	check(t, without.browser().get("/page"), "without the option").status(http.StatusFound).leadsTo("/@app/auth/?returnto=%2Fpage")
	b := without.browser()
	check(t, b.open("/@app/auth/corp/login?returnto=/x&kept_fragment=AbCdEf-_"), "without the option").at(rpURL + "/x")
}

// A login host sees neither the fragment nor its key. Both stay with the site.
func TestAFragmentSurvivesTheChooserOfALoginHost(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	other := oidctest.New(t, oidctest.Now(f.clock.now))
	other.SignIn("bob")
	f.op.Register(authURL + "/@app/auth/corp/code")
	other.Register(authURL + "/@app/auth/partners/code")
	block := func(lines string) string {
		return `
	oidc_rp {
		provider corp {
			` + options(f.op) + `
		}
		provider partners {
			` + options(other) + `
			name "A partner"
		}
		` + lines + `
	}
	respond "user {http.auth.user.id}"
`
	}
	f.another(`
http://auth.one.test {
	` + block("login_for app.two.test") + `
}
http://app.two.test {
	` + block("keep_fragment on\nlogin_at "+authURL) + `
}
`)
	b := f.browser()
	next, does, key := fragmentPage(t, b.get(appURL+"/page?x=1"), http.StatusUnauthorized)
	equal(t, "what the script does", does, "keep")
	begins(t, "where it leads", next, authURL+"/@app/auth/handover?request=")
	chooser := b.open(next)
	check(required{t}, chooser).status(http.StatusOK).shows("Choose how to sign in").hides(key, "data-keep")
	back, does, same := fragmentPage(t, f.goOn(b, choicesOn(chooser)["A partner"]), http.StatusOK)
	equal(t, "what the script does afterwards", does, "restore")
	equal(t, "the key", same, key)
	equal(t, "where it leads back", back, "/page?x=1")
	check(t, b.get(appURL+back)).body("user partners/bob")
}

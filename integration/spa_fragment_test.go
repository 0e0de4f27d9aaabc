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

// fragmentPage is what a page in the place of a redirect says.
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
		status  int // of the page that begins
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
			lacks(t, "the key", next, key) // which the provider does not learn

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

// The address of a page holds no fragment of the one before if it has an empty one of
// its own: the provider's page sees nothing of ours.
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

// follow signs in as a browser that runs our script does, and returns the last page.
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

// A silent login that is followed by a usual one leads to the same fragment.
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

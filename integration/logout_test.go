package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestLogoutEndsTheSessionHereThenAtTheProvider(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.SetClient(func(c *oidctest.Client) { c.PostLogoutURIs = []string{rpURL + "/@app/auth/default/signedout"} })
	r := newHarness(t, protectedBy(op))
	b := signedIn(t, r)
	old := b.cookieHeader()
	p := b.get("/Special:UserLogout")
	u, err := url.Parse(p.location())
	if err != nil {
		t.Fatal(err)
	}
	check(required{t}, p).status(http.StatusSeeOther).leadsInto(op.URL(oidctest.EndSession))
	q := u.Query()
	equal(t, "id_token_hint is an issued ID token", op.IssuedIDToken(q.Get("id_token_hint")), true)
	equal(t, "client_id", q.Get("client_id"), "rp")
	differs(t, "state", q.Get("state"), "")
	equal(t, "post_logout_redirect_uri", q.Get("post_logout_redirect_uri"), rpURL+"/@app/auth/default/signedout")
	if left := b.cookies(); len(left) != 0 {
		t.Errorf("cookies are left: %v", left)
	}
	check(t, r.rawGet("/x", "Cookie: "+old), "a copied cookie").status(http.StatusUnauthorized)
	p = b.open(p.location())
	check(t, p).status(http.StatusOK).shows("Signed out")
	contains(t, "the address", p.url, "/@app/auth/default/signedout")
}

func TestLogoutWithoutTheIDTokenSaysWhoIsLeaving(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := signedIn(t, r)
	cookies := "__Host-oidc_rp=" + b.cookies()["__Host-oidc_rp"]
	p := r.rawGet("/Special:UserLogout", "Cookie: "+cookies)
	u, _ := url.Parse(p.Header.Get("Location"))
	q := u.Query()
	equal(t, "the presence of id_token_hint", q.Has("id_token_hint"), false)
	equal(t, "client_id", q.Get("client_id"), "rp")
	equal(t, "logout_hint", q.Get("logout_hint"), "alice")
}

func TestALinkOnAnotherSiteEndsNothing(t *testing.T) {
	t.Parallel()
	r := newHarness(t, `
oidc_rp {
	`+options(newOP(t))+`
	end_session off
}
`)
	b := signedIn(t, r)
	silent := map[string]string{"Sec-Fetch-Site": "", "Sec-Fetch-Mode": "", "Sec-Fetch-Dest": ""}
	for _, row := range []struct {
		name, method string
		header       map[string]string
		confirms     int // the page's status
	}{
		{"a link on another site", "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, 200},
		{"a link on a sibling site", "GET", map[string]string{"Sec-Fetch-Site": "same-site"}, 200},
		{"a link in an old browser", "GET", map[string]string{"Sec-Fetch-Site": "", "Referer": "https://evil.test/"}, 200},
		{"a form on another site", "POST", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}, 403},
		{"a form in an old browser", "POST", map[string]string{"Sec-Fetch-Site": "", "Origin": "https://evil.test"}, 403},
		{"an anonymous form", "POST", map[string]string{"Sec-Fetch-Site": "", "Origin": "null"}, 403},
	} {
		p := b.send(row.method, "/Special:UserLogout", row.header)
		check(t, p, row.name).
			status(row.confirms).
			shows(`<form method="post" action="/Special:UserLogout"><input type="hidden" name="confirmation"`, "alice")
		if p := b.get("/"); p.StatusCode != http.StatusOK {
			t.Fatalf("%s ended the session", row.name)
		}
	}
	for _, row := range []struct {
		name, method string
		header       map[string]string
	}{
		{"a link on this site", "GET", map[string]string{"Sec-Fetch-Site": "same-origin"}},
		{"the address bar", "GET", map[string]string{"Sec-Fetch-Site": "none"}},
		{"the confirmation", "POST", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": rpURL}},
		{"an old browser's link", "GET", map[string]string{"Sec-Fetch-Site": "", "Referer": rpURL + "/page"}},
		{"a program", "POST", silent},
	} {
		b := signedIn(t, r)
		check(t, b.send(row.method, "/Special:UserLogout", row.header), row.name).
			status(http.StatusSeeOther).
			leadsTo("/Special:UserLogout")
		equal(t, row.name+": the number of cookies", len(b.cookies()), 0)
	}
}

func TestALogoutWithoutASessionLeadsOn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	signed_out https://www.example.com/bye
}
`)
	for _, path := range []string{"/Special:UserLogout", "/@app/auth/default/signedout?state=other"} {
		check(t, r.browser().get(path), path).status(http.StatusSeeOther).leadsTo("https://www.example.com/bye")
	}
}

func TestALogoutThatCannotBeStoredIsReportedAndClearsTheCookie(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp public {
	`+options(op)+`
	private /private
}
`)
	b := r.browser()
	b.open("/private")
	breakStorage(t, r)
	p := b.get("/Special:UserLogout")
	check(t, p).status(http.StatusSeeOther).leadsTo("/?auth_error=logout_failed")
	equal(t, "the number of cookies", len(b.cookies()), 0)
	mendStorage(t, r)
}

func TestLogoutWithTheProviderDownEndsTheSessionHere(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	storage := storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		%s
	}
	reverse_proxy {upstream}
}
`
	b := signedIn(t, newHarnessAt(t, storage, strings.Replace(site, "%s", "", 1)))
	op.Stop()
	fresh := newHarnessAt(t, storage, strings.Replace(site, "%s", "timeout 1m", 1)) // knows nothing of the provider yet
	moveTo(b, fresh)
	check(t, b.get("/Special:UserLogout")).status(http.StatusSeeOther).leadsTo("/?auth_error=logout_failed")
	equal(t, "the number of cookies", len(b.cookies()), 0)
}

func TestTheConfirmationWorksInABrowserThatSaysNothing(t *testing.T) {
	t.Parallel()
	r := newHarness(t, `
oidc_rp {
	`+options(newOP(t))+`
	end_session off
}
`)
	b, other := signedIn(t, r), signedIn(t, r)
	silent := map[string]string{"Sec-Fetch-Site": "", "Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "", "Referer": "https://evil.test/"}
	confirmation := func(b *browser) string {
		_, rest, _ := strings.Cut(b.send("GET", "/Special:UserLogout", silent).body, `name="confirmation" value="`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	post := func(value string) int {
		p := b.post("/Special:UserLogout", "confirmation="+url.QueryEscape(value), map[string]string{"Sec-Fetch-Site": "", "Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "", "Origin": "null"})
		return p.StatusCode
	}
	for _, value := range []string{"", "x", confirmation(other)} {
		if got := post(value); got != http.StatusForbidden {
			t.Errorf("the confirmation %q gets %d", value, got)
		}
	}
	equal(t, "the status", post(confirmation(b)), http.StatusSeeOther)
	equal(t, "the number of cookies", len(b.cookies()), 0)
}

func TestALogoutEndsTheSessionOfADisabledProvider(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		%s
	}
	reverse_proxy {upstream}
}
`
	b := signedIn(t, newHarnessAt(t, storage, fmt.Sprintf(site, "")))
	copied := b.cookieHeader()
	off := newHarnessAt(t, storage, fmt.Sprintf(site, "disabled"))
	moveTo(b, off)
	check(t, b.get("/Special:UserLogout")).status(http.StatusSeeOther)
	equal(t, "the number of cookies", len(b.cookies()), 0)
	on := newHarnessAt(t, storage, fmt.Sprintf(site, ""))
	if p := on.rawGet("/x", "Cookie: "+copied); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session lives on: %d", p.StatusCode)
	}
}

func TestALogoutWhenTheFactsAreUnknownClearsTheCookies(t *testing.T) {
	t.Parallel()
	stop(t)
	r := newHarness(t, protectedBy(newOP(t)))
	b := signedIn(t, r)
	breakStorage(t, r)
	r.ahead(10 * time.Minute)
	p := b.get("/Special:UserLogout")
	check(t, p).status(http.StatusSeeOther).leadsTo("/?auth_error=logout_failed")
	equal(t, "the number of cookies", len(b.cookies()), 0)
	mendStorage(t, r)
}

func TestRequestsThatAreNoPageLoadsSignNoUserOut(t *testing.T) {
	t.Parallel()
	r := newHarness(t, `
oidc_rp {
	`+options(newOP(t))+`
	end_session off
}
`)
	b := signedIn(t, r)
	for name, header := range map[string]map[string]string{
		"an image in a comment": {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
		"a script":              {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
		"a prefetch":            {"Sec-Fetch-Site": "same-origin", "Sec-Purpose": "prefetch"},
		"a prerender":           {"Sec-Fetch-Site": "none", "Sec-Purpose": "prefetch;prerender"},
		"a frame":               {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "iframe"},
	} {
		b.send("GET", "/Special:UserLogout", header)
		if p := b.get("/"); p.StatusCode != http.StatusOK {
			t.Fatalf("%s signed the user out", name)
		}
	}
}

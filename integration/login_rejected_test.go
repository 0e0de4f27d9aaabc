package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// forgetful is a cookie jar that drops the cookies whose names have a suffix.
type forgetful struct {
	http.CookieJar
	part string
}

func (j forgetful) SetCookies(u *url.URL, cookies []*http.Cookie) {
	var kept []*http.Cookie
	for _, c := range cookies {
		if !strings.HasSuffix(c.Name, j.part) {
			kept = append(kept, c)
		}
	}
	j.CookieJar.SetCookies(u, kept)
}

func (b *browser) refuses(part string) { b.client.Jar = forgetful{b.jar, part} }

// signsInFrom opens a page, goes to the provider and stops after the callback.
func (b *browser) signsInFrom(page string) *visited {
	b.t.Helper()
	answer := b.open(page, rpURL+"/@app/auth/default/code").location()
	if answer == "" {
		b.t.Fatal("no login began")
	}
	return b.get(answer)
}

// A browser that rejects the session cookie gets a page that says so instead of a redirect
// loop. Scripts cannot begin further logins, and users can.
func TestABrowserThatRefusesTheSessionGetsAPageThatSaysSo(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	clock := stop(t)
	for name, row := range map[string]struct {
		site, session, cookie string
		refuses               bool
	}{
		"the browser refuses it": {"http://rp.test", "", "__Host-oidc_rp", true},
		"the domain is another one's": {":80", `
			session {
				cookie {
					domain other.example
				}
			}
		`, "__Secure-oidc_rp", false},
	} {
		r := newHarnessAt(t, storageDir(t), `
`+row.site+` {
	oidc_rp {
		`+options(op)+`
		`+row.session+`
	}
	reverse_proxy {upstream}
}
`)
		r.at(clock.now)
		b := r.browser()
		if row.refuses {
			b.refuses(row.cookie)
		}
		b.signsInFrom("/page")
		b.signsInFrom("/page")
		p := b.get("/page")
		check(required{t}, p, name).refused(errorcode.CookiesRejected)
		if !strings.Contains(p.body, "/@app/auth/default/login?returnto=%2Fpage") {
			t.Errorf("%s: the page offers no fresh start: %s", name, p.body)
		}
		log := r.logs()
		contains(t, name+": the log", log, "no cookie "+row.cookie+" ")
		contains(t, name+": the log", log, "cookies_rejected")
		if p := b.get("/@app/auth/default/login"); p.StatusCode != http.StatusForbidden {
			t.Errorf("%s: a script may begin a third login: status %d", name, p.StatusCode)
		}
		if p := b.send("GET", "/@app/auth/default/login", map[string]string{"Sec-Fetch-User": "?1"}); p.StatusCode != http.StatusFound {
			t.Errorf("%s: a person may not try again: status %d", name, p.StatusCode)
		}
		clock.advance(61 * time.Second)
		check(t, b.get("/page"), name+": after a minute").status(http.StatusFound)
	}
}

// A browser that rejects all cookies gets an error page at the callback.
func TestABrowserWithoutAnyCookiesEndsAtTheCallback(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	b.client.Jar = nil
	check(t, b.open("/page")).refused(errorcode.LoginExpired)
}

// Users whose browser keeps cookies never see the page about rejected cookies.
func TestHonestSignInsAreNoRejectedCookies(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, session := range []string{"", `
		session {
			store memory
		}
	`} {
		r := newHarness(t, protectedBy(op, session))
		b := r.browser()
		for i := range 4 { // sign in, open a page, sign out
			check(required{t}, b.open("/page"), fmt.Sprintf("sign-in %d", i)).body("application sees alice")
			b.get("/Special:UserLogout")
		}
		for i := range 4 { // sign out at once
			check(required{t}, b.signsInFrom("/page"), fmt.Sprintf("sign-in %d", i)).status(http.StatusSeeOther)
			b.get("/Special:UserLogout")
			if b.cookies()["__Host-oidc_rp_mark"] != "" {
				t.Fatalf("sign-in %d: the mark is left after the logout", i)
			}
		}
		for i := range 4 { // open a page, and lose the session cookie
			check(required{t}, b.open("/page"), fmt.Sprintf("sign-in %d", i)).body("application sees alice")
			u, _ := url.Parse(rpURL)
			b.jar.SetCookies(u, []*http.Cookie{{Name: "__Host-oidc_rp", Path: "/", MaxAge: -1}})
		}
		for i := range 4 { // revoked before the first page
			check(required{t}, b.signsInFrom("/page"), fmt.Sprintf("sign-in %d", i)).status(http.StatusSeeOther)
			r.tell(op.LogoutToken("", op.Issued().SID, oidctest.JWTLies{}))
			check(required{t}, b.get("/page"), fmt.Sprintf("revocation %d", i)).status(http.StatusFound)
		}
	}
}

// A mark cookie that another site has planted has no effect, and applications never see
// one.
func TestAForgedMarkDecidesNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	b.refuses("__Host-oidc_rp")
	b.signsInFrom("/page")
	b.signsInFrom("/page")
	mark := b.cookies()["__Host-oidc_rp_mark"]
	if mark == "" {
		t.Fatal("there is no mark")
	}
	for _, planted := range []string{"__Host-oidc_rp_mark=x", "__Secure-oidc_rp_mark=" + mark, "oidc_rp_mark=" + mark, "__Host-oidc_rp_mark=" + mark[1:]} {
		other := r.browser()
		other.client.Jar = nil
		check(t, other.send("GET", "/page", map[string]string{"Cookie": planted}), fmt.Sprintf("%.30s", planted)).status(http.StatusFound)
	}
	header := map[string]string{"Cookie": "__Host-oidc_rp_mark=" + mark + "; theme=dark"}
	own := r.browser()
	own.client.Jar = nil
	check(t, own.send("GET", "/page", header), "the site's own mark").refused(errorcode.CookiesRejected)
	public := newHarness(t, `
oidc_rp public {
	`+options(op)+`
}
`)
	other := public.browser()
	other.client.Jar = nil
	other.send("GET", "/page", header)
	if got, _ := public.upstream.got(); got.Get("Cookie") != "theme=dark" {
		t.Errorf("the application got the cookies %q", got.Get("Cookie"))
	}
}

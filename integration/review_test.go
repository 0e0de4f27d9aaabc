package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// The tests of this file were faults once. It only grows.

func TestARequestTargetWithoutAPathIsRefused(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, site := range []string{"oidc_rp public {\n" + options(op) + "private /private/*\n}", "oidc_rp /private/* {\n" + options(op) + "}", "oidc_rp {\n" + options(op) + "public /\n}"} {
		r := newHarness(t, site)
		for _, target := range []string{"foo:http://rp.test/private/x", "x:/private/x", "foo:bar", "http:rp.test/private/x", "mailto:a@b"} {
			p := r.raw("GET " + target + " HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nAccept: text/html\r\n\r\n")
			if p.StatusCode == http.StatusOK || r.upstream.count() != 0 {
				_, at := r.upstream.got()
				t.Fatalf("%q got through with status %d, the application saw %q", target, p.StatusCode, at)
			}
		}
		for _, target := range []string{"http://rp.test/private/x", "https://rp.test/private/x", "HTTP://rp.test/private/x"} {
			p := r.raw("GET " + target + " HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nAccept: text/html\r\n\r\n")
			if p.StatusCode == http.StatusOK || r.upstream.count() != 0 {
				t.Fatalf("%q got through with status %d", target, p.StatusCode)
			}
		}
	}
}

func TestErrorRoutesGetNoForgedIdentityEither(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, pages := range []string{"builtin", "caddy"} {
		r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp {\n"+options(op)+"error_pages "+pages+"\nupstream {\nheader X-Remote-User {http.auth.user.id}\n}\n}\nreverse_proxy {upstream}\nhandle_errors {\nreverse_proxy {upstream}\n}\n}")
		cookies := signedIn(t, r).cookieHeader()
		for _, request := range []string{"GET /@app/auth/../../admin", "POST /@app/auth/default/login", "GET /@app/auth/nobody/login"} {
			r.raw(request + " HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nContent-Length: 0\r\nX-Remote-User: root\r\nX_Remote_User: root\r\nX~Remote!User: root\r\nCookie: " + cookies + "\r\n\r\n")
			header, at := r.upstream.got()
			for name, values := range header {
				if strings.Contains(strings.Join(values, " "), "root") || name == "Cookie" {
					t.Errorf("%s, %s pages: %s: %q reached the application at %s", request, pages, name, values, at)
				}
			}
		}
	}
}

func TestANeighboursEndpointNeverReachesTheApplication(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, own := range []string{"", "endpoints /b/auth\n"} {
		r := newHarnessAt(t, storageDir(t), "http://rp.test {\nhandle /b/* {\noidc_rp {\nprovider two {\n"+options(op)+"}\n"+own+"}\nreverse_proxy {upstream}\n}\nhandle {\noidc_rp {\nprovider one {\n"+options(op)+"}\n}\nreverse_proxy {upstream}\n}\n}")
		for _, request := range []string{"GET /@app/auth/two/login?title=Secret", "POST /@app/auth/two/login", "GET /@app/auth/two/other", "GET /b/auth/two/other"} {
			r.raw(request + " HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nContent-Length: 0\r\nAccept: text/html\r\n\r\n")
			if r.upstream.count() != 0 {
				t.Errorf("%s got through", request)
			}
		}
	}
}

func TestWhatOneInstanceToldIsNotAnothersUser(t *testing.T) {
	t.Parallel()
	first, second := newOP(t), newOP(t)
	first.Register(rpURL + "/@app/auth/one/code")
	second.Register(rpURL + "/@app/auth/two/code")
	user := second.User("bob")
	delete(user.Claims, "groups")
	second.SetUser("bob", user)
	second.SignIn("bob")
	told := "upstream {\nheader X-Remote-User {http.auth.user.id}\nheader X-Groups groups\n}\n"
	r := newHarnessAt(t, storageDir(t), "http://rp.test {\nroute {\noidc_rp public {\nprovider one {\n"+options(first)+"}\nsession {\ncookie one\n}\n"+told+"}\noidc_rp {\nprovider two {\n"+options(second)+"}\nsession {\ncookie two\n}\n"+told+"}\nreverse_proxy {upstream}\n}\n}")
	b := r.browser()
	b.open("/@app/auth/one/login", second.Issuer())
	if p := b.open("/x"); p.StatusCode != http.StatusOK {
		t.Fatalf("status %d", p.StatusCode)
	}
	header, _ := r.upstream.got()
	if header.Get("X-Remote-User") != "bob" || header.Get("X-Groups") != "" {
		t.Errorf("the application was told %q of %q", header.Get("X-Groups"), header.Get("X-Remote-User"))
	}
}

func TestOneSignOutEndsWhatAllInstancesOfASiteKnow(t *testing.T) {
	t.Parallel()
	first, second := newOP(t), newOP(t)
	first.Register(rpURL + "/@app/auth/one/code")
	second.Register(rpURL + "/@app/auth/two/code")
	second.SignIn("bob")
	for _, cookies := range [][2]string{{"one", "two"}, {"same", "same"}} {
		r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp /a/* {\nprovider one {\n"+options(first)+"end_session off\n}\nsession {\ncookie "+cookies[0]+"\n}\n}\noidc_rp /b/* {\nprovider two {\n"+options(second)+"end_session off\n}\nsession {\ncookie "+cookies[1]+"\n}\n}\nreverse_proxy {upstream}\n}")
		for _, pages := range [][]string{{"/b/x"}, {"/a/x"}, {"/a/x", "/b/x"}} {
			b := r.browser()
			for _, page := range pages {
				b.open(page)
			}
			copied := b.cookieHeader()
			if p := b.open("/Special:UserLogout"); p.StatusCode != http.StatusOK || len(b.cookies()) != 0 {
				t.Errorf("%s %s: status %d, cookies %v", cookies, pages, p.StatusCode, b.cookies())
			}
			for _, page := range []string{"/a/x", "/b/x"} {
				if p := r.raw("GET " + page + " HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nCookie: " + copied + "\r\n\r\n"); p.StatusCode != http.StatusUnauthorized {
					t.Errorf("%s %s: %s still has status %d", cookies, pages, page, p.StatusCode)
				}
			}
		}
	}
}

func TestALogoutEndsTheSessionOfADisabledProvider(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := "http://rp.test {\noidc_rp {\n" + options(op) + "%s\n}\nreverse_proxy {upstream}\n}"
	b := signedIn(t, newHarnessAt(t, storage, fmt.Sprintf(site, "")))
	copied := b.cookieHeader()
	off := newHarnessAt(t, storage, fmt.Sprintf(site, "disabled"))
	moveTo(b, off)
	if p := b.get("/Special:UserLogout"); p.StatusCode != http.StatusSeeOther || len(b.cookies()) != 0 {
		t.Errorf("status %d, cookies %v", p.StatusCode, b.cookies())
	}
	on := newHarnessAt(t, storage, fmt.Sprintf(site, ""))
	if p := on.raw("GET /x HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nCookie: " + copied + "\r\n\r\n"); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session lives on: %d", p.StatusCode)
	}
}

func TestALogoutWhenTheFactsAreUnknownClearsTheCookies(t *testing.T) {
	t.Parallel()
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"}")
	b := signedIn(t, r)
	breakStorage(t, r)
	r.at(after(10 * time.Minute))
	p := b.get("/Special:UserLogout")
	if p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != "/?auth_error=logout_failed" || len(b.cookies()) != 0 {
		t.Errorf("status %d to %s, cookies %v", p.StatusCode, p.Header.Get("Location"), b.cookies())
	}
	mendStorage(t, r)
}

func TestOneBegunLoginIsOneTokenRequest(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	b := r.browser()
	u, err := url.Parse(b.get("/x").location())
	if err != nil {
		t.Fatal(err)
	}
	cookies, state := b.cookieHeader(), u.Query().Get("state")
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			r.raw(fmt.Sprintf("GET /@app/auth/default/code?state=%s&code=garbage%d&iss=%s HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nCookie: %s\r\n\r\n", state, i, url.QueryEscape(op.Issuer()), cookies))
		})
	}
	all.Wait()
	if got := op.Hits(oidctest.Token); got != 1 {
		t.Errorf("%d token requests", got)
	}
	op.TakeViolations() // the code was never issued
}

func TestWhatIsNoPageSignsNobodyOut(t *testing.T) {
	t.Parallel()
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"end_session off\n}")
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

func TestGroupsComeFromNoOtherClaimThanTheConfiguredOne(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	user := op.User("alice")
	delete(user.Claims, "realm_access")
	op.SetUser("alice", user)
	for _, claims := range []string{"", "session {\nclaims groups\n}\n"} {
		r := newHarness(t, "oidc_rp {\n"+options(op)+"groups_claim realm_access.roles\n"+claims+"upstream {\nheader X-Groups groups\nheader X-All {http.auth.user.groups}\n}\n}")
		signedIn(t, r)
		if header, _ := r.upstream.got(); header.Get("X-Groups") != "" || header.Get("X-All") != "" {
			t.Errorf("the application was told %q and %q", header.Get("X-Groups"), header.Get("X-All"))
		}
	}
}

func TestNestedGroupsAreKeptOnce(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, session := range []string{"", "session {\nclaims name\n}\n"} {
		r := newHarness(t, "oidc_rp {\n"+options(op)+"groups_claim realm_access.roles\n"+session+"upstream {\nheader X-Groups groups\n}\n}")
		signedIn(t, r)
		if header, _ := r.upstream.got(); header.Get("X-Groups") == "" {
			t.Errorf("%q: the application was not told", session)
		}
	}
}

func TestAShorterLifetimeHoldsForOldSessions(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := "http://rp.test {\noidc_rp {\n" + options(op) + "session {\nlifetime %s\n}\n}\nreverse_proxy {upstream}\n}"
	b := signedIn(t, newHarnessAt(t, storage, fmt.Sprintf(site, "30d")))
	r := newHarnessAt(t, storage+"/.", fmt.Sprintf(site, "1h")) // a storage of its own, with a clock of its own
	moveTo(b, r)
	r.at(after(2 * time.Hour))
	if p := b.get("/"); p.StatusCode != http.StatusFound {
		t.Errorf("status %d", p.StatusCode)
	}
}

func TestAnErrorOfTheApplicationIsNotCachedWithASession(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp {\n"+options(op)+"session {\nidle_timeout 30m\n}\n}\nerror /missing 404\nreverse_proxy {upstream}\n}")
	b := signedIn(t, r)
	if p := b.get("/missing"); p.StatusCode != http.StatusNotFound || p.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("status %d, %v", p.StatusCode, p.Header)
	}
	r.at(after(10 * time.Minute))
	if p := b.get("/missing"); len(p.Header["Set-Cookie"]) == 0 || p.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", p.Header)
	}
	if p := r.raw("GET /missing HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nCookie: __Host-oidc_rp=1broken\r\n\r\n"); p.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", p.Header)
	}
}

func TestPlantedTransactionsHideNone(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	b := r.browser()
	p := b.open("/x", rpURL+"/@app/auth/default/code")
	u, _ := url.Parse(p.location())
	var planted strings.Builder
	for i := range 60 {
		fmt.Fprintf(&planted, "__Host-oidc_rp_tx_junk%04d=x; ", i)
	}
	got := r.raw("GET " + u.RequestURI() + " HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nCookie: " + planted.String() + b.cookieHeader() + "\r\n\r\n")
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/x" {
		t.Errorf("status %d to %s", got.StatusCode, got.Header.Get("Location"))
	}
}

func TestAnOriginalPathInAnExpressionIsReadInAllWays(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "@assets expression `{http.request.orig_uri.path}.startsWith('/assets/')`\noidc_rp {\n"+options(op)+"public @assets\n}")
	if p := r.raw("GET /assets/../secret HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nAccept: text/html\r\n\r\n"); p.StatusCode == http.StatusOK {
		t.Error("a public exception is a way in")
	}
	if p := r.raw("GET /assets/x.js HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\n\r\n"); p.StatusCode != http.StatusOK {
		t.Errorf("the public page has status %d", p.StatusCode)
	}
	if _, at := r.upstream.got(); at != "/assets/x.js" {
		t.Errorf("the application saw %q", at)
	}
}

func TestAnEmptiedStorageSignsNobodyOut(t *testing.T) {
	t.Parallel()
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"}")
	b := signedIn(t, r)
	breakStorage(t, r)
	r.raw("GET /x HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nCookie: __Host-oidc_rp=1AQAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n\r\n")
	if p := b.get("/"); p.StatusCode != http.StatusOK {
		t.Errorf("status %d", p.StatusCode)
	}
	mendStorage(t, r)
}

package integration_test

import (
	"net/http"
	"strings"
	"testing"
)

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

package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestErrorRoutesGetNoForgedIdentityEither(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, pages := range []string{"builtin", "caddy"} {
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		error_pages `+pages+`
		upstream {
			header X-Remote-User {http.auth.user.id}
		}
	}
	reverse_proxy {upstream}
	handle_errors {
		reverse_proxy {upstream}
	}
}
`)
		cookies := signedIn(t, r).cookieHeader()
		for _, request := range []string{"GET /@app/auth/../../admin", "POST /@app/auth/default/login", "GET /@app/auth/unknown/login"} {
			r.raw(request+" HTTP/1.1", "Host: rp.test", "Connection: close", "Content-Length: 0", "X-Remote-User: root", "X_Remote_User: root", "X~Remote!User: root", "Cookie: "+cookies)
			header, at := r.upstream.got()
			for name, values := range header {
				lacks(t, fmt.Sprintf("%s, %s pages, %s at %s", request, pages, name, at), strings.Join(values, " "), "root")
				differs(t, fmt.Sprintf("%s, %s pages: a header at the application at %s", request, pages, at), name, "Cookie")
			}
		}
	}
}

func TestANeighboursEndpointNeverReachesTheApplication(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, own := range []string{"", "endpoints /b/auth"} {
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	handle /b/* {
		oidc_rp {
			provider two {
				`+options(op)+`
			}
			`+own+`
		}
		reverse_proxy {upstream}
	}
	handle {
		oidc_rp {
			provider one {
				`+options(op)+`
			}
		}
		reverse_proxy {upstream}
	}
}
`)
		for _, request := range []string{"GET /@app/auth/two/login?title=Secret", "POST /@app/auth/two/login", "GET /@app/auth/two/other", "GET /b/auth/two/other"} {
			r.raw(request+" HTTP/1.1", "Host: rp.test", "Connection: close", "Content-Length: 0", "Accept: text/html")
			if r.upstream.count() != 0 {
				t.Errorf("%s got through", request)
			}
		}
	}
}

func TestAnInstanceRemovesTheIdentityOfAnother(t *testing.T) {
	t.Parallel()
	first, second := newOP(t), newOP(t)
	first.Register(rpURL + "/@app/auth/one/code")
	second.Register(rpURL + "/@app/auth/two/code")
	user := second.User("bob")
	delete(user.Claims, "groups")
	second.SetUser("bob", user)
	second.SignIn("bob")
	identity := `
upstream {
	header X-Remote-User {http.auth.user.id}
	header X-Groups groups
}
`
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	route {
		oidc_rp public {
			provider one {
				`+options(first)+`
			}
			session {
				cookie one
			}
			`+identity+`
		}
		oidc_rp {
			provider two {
				`+options(second)+`
			}
			session {
				cookie two
			}
			`+identity+`
		}
		reverse_proxy {upstream}
	}
}
`)
	b := r.browser()
	b.open("/@app/auth/one/login", second.Issuer())
	check(required{t}, b.open("/x")).status(http.StatusOK)
	header, _ := r.upstream.got()
	equal(t, "X-Remote-User", header.Get("X-Remote-User"), "bob")
	equal(t, "X-Groups", header.Get("X-Groups"), "")
}

func TestOneSignOutEndsWhatAllInstancesOfASiteKnow(t *testing.T) {
	t.Parallel()
	first, second := newOP(t), newOP(t)
	first.Register(rpURL + "/@app/auth/one/code")
	second.Register(rpURL + "/@app/auth/two/code")
	second.SignIn("bob")
	for _, cookies := range [][2]string{{"one", "two"}, {"same", "same"}} {
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp /a/* {
		provider one {
			`+options(first)+`
			end_session off
		}
		session {
			cookie `+cookies[0]+`
		}
	}
	oidc_rp /b/* {
		provider two {
			`+options(second)+`
			end_session off
		}
		session {
			cookie `+cookies[1]+`
		}
	}
	reverse_proxy {upstream}
}
`)
		for _, pages := range [][]string{{"/b/x"}, {"/a/x"}, {"/a/x", "/b/x"}} {
			b := r.browser()
			for _, page := range pages {
				b.open(page)
			}
			copied := b.cookieHeader()
			check(t, b.open("/Special:UserLogout"), fmt.Sprintf("%s %s", cookies, pages)).status(http.StatusOK)
			equal(t, fmt.Sprintf("%s %s: the number of cookies", cookies, pages), len(b.cookies()), 0)
			for _, page := range []string{"/a/x", "/b/x"} {
				check(t, r.rawGet(page, "Cookie: "+copied), fmt.Sprintf("%s %s: %s with a copied cookie", cookies, pages, page)).status(http.StatusUnauthorized)
			}
		}
	}
}

func TestTwoInstancesOnOneSiteCompose(t *testing.T) {
	t.Parallel()
	first, second := newOP(t), newOP(t)
	first.Register(rpURL + "/@app/auth/one/code")
	second.Register(rpURL + "/@app/auth/two/code")
	second.SignIn("bob")
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp /a/* {
		provider one {
			`+options(first)+`
		}
		session {
			cookie one
		}
	}
	oidc_rp /b/* {
		provider two {
			`+options(second)+`
		}
		session {
			cookie two
		}
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`)
	b := r.browser()
	for path, want := range map[string]string{"/a/x": "application sees alice", "/b/x": "application sees bob", "/c": "application sees "} {
		check(t, b.open(path), path).body(want)
	}
	if header, _ := r.upstream.got(); header["Cookie"] != nil {
		t.Errorf("the application got %q", header["Cookie"])
	}
	check(t, b.get("/@app/auth/three/login"), "an unknown id").status(http.StatusNotFound)
}

// TestAUserOfOneInstanceIsAnonymousAtAnother checks that two instances with different
// providers may guard the same page.
func TestAUserOfOneInstanceIsAnonymousAtAnother(t *testing.T) {
	t.Parallel()
	first, second := newOP(t), newOP(t)
	first.Register(rpURL + "/@app/auth/one/code")
	second.Register(rpURL + "/@app/auth/two/code")
	second.SignIn("bob")
	for _, cookies := range [][2]string{{"one", "two"}, {"same", "same"}} {
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	route {
		oidc_rp public {
			provider one {
				`+options(first)+`
			}
			session {
				cookie `+cookies[0]+`
			}
		}
		oidc_rp {
			provider two {
				`+options(second)+`
			}
			session {
				cookie `+cookies[1]+`
			}
		}
		reverse_proxy {upstream} {
			header_up X-User {http.auth.user.id}
		}
	}
}
`)
		b := r.browser()
		check(t, b.open("/@app/auth/one/login?returnto=/x", second.Issuer()), fmt.Sprintf("%s", cookies)).status(http.StatusFound)
		equal(t, fmt.Sprintf("%s: the number of requests at the application", cookies), r.upstream.count(), 0)
		check(t, b.open("/x"), fmt.Sprint(cookies)).body("application sees bob")
	}
}

func TestNamesOfSeveralProvidersDoNotMeet(t *testing.T) {
	t.Parallel()
	corp, other := newOP(t), newOP(t)
	corp.Register(rpURL + "/@app/auth/corp/code")
	other.Register(rpURL + "/@app/auth/other/code")
	for _, row := range []struct{ name, id, want string }{
		{"alice", "corp", "alice"}, {"alice", "other", "other/alice"}, {"other/alice", "corp", "other%2Falice"}, {"a%2Fb", "corp", "a%252Fb"}, {"line\nfeed", "other", "other/line%0Afeed"},
	} {
		for _, op := range []*oidctest.Provider{corp, other} {
			user := op.User("alice")
			user.Claims["preferred_username"] = row.name
			op.SetUser("alice", user)
		}
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp public {
		provider corp {
			`+options(corp)+`
		}
		provider other {
			`+options(other)+`
		}
		default_provider corp
	}
	respond "{http.auth.user.id}|{http.oidc_rp.provider}"
}
`)
		if p := r.browser().open("/@app/auth/" + row.id + "/login"); p.body != row.want+"|"+row.id {
			t.Errorf("%s at %s is %s, not %s", row.name, row.id, p.body, row.want)
		}
	}
}

package integration_test

import (
	"net/http"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func signedIn(t *testing.T, r *harness) *browser {
	t.Helper()
	b := r.browser()
	check(required{t}, b.open("/")).status(http.StatusOK)
	return b
}

// twin returns a browser at another node with the same cookies.
func (b *browser) twin(r *harness) *browser {
	other := r.browser()
	other.jar, other.client.Jar = b.jar, b.jar
	return other
}

// moveTo makes a browser reach another harness under the same host name.
func moveTo(b *browser, r *harness) { b.client.Transport = r.browser().client.Transport }

// lives reports whether a browser's session exists. The check does not change the cookies of the
// browser.
func (b *browser) lives(r *harness) bool {
	b.t.Helper()
	p := r.rawGet("/x", "Cookie: "+b.cookieHeader())
	return p.StatusCode == http.StatusOK
}

// twoSites returns two servers of one host, which share a storage and cookies.
func twoSites(t *testing.T, op *oidctest.Provider, here, there string) (*harness, *harness) {
	storage := storageDir(t)
	site := func(lines string) *harness {
		return newHarnessAt(t, storage, `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		`+lines+`
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
		header_up X-Role {http.auth.user.claims.role}
	}
}
`)
	}
	return site(here), site(there)
}

package integration_test

import (
	"fmt"
	"net/http"
	"testing"
)

// Every page can be shown in every state: anonymous, with a session, with a session of a
// disabled provider, with a forged cookie, and with a broken storage.
func TestEveryPageInEveryState(t *testing.T) {
	t.Parallel()
	op, other := newOP(t), newOP(t)
	op.Register(rpURL + "/@app/auth/one/code")
	storage := storageDir(t)
	site := func(one, session string) string {
		return `
http://rp.test {
	oidc_rp {
		provider one {
			` + options(op) + `
			` + one + `
		}
		provider two {
			` + options(other) + `
		}
		default_provider two
		` + session + `
	}
	reverse_proxy {upstream}
}
`
	}
	const secret = `
session {
	secret 0123456789abcdef0123456789abcdef
}
`
	before := newHarnessAt(t, storage, site("", secret))
	b := before.browser()
	check(required{t}, b.open("/@app/auth/one/login")).status(http.StatusOK)
	session := b.cookieHeader()
	r := newHarnessAt(t, storage+"/.", site("disabled", secret))
	broken := newHarnessAt(t, storageDir(t), site("", ""))
	breakStorageOf(t, broken)
	states := map[string]struct {
		r       *harness
		cookies string
	}{
		"anonymous":                         {r, ""},
		"a session":                         {before, session},
		"a session of a disabled provider":  {r, session},
		"a forged cookie":                   {r, "__Host-oidc_rp=1forged"},
		"a broken storage":                  {broken, ""},
		"a forged cookie, a broken storage": {broken, "__Host-oidc_rp=1forged"},
		"a session, a broken storage":       {broken, session},
	}
	crossSite := map[string]string{"Sec-Fetch-Site": "cross-site"}
	requests := []struct {
		method, path string
		header       map[string]string
	}{
		{"GET", "/page", nil}, {"POST", "/page", sentForm}, {"GET", "/page", inFrame}, {"GET", "/page", script}, {"GET", "/?auth_error=access_denied", nil},
		{"GET", "/Special:UserLogout", crossSite}, {"POST", "/Special:UserLogout", crossSite}, {"PUT", "/Special:UserLogout", nil},
		{"GET", "/Special:UserLogout", map[string]string{"Sec-Purpose": "prefetch"}},
		{"GET", "/@app/auth/one/login", nil}, {"GET", "/@app/auth/two/login", inFrame}, {"POST", "/@app/auth/two/login", nil},
		{"GET", "/@app/auth/two/code", nil}, {"GET", "/@app/auth/two/code?state=x&code=y", nil}, {"GET", "/@app/auth/one/code?state=x&code=y", nil},
		{"GET", "/@app/auth/two/signedout", nil}, {"GET", "/@app/auth/one/signedout", nil}, {"GET", "/@app/auth/two/initiate", nil}, {"GET", "/@app/auth/made-up/login", nil},
		{"GET", "/@app/auth/two/frontchannel-logout", nil}, {"GET", "/@app/auth/two/frontchannel-logout", crossSite}, {"GET", "/@app/auth/two/frontchannel-logout", framed},
		{"POST", "/@app/auth/two/backchannel-logout", nil}, {"GET", "/@app/auth/two/jwks", nil},
		{"GET", "/Special:UserLogout", nil}, // ends the session, so it comes last
	}
	for name, state := range states {
		for _, request := range requests {
			for _, accept := range []string{"", "application/json"} {
				what := fmt.Sprintf("%s: %s %s %v %s", name, request.method, request.path, request.header, accept)
				header := with(request.header, "Cookie", state.cookies)
				if accept != "" {
					header["Accept"] = accept
				}
				b := state.r.browser()
				b.client.Jar = nil
				p := b.send(request.method, request.path, header)
				differs(t, what+": the status", p.StatusCode, http.StatusInternalServerError)
				differs(t, what+": the status", p.StatusCode, 0)
				check(t, p, what).hides("<no value>", "signed in as <strong></strong>")
			}
		}
	}
	for _, r := range []*harness{before, r, broken} {
		log := r.logs()
		lacks(t, "the log", log, "panic")
		lacks(t, "the log", log, "nil pointer")
	}
}

// breakStorageOf makes the storage of a new site unreadable after its first use.
func breakStorageOf(t *testing.T, r *harness) {
	t.Helper()
	r.browser().get("/@app/auth/two/signedout")
	r.browser().get("/page")
	breakStorage(t, r)
	clock := stop(t)
	clock.advance(longestPause)
	r.at(clock.now)
}

package integration_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"testing"
)

// unauthorized parses the problem document of a 401.
func unauthorized(t testing.TB, p *visited) (members map[string]any) {
	t.Helper()
	check(required{t}, p).status(http.StatusUnauthorized).header("Content-Type", "application/problem+json")
	if err := json.Unmarshal([]byte(p.body), &members); err != nil {
		t.Fatalf("%s: %v", p.body, err)
	}
	return members
}

func TestA401LeadsBackToThePageAndNeverToTheCall(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t), "return_to https://spa.test"))
	for name, row := range map[string]struct {
		header   map[string]string
		returnTo string
	}{
		"the page":                       {nil, "?returnto=%2Fpage%3Fx%3D1"},
		"what HTMX says of the page":     {map[string]string{"HX-Current-URL": rpURL + "/list?y=2"}, "?returnto=%2Flist%3Fy%3D2"},
		"no page":                        {map[string]string{"Referer": ""}, ""},
		"a page of another origin":       {map[string]string{"Referer": "https://evil.test/page"}, ""},
		"a page of an origin that may":   {map[string]string{"Referer": "https://spa.test/page"}, ""},
		"HTMX's word of another origin":  {map[string]string{"HX-Current-URL": "https://evil.test/"}, "?returnto=%2Fpage%3Fx%3D1"},
		"one of our own addresses":       {map[string]string{"Referer": rpURL + "/Special:UserLogout"}, ""},
		"an address with a backslash":    {map[string]string{"Referer": rpURL + `/\evil.test/`}, ""},
		"an address that looks like one": {map[string]string{"Referer": rpURL + "@evil.test/"}, ""},
	} {
		members := unauthorized(t, r.browser().send("GET", "/api/call?id=1", with(byScript, flat(row.header)...)))
		equal(t, name, members["login_url"], any("/@app/auth/default/login"+row.returnTo))
	}
}

// A page of an origin in return_to can read where the login begins and why one is needed,
// and nothing else. Pages of other origins can read nothing.
func TestOnlyListedOriginsReadA401(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t), `
		return_to https://spa.test https://other.test:8443
		session_endpoint {
			origin https://reader.test
		}
	`))
	for name, row := range map[string]struct {
		origin  string
		allowed bool
	}{
		"a listed origin":                 {"https://spa.test", true},
		"a listed origin with a port":     {"https://other.test:8443", true},
		"another origin":                  {"https://evil.test", false},
		"an origin of session_endpoint":   {"https://reader.test", false},
		"another port":                    {"https://other.test", false},
		"another scheme":                  {"http://spa.test", false},
		"a longer name":                   {"https://spa.test.evil.test", false},
		"a shorter name":                  {"https://test", false},
		"an opaque origin":                {"null", false},
		"a wildcard":                      {"*", false},
		"two origins":                     {"https://spa.test https://evil.test", false},
		"an origin with a path behind it": {"https://spa.test/", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"GET", "POST", "DELETE"} {
				p := r.browser().send(method, "/api/call", byForeignScript(row.origin))
				check(t, p).header("Vary", "Origin")
				members := unauthorized(t, p)
				if !row.allowed {
					check(t, p).header("Access-Control-Allow-Origin", "").header("Access-Control-Allow-Credentials", "")
					continue
				}
				check(t, p).header("Access-Control-Allow-Origin", row.origin).header("Access-Control-Allow-Credentials", "true").
					header("Access-Control-Expose-Headers", "").header("Cache-Control", "no-store")
				list(t, "the members that can be read", slices.Sorted(maps.Keys(members)), "login_url", "reason")
				equal(t, "reason", members["reason"], any("sign_in_required"))
				equal(t, "login_url", members["login_url"], any(rpURL+"/@app/auth/default/login"))
			}
		})
	}
	plain := newHarness(t, protectedBy(newOP(t)))
	check(t, plain.browser().send("GET", "/", byForeignScript("https://spa.test")), "without return_to").
		status(http.StatusUnauthorized).header("Vary", "").header("Access-Control-Allow-Origin", "")
}

// The guard makes neither the application's responses nor preflights readable.
func TestOnlyOur401IsReadable(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t), "return_to https://spa.test", "public /public/*", "private /staff/* {\nrequire group absent\n}"))
	b := signedIn(t, r)
	elsewhere := byForeignScript("https://spa.test")
	for path, status := range map[string]int{"/api/call": 200, "/public/x": 200, "/staff/x": 403, "/@app/auth/default/nothing": 404} {
		check(t, b.send("GET", path, elsewhere)).status(status).header("Access-Control-Allow-Origin", "").header("Access-Control-Allow-Credentials", "")
	}
	preflight := with(elsewhere, "Access-Control-Request-Method", "PUT")
	check(t, r.browser().send("OPTIONS", "/api/call", preflight), "a preflight").status(http.StatusUnauthorized).header("Access-Control-Allow-Methods", "")
}

// handle_errors may write anything, so no other origin can read its response.
func TestA401OfHandleErrorsIsNotReadableElsewhere(t *testing.T) {
	t.Parallel()
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(newOP(t))+`
		return_to https://spa.test
		error_pages caddy
	}
	handle_errors {
		respond "own page"
	}
}
`)
	check(t, r.browser().send("GET", "/", byForeignScript("https://spa.test"))).status(http.StatusUnauthorized).
		header("Access-Control-Allow-Origin", "").header("Vary", "Origin")
	check(t, r.browser().send("GET", "/", with(byScript, "HX-Request", "true")), "HTMX").status(http.StatusUnauthorized).
		header("HX-Redirect", "/@app/auth/default/login?returnto=%2Fpage%3Fx%3D1")
}

// HTMX obeys HX-Redirect whatever the status is, except a redirect.
func TestHTMXIsLedToTheLogin(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	htmx := with(byScript, "HX-Request", "true", "HX-Current-URL", rpURL+"/list?y=2", "Accept", "*/*")
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		p := r.browser().send(method, "/rows", htmx)
		check(t, p, method).status(http.StatusUnauthorized).header("HX-Redirect", "/@app/auth/default/login?returnto=%2Flist%3Fy%3D2").
			header("Location", "").setsCookies(0)
	}
	old := with(htmx, "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", "", "Sec-Fetch-Site", "")
	check(t, r.browser().send("GET", "/rows", old), "an old browser").status(http.StatusUnauthorized).
		header("HX-Redirect", "/@app/auth/default/login?returnto=%2Flist%3Fy%3D2")
	check(t, r.browser().send("GET", "/rows", byScript), "another script").header("HX-Redirect", "")
	b := r.browser()
	check(t, b.open(rpURL+"/@app/auth/default/login?returnto=%2Flist%3Fy%3D2"), "where it leads").at(rpURL + "/list?y=2")
	check(t, b.send("GET", "/rows", htmx), "afterwards").status(http.StatusOK).header("HX-Redirect", "")
}

package integration_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A check is refused unless it describes exactly one request for a host of the site, even if the
// path is public.
func TestCheckRefusesWhatItCannotJudge(t *testing.T) {
	t.Parallel()
	for family, prefix := range map[string]string{"forwarded": "X-Forwarded-", "original": "X-Original-"} {
		c := newChecked(t, newOP(t), family, "public *")
		equal(t, family+": a whole description", c.ask(describe(family, "GET", "/", page(nil))).Code, http.StatusOK)
		for name, values := range map[string][][]string{
			"Method": {nil, {"GET", "GET"}, {"CONNECT"}, {""}},
			"Proto":  {nil, {"https", "http"}, {"ftp"}},
			"Host":   {nil, {"rp.test", "rp.test"}, {"evil.test"}, {"rp.test.evil.test"}, {"rp.test, evil.test"}, {"evil.test@rp.test"}, {"sub.rp.test"}},
			"Uri":    {nil, {"/", "/x"}, {"x"}, {"https://rp.test/"}, {"*"}, {"/a b"}, {"/%zz"}},
		} {
			for _, lines := range values {
				header := describe(family, "GET", "/", page(nil))
				header[prefix+name] = lines
				if lines == nil {
					delete(header, prefix+name)
				}
				w := c.ask(header)
				equal(t, prefix+name+" "+strings.Join(lines, "|"), w.Code, http.StatusForbidden)
				equal(t, prefix+name+" "+strings.Join(lines, "|")+": Location", w.Header().Get("Location"), "")
				equal(t, prefix+name+" "+strings.Join(lines, "|")+": Cache-Control", w.Header().Get("Cache-Control"), "no-store")
			}
		}
		other := map[string]string{"forwarded": "original", "original": "forwarded"}[family]
		equal(t, family+": the headers of the other family", c.ask(describe(other, "GET", "/", page(nil))).Code, http.StatusForbidden)
		port := describe(family, "GET", "/", page(nil))
		port[prefix+"Host"] = []string{"rp.test:8443"}
		equal(t, family+": another port", c.ask(port).Code, http.StatusOK)
	}
}

// Headers of the other family, which a client may have sent, are ignored.
func TestCheckReadsOneFamilyAlone(t *testing.T) {
	t.Parallel()
	for family, other := range map[string]string{"forwarded": "original", "original": "forwarded"} {
		c := newChecked(t, newOP(t), family, "public /open")
		private := describe(family, "GET", "/private", describe(other, "GET", "/open", page(nil)))
		private["X_"+family+"_uri"], private["X-Http-Method-Override"] = []string{"/open"}, []string{"OPTIONS"}
		private["Sec-Fetch-Mode"] = []string{"cors"}
		equal(t, family+": a private path beside a public one of the other family", c.ask(private).Code, http.StatusUnauthorized)
		open := describe(family, "GET", "/open", describe(other, "GET", "/private", page(nil)))
		equal(t, family+": a public path beside a private one of the other family", c.ask(open).Code, http.StatusOK)
	}
}

// The proxy treats every 2xx status as permission, so handle_errors never replaces a refusal.
func TestNoAnswerOfACheckIsLeftToHandleErrors(t *testing.T) {
	t.Parallel()
	p := newOP(t)
	p.Register("https://rp.test/@app/auth/default/code")
	for _, family := range []string{"forwarded", "original"} {
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	`+protectedBy(p, "error_pages caddy", "deny user alice", "check "+family+" {\nhosts rp.test\n}")+`
	reverse_proxy {upstream}
	handle_errors {
		respond "a page of the site" 200
	}
}
`, trustsLoopback)
		c := &checked{r, family}
		b := r.browser()
		b.open("/@app/auth/default/login")
		broken := describe(family, "GET", "/", page(nil))
		delete(broken, map[string]string{"forwarded": "X-Forwarded-Uri", "original": "X-Original-Uri"}[family])
		api := page(nil)
		api.Set("Sec-Fetch-Mode", "cors")
		for name, header := range map[string]http.Header{
			"a refused user": describe(family, "GET", "/", page(b)), "a call without a session": describe(family, "GET", "/", api),
			"a broken description": broken, "an endpoint": describe(family, "GET", "/@app/auth/default/login", page(nil)),
		} {
			atLeast(t, family+": "+name+": status", c.ask(header).Code, 400)
		}
		atLeast(t, family+": a peer that is not trusted: status", c.askFrom("192.0.2.1:1", describe(family, "GET", "/", page(nil))).Code, 400)
	}
}

// The other proxy must route the endpoints to this site. A check never allows such a path,
// because the application might read it as any other path.
func TestCheckLetsNoEndpointPass(t *testing.T) {
	t.Parallel()
	c := newChecked(t, newOP(t), "original", "public *")
	b := c.browser()
	b.open("/@app/auth/default/login")
	for _, path := range []string{"/@app/auth/default/login", "/@app/auth/check", "/@app/auth/", "/@app/auth", "/@app/auth/../x", "/%40app/auth/default/code?code=x&state=y", "/Special:UserLogout", "/@app/auth/default/backchannel-logout"} {
		for _, method := range []string{"GET", "POST"} {
			w := c.ask(describe("original", method, path, page(b)))
			equal(t, method+" "+path, w.Code, http.StatusForbidden)
			equal(t, method+" "+path+": Set-Cookie", len(w.Header()["Set-Cookie"]), 0)
		}
	}
	equal(t, "alice is signed in", c.ask(describe("original", "GET", "/", page(b))).Code, http.StatusOK)
}

func TestCheckSetsNoCookie(t *testing.T) {
	t.Parallel()
	c := newChecked(t, newOP(t), "forwarded", "private /fresh {\nrequire max_age 1m\n}")
	b := c.browser()
	b.open("/")
	late := time.Now().Add(10 * time.Minute)
	c.at(func() time.Time { return late })
	broken := page(nil)
	broken.Set("Cookie", "__Host-oidc_rp=1broken")
	for name, header := range map[string]http.Header{
		"a broken session": describe("forwarded", "GET", "/", broken), "a page load without a session": describe("forwarded", "GET", "/", page(nil)),
		"a session": describe("forwarded", "GET", "/", page(b)), "a session that is not enough": describe("forwarded", "GET", "/fresh", page(b)),
	} {
		equal(t, name+": the number of cookies", len(c.ask(header).Header()["Set-Cookie"]), 0)
	}
	w := c.ask(describe("forwarded", "GET", "/fresh", page(b)))
	equal(t, "a session that is not enough: status", w.Code, http.StatusSeeOther)
	equal(t, "a session that is not enough: Location", w.Header().Get("Location"), "https://rp.test/@app/auth/default/login?returnto=%2Ffresh&max_age=60")
}

// Caddy's access log entry is about the subrequest but names the user of the request.
func TestTheAccessLogNamesTheUserOfACheck(t *testing.T) {
	t.Parallel()
	c := newCheckedSite(t, "header >X-Logged-User {http.auth.user.id}", newOP(t), "original", "public /open")
	b := c.browser()
	b.open("/")
	for name, row := range map[string]struct {
		uri, want string
		of        *browser
	}{"alice": {"/", "alice", b}, "alice on a public page": {"/open", "alice", b}, "a request without a session": {"/open", "", nil}} {
		equal(t, name, c.ask(describe("original", "GET", row.uri, page(row.of))).Header().Get("X-Logged-User"), row.want)
	}
}

// The method of the subrequest says nothing about the request.
func TestCheckTakesEveryMethod(t *testing.T) {
	t.Parallel()
	c := newChecked(t, newOP(t), "original", "public /open")
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "PROPFIND"} {
		request, err := http.NewRequest(method, "http://rp.test/@app/auth/check", nil)
		succeeds(required{t}, "making a request", err)
		request.RemoteAddr, request.Header = "127.0.0.1:1", describe("original", "GET", "/open", page(nil))
		w := httptest.NewRecorder()
		c.handler().ServeHTTP(w, request)
		equal(t, method, w.Code, http.StatusOK)
	}
}

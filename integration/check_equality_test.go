package integration_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// guardedSite sets every option that a decision may depend on.
const guardedSite = `
public /open /open/*
public @read
public @elsewhere
private /admin /admin/* {
	require group admins
}
private /named /named/* {
	require expression "request.path.startsWith('/named/' + user + '/')"
}
private /written {
	require expression "request.method in ['GET', 'POST']"
}
private /from {
	require expression "request.client_ip == '192.0.2.7'"
}
private /fresh {
	require max_age 5m
}
private /quiet {
	unauthenticated deny
}
private /always {
	unauthenticated redirect
}
deny user bob
preflight pass
upgrades SPDY/3.1
upstream {
	header X-Who {http.auth.user.id}
	header X-All groups
	header X-Where {http.request.host}{http.request.orig_uri}
}
`

// matchersOfGuardedSite defines the matchers that guardedSite refers to.
const matchersOfGuardedSite = `
@read {
	method GET
	path /read
}
@elsewhere host other.test
`

// questions are requests. Each is a method and a URI, followed by header lines that are added to
// those of a page load. A name without a value removes that line.
var questions = [][]string{
	{"GET /"}, {"HEAD /"}, {"POST /"}, {"PUT /"}, {"DELETE /x"}, {"OPTIONS /"}, {"PROPFIND /dav"}, {"get /"},
	{"GET /open"}, {"GET /open/x"}, {"HEAD /open"}, {"POST /open"}, {"GET /OPEN"}, {"GET /open/"}, {"GET /openx"},
	{"GET /open/../admin"}, {"GET /open/%2e%2e/admin"}, {"GET /open/..;/admin"}, {"GET /open/%2e%2e%2fadmin"}, {"GET /open/..%5cadmin"}, {`GET /open\..\admin`},
	{"GET /open%00/admin"}, {"GET /open;x"}, {"GET /open%3fx"}, {"GET /open%23x"}, {"GET /open//x"}, {"GET //open"}, {"GET //evil.test/open"}, {"GET ///open"}, {"GET /%6fpen"}, {"GET /%256fpen"},
	{"GET /open./x"}, {"GET /open%20"}, {"GET /op\xc3\xa9n"}, {"GET /open?x=/admin"}, {"GET /open?x=%zz"}, {"GET /?"},
	{"GET /admin"}, {"GET /admin/"}, {"GET /Admin"}, {"GET /admin%2fx"}, {"GET /%61dmin"}, {"POST /admin"}, {"GET //admin"}, {"GET /admin;x"}, {"GET /x/../admin"},
	{"GET /read"}, {"HEAD /read"}, {"POST /read"},
	{"GET /named/alice/x"}, {"GET /named/bob/x"}, {"GET /named/alice/../bob/x"}, {"GET /named/alice%2f..%2fbob"},
	{"GET /written"}, {"HEAD /written"}, {"PUT /written"}, {"PUT /written", "X-HTTP-Method-Override: GET"}, {"POST /read", "X-HTTP-Method-Override: GET"},
	{"GET /from"}, {"GET /from", "X-Forwarded-For: 192.0.2.7"}, {"GET /fresh"}, {"GET /fresh", "Sec-Fetch-Mode: cors"}, {"GET /quiet"}, {"GET /always"}, {"POST /always"}, {"GET /always", "Sec-Fetch-Mode: cors"},
	{"GET /x", "Sec-Fetch-Mode: cors"}, {"GET /x", "Sec-Fetch-Dest: iframe"}, {"GET /x", "Sec-Purpose: prefetch"}, {"GET /x", "Accept: application/json", "Sec-Fetch-Mode:", "Sec-Fetch-Dest:", "Sec-Fetch-Site:"},
	{"GET /x", "Sec-Fetch-Mode:", "Sec-Fetch-Dest:", "Sec-Fetch-Site:"}, {"GET /x", "Sec-Fetch-Mode:", "Sec-Fetch-Dest:", "Sec-Fetch-Site:", "X-Requested-With: XMLHttpRequest"},
	{"GET /x", "Sec-Fetch-Mode: cors", "Referer: https://rp.test/page"}, {"GET /x", "Sec-Fetch-Mode: cors", "Referer: https://evil.test/page"},
	{"GET /x?auth_error=login_expired"}, {"GET /x?auth_error=made_up"}, {"GET /always?auth_error=login_expired", "Sec-Fetch-Mode: cors"}, {"GET /open?auth_error=login_expired"},
	{"OPTIONS /x", "Origin: https://evil.test", "Access-Control-Request-Method: PUT"}, {"OPTIONS /x", "Origin: https://evil.test"},
	{"GET /socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Origin: https://rp.test", "Sec-Fetch-Mode: websocket"},
	{"GET /socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Origin: https://evil.test", "Sec-Fetch-Mode: websocket"},
	{"GET /open/socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Origin: https://evil.test", "Sec-Fetch-Mode: websocket"},
	{"GET /socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA=="},
	{"GET /open", "Connection: Upgrade", "Upgrade: SPDY/3.1"},
	{"GET /x", "X-Who: mallory", "X-All: admins"}, {"GET /open", "X-Who: mallory", "X-All: admins"}, {"GET /open", "X_who: mallory"}, {"GET /open", "Connection: X-Who", "X-Who: mallory"},
	{"GET /" + strings.Repeat("a/", 2000)}, {"GET /x?" + strings.Repeat("a", 3000)}, {"GET /" + strings.Repeat("%2e%2e/", 40) + "open"},
	{"GET /a%"}, {"GET relative"}, {"GET *"}, {"CONNECT /x"},
}

// asSent returns a request as Go's server reads it, or nil if the server does not accept it.
func asSent(line string, header ...string) *http.Request {
	text := line + " HTTP/1.1\r\nHost: rp.test\r\n" + strings.Join(header, "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		return nil
	}
	r.RemoteAddr, r.TLS = "127.0.0.1:1234", &tls.ConnectionState{HandshakeComplete: true, ServerName: "rp.test"}
	return r
}

// headerOf returns the header lines of a question.
func headerOf(question []string, user []string) (lines []string) {
	header := make(map[string]string)
	for name, value := range pageLoadHeader {
		header[name] = value
	}
	for _, line := range append(question[1:len(question):len(question)], user...) {
		name, value, _ := strings.Cut(line, ":")
		header[name] = strings.TrimSpace(value)
	}
	for name, value := range header {
		if value != "" {
			lines = append(lines, name+": "+value)
		}
	}
	return lines
}

// outcome is what happens to a request.
type outcome struct {
	passed, login bool
	who, all, at  string
	status        int // of a refusal
	kind, reason  string
	challenge     string
	retry         string
}

// refusal returns the outcome of a request that does not reach the application.
func refusal(w *httptest.ResponseRecorder) outcome {
	o := outcome{status: w.Code, kind: w.Header().Get("Content-Type"), challenge: strings.Join(w.Header()["Www-Authenticate"], ";"), retry: w.Header().Get("Retry-After")}
	var problem struct{ Reason, Login_url string }
	if json.Unmarshal(w.Body.Bytes(), &problem) == nil {
		o.reason = problem.Reason + " " + problem.Login_url
	}
	return o
}

// direct returns the outcome of a request that is sent to the site itself.
func direct(r *harness, request *http.Request) outcome {
	before := r.upstream.count()
	w := httptest.NewRecorder()
	r.handler().ServeHTTP(w, request)
	if r.upstream.count() > before {
		got, _ := r.upstream.got()
		return outcome{passed: true, who: got.Get("X-Who"), all: got.Get("X-All"), at: got.Get("X-Where")}
	}
	if w.Code == http.StatusFound {
		return outcome{login: true}
	}
	return refusal(w)
}

// outcome returns the outcome of a request that another proxy asks about.
func (c *checked) outcome(method, uri string, header http.Header) outcome {
	w := c.ask(describe(c.family, method, uri, header))
	switch location := w.Header().Get("Location"); {
	case w.Code == http.StatusOK:
		return outcome{passed: true, who: w.Header().Get("X-Who"), all: w.Header().Get("X-All"), at: w.Header().Get("X-Where")}
	case w.Code == http.StatusSeeOther && c.family == "forwarded", w.Code == http.StatusUnauthorized && location != "" && c.family == "original":
		if strings.HasPrefix(location, "https://rp.test/@app/auth/default/login") {
			return outcome{login: true}
		}
	}
	return refusal(w)
}

// A check returns the same decision as a direct request to the site.
func TestCheckAnswersAsTheGuardDoes(t *testing.T) {
	t.Parallel()
	for _, family := range []string{"forwarded", "original"} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			p := newOP(t)
			ci := newKey(t, "ci", "admins")
			c := newCheckedSite(t, matchersOfGuardedSite, p, family, guardedSite, `
application {
	access_keys `+newAccessKeyFile(t, ci).path+`
}
`)
			alice, bob := c.browser(), c.browser()
			alice.open("/")
			p.SignIn("bob")
			bob.open("/open")
			bob.open("/@app/auth/default/login")
			late := time.Now().Add(10 * time.Minute)
			c.at(func() time.Time { return late })
			for name, user := range map[string][]string{
				"without a session": nil, "with a broken cookie": {"Cookie: __Host-oidc_rp=1broken"},
				"alice": {"Cookie: " + alice.cookieHeader()}, "bob": {"Cookie: " + bob.cookieHeader()},
				"a program": {ci.bearer()}, "a program with a bad key": {ci.bearer() + "x"}, "a program beside alice": {"Cookie: " + alice.cookieHeader(), ci.bearer()},
			} {
				passed, refused := 0, 0
				for _, question := range questions {
					lines := headerOf(question, user)
					request := asSent(question[0], lines...)
					method, uri, _ := strings.Cut(question[0], " ")
					header := asSent("GET /", lines...).Header
					seen := c.outcome(method, uri, header)
					expected := outcome{status: http.StatusForbidden}
					if request != nil && strings.HasPrefix(uri, "/") {
						expected = direct(c.harness, request)
					}
					if expected.status == http.StatusMethodNotAllowed || expected.status == 0 && !expected.passed && !expected.login || request == nil || !strings.HasPrefix(uri, "/") {
						expected = outcome{status: http.StatusForbidden}
						seen = outcome{status: seen.status}
					}
					if family == "original" && expected.status != 0 && expected.status != http.StatusUnauthorized {
						expected.status = http.StatusForbidden
					}
					if expected.passed {
						passed++
					} else {
						refused++
					}
					if seen != expected {
						t.Errorf("%q %s: expected %+v, seen %+v", question, name, expected, seen)
					}
				}
				atLeast(t, "the number of requests that pass "+name, passed, 1)
				atLeast(t, "the number of requests that do not pass "+name, refused, 5)
			}
		})
	}
}

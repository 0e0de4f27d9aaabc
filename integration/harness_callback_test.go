package integration_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// posted is a login with form_post up to the provider's form, which a browser would submit.
type posted struct {
	*browser
	request string // the address of the authorization request
	action  string
	params  url.Values
	begun   *http.Cookie // the transaction cookie
}

const formPostOptions = "response_mode form_post"

func beginPosted(t *testing.T, b *browser, start string) *posted {
	t.Helper()
	p := b.get(start)
	check(required{t}, p).status(http.StatusFound).leadsWith("response_mode=form_post")
	login := &posted{browser: b, request: p.location()}
	for _, c := range p.Cookies() {
		if strings.Contains(c.Name, "_tx_") && c.MaxAge > 0 {
			login.begun = c
		}
	}
	login.askAgain()
	return login
}

// askAgain repeats the authorization request.
func (l *posted) askAgain() {
	l.action, l.params = oidctest.ParseFormPost([]byte(l.get(l.request).body))
}

// submit posts the form from another site, as a browser does. Only cookies with SameSite=None
// are sent.
func (l *posted) submit() *visited {
	l.t.Helper()
	jar := l.client.Jar
	defer func() { l.client.Jar = jar }()
	l.client.Jar = nil
	header := map[string]string{"Origin": "https://op.test", "Sec-Fetch-Site": "cross-site"}
	if l.begun.SameSite == http.SameSiteNoneMode && l.begun.Secure {
		header["Cookie"] = l.begun.Name + "=" + l.begun.Value
	}
	p := l.post(l.action, l.params.Encode(), header)
	u, _ := url.Parse(l.action)
	jar.SetCookies(u, p.Cookies())
	for _, c := range p.Cookies() {
		if c.Name == l.begun.Name {
			l.begun = c // it replaces the cookie of the same name
		}
	}
	return p
}

// repeat is a login up to its authorization response, which several requests then repeat. Each
// has the cookies that the browser had before the first one.
type repeat struct {
	t       *testing.T
	op      *oidctest.Provider
	here    *harness
	there   *harness // another node with the same storage
	answer  string
	cookies string
}

func newRepeat(t *testing.T, session string) *repeat {
	t.Helper()
	return newRepeatAt(t, newOP(t), session)
}

// newRepeatAt is like newRepeat, with the given provider and more options.
func newRepeatAt(t *testing.T, op *oidctest.Provider, lines string) *repeat {
	t.Helper()
	storage := storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		` + lines + `
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`
	s := &repeat{t: t, op: op, here: newHarnessAt(t, storage, site), there: newHarnessAt(t, storage+"/.", site)}
	s.begin()
	return s
}

func (s *repeat) begin() {
	s.t.Helper()
	b := s.here.browser()
	s.answer = b.open("/page?q=1", rpURL+"/@app/auth/default/code").location()
	s.cookies = b.cookieHeader()
}

// bring sends the response again, with the cookies from before.
func (s *repeat) bring(r *harness) *visited { return s.bringAt(r, s.answer) }

func (s *repeat) bringAt(r *harness, address string) *visited {
	b := r.browser()
	b.client.Jar = nil
	return b.send(http.MethodGet, address, map[string]string{"Cookie": s.cookies})
}

// signsIn checks that a response led to the page with a session.
func (s *repeat) signsIn(what string, r *harness, p *visited) {
	s.t.Helper()
	if !check(s.t, p, what).status(http.StatusSeeOther).leadsTo("/page?q=1").holds() {
		return
	}
	b := r.browser()
	u, _ := url.Parse(rpURL)
	b.jar.SetCookies(u, p.Cookies())
	check(s.t, b.get("/page?q=1"), what+": the page").body("application sees alice")
}

// once checks that there was one token request.
func (s *repeat) once() {
	s.t.Helper()
	if n := s.op.Hits(oidctest.Token); n != 1 {
		s.t.Errorf("the token endpoint was asked %d times", n)
	}
}

// eachRepeat runs a test for each kind of session store that nodes can share.
func eachRepeat(t *testing.T, do func(t *testing.T, s *repeat)) {
	t.Parallel()
	for _, kind := range clockKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			lines := ""
			if kind.session != "" {
				lines = `
session {
	` + kind.session + `
}
`
			}
			do(t, newRepeat(t, lines))
		})
	}
}

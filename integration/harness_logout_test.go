package integration_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const backchannelPath = "/@app/auth/default/backchannel-logout"

// logoutScene is a provider and two Caddy instances that share only their storage.
type logoutScene struct {
	t           *testing.T
	op          *oidctest.Provider
	here, there *harness
}

func newLogoutScene(t *testing.T, lines ...string) *logoutScene {
	t.Helper()
	op, storage := newOP(t), storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		` + strings.Join(lines, "\n") + `
	}
	reverse_proxy {upstream}
}
`
	return &logoutScene{t, op, newHarnessAt(t, storage, site), newHarnessAt(t, storage+"/.", site)}
}

// signIn signs a user in at the first instance. It returns a browser for each instance, and what
// the provider issued.
func (s *logoutScene) signIn(who string) (here, there *browser, issued oidctest.Issued) {
	s.t.Helper()
	s.op.SignIn(who)
	here, there = signedIn(s.t, s.here), s.there.browser()
	there.jar = here.jar
	there.client.Jar = here.jar
	return here, there, s.op.Issued()
}

// tell posts a logout token without cookies, as a provider does.
func (r *harness) tell(token string, more ...string) *visited {
	form := "logout_token=" + url.QueryEscape(token) + strings.Join(more, "")
	return r.browser().post(backchannelPath, form, map[string]string{"Accept": "", "Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "", "Sec-Fetch-Site": ""})
}

// framed is the header of a browser that loads a frame in a page of another site.
var framed = map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}

func framePath(op *oidctest.Provider, sid string) string {
	return "/@app/auth/default/frontchannel-logout?" + url.Values{"iss": {op.Issuer()}, "sid": {sid}}.Encode()
}

func holdFrame(t *testing.T, p *visited, status int) {
	t.Helper()
	check(t, p).
		status(status).
		header("Cache-Control", "no-store").
		header("X-Frame-Options", "").
		headerHas("Content-Security-Policy", "frame-ancestors *")
	begins(t, "Content-Type", p.Header.Get("Content-Type"), "text/html")
}

// revocations is a revocation endpoint.
type revocations struct {
	*httptest.Server
	asked  chan *http.Request
	answer func(http.ResponseWriter)
}

func newRevocations(t *testing.T) *revocations {
	e := &revocations{asked: make(chan *http.Request, 8)}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		e.asked <- r
		if e.answer != nil {
			e.answer(w)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

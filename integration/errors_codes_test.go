package integration_test

import (
	"cmp"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// errorCase is one way to cause an error code: a fault of the provider before a login, or an
// action of the browser in place of the login.
type errorCase struct {
	code  errorcode.Code
	site  string // more options of the site
	lie   func(*oidctest.Faults)
	setUp func(*oidctest.Provider)
	// visit causes the error. If it is nil, a login does.
	visit func(*testing.T, *errorScene) *visited
	// What an error page says, and the target of its link for another attempt. Defaults: the
	// message of the code, and the login.
	message, again string
}

// errorScene is what visit can use.
type errorScene struct {
	*witness
	clock *stopped
}

// begin begins a login and returns the address to which the provider redirects the browser.
func (s *errorScene) begin() *url.URL {
	s.t.Helper()
	atProvider := s.get(s.get(s.absolute(loginAtDoor)).location())
	u, err := url.Parse(atProvider.location())
	if err != nil {
		s.t.Fatal(err)
	}
	begins(required{s.t}, "Path", u.Path, "/@app/auth/")
	return u
}

var mishaps = []errorCase{
	{code: errorcode.AccessDenied, lie: func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" }},
	{code: errorcode.ProviderError, lie: func(l *oidctest.Faults) { l.Authorization.Error = "server_error" }},
	{code: errorcode.ProviderUnavailable, setUp: (*oidctest.Provider).Stop},
	{code: errorcode.TokenExchangeFailed, lie: func(l *oidctest.Faults) { l.At(oidctest.Token).Status = 500 }},
	{code: errorcode.TokenInvalid, lie: func(l *oidctest.Faults) {
		l.IDToken.Claims = func(c map[string]any) { c["nonce"] = "another" }
	}},
	{code: errorcode.UserinfoFailed, lie: func(l *oidctest.Faults) { l.At(oidctest.UserInfo).Status = 500 }},
	{code: errorcode.SessionTooLarge, setUp: func(op *oidctest.Provider) {
		alice := op.User("alice")
		for i := range 4000 { // different words, so that compression does not help
			alice.Claims[fmt.Sprintf("claim_%d", i)] = fmt.Sprintf("%x", i*7919)
		}
		op.SetUser("alice", alice)
	}},
	{code: errorcode.UserUnknown, site: "known_users list bob"},
	{
		code: errorcode.Forbidden, site: "forward_params acr_values", lie: signsInWith(map[string]any{"acr": "1"}),
		visit:   func(_ *testing.T, s *errorScene) *visited { return s.walk(loginAtDoor + "&acr_values=mfa") },
		message: "This page needs a stronger or more recent sign-in than yours.", again: `/page"`,
	},
	{code: errorcode.CookiesRejected, visit: func(_ *testing.T, s *errorScene) (p *visited) {
		s.refuses("__Host-oidc_rp")
		for range 3 {
			p = s.walk(loginAtDoor)
		}
		return p
	}},
	{code: errorcode.LoginExpired, visit: func(_ *testing.T, s *errorScene) *visited {
		answer := s.begin().String()
		s.clock.advance(16 * time.Minute)
		return s.walk(answer)
	}},
	{code: errorcode.LoginExpired, visit: func(_ *testing.T, s *errorScene) *visited {
		return s.walk("/@app/auth/default/code?code=x&state=y") // no login with this state was begun
	}},
	{code: errorcode.StateMismatch, visit: func(_ *testing.T, s *errorScene) *visited {
		answer := s.begin()
		query := answer.Query()
		query.Set("state", "another")
		answer.RawQuery = query.Encode()
		return s.walk(answer.String())
	}},
	{code: errorcode.BadRequest, visit: func(_ *testing.T, s *errorScene) *visited { return s.walk("/@app/auth/default/code") }},
	{code: errorcode.LogoutFailed, visit: func(t *testing.T, s *errorScene) *visited {
		if p := s.walk(loginAtDoor); p.StatusCode != http.StatusOK {
			t.Fatalf("the login ended with status %d", p.StatusCode)
		}
		// A file in place of the folder for logouts makes writing fail, even for root.
		facts := filepath.Join(s.r.storage, "oidc_rp", "facts")
		if err := os.RemoveAll(facts); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(facts, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		p := s.walk("/Special:UserLogout")
		if s.cookies()["__Host-oidc_rp"] != "" {
			t.Error("the logout that failed left the session's cookie")
		}
		return p
	}},
}

// TestEveryErrorCodeIsReachedAndExplained checks each error code at a private and a public site:
// where it leads, what the page says, and that the page begins no login.
func TestEveryErrorCodeIsReachedAndExplained(t *testing.T) {
	t.Parallel()
	for _, m := range mishaps {
		for _, d := range doors {
			t.Run(fmt.Sprintf("%s at %s", m.code, d.origin), func(t *testing.T) {
				t.Parallel()
				clock := stop(t)
				r, op := newDoors(t, clock, m.site)
				if m.lie != nil {
					op.Lie(m.lie)
				}
				if m.setUp != nil {
					m.setUp(op)
				}
				s := &errorScene{r.witness(op, d.origin), clock}
				var p *visited
				if m.visit != nil {
					p = m.visit(t, s)
				} else {
					p = s.walk(loginAtDoor)
				}
				equal(required{t}, "the code", shownCode(p), m.code)
				if d.public || m.code == errorcode.LogoutFailed {
					s.explainedAtHome(p, m, d.public)
				} else {
					s.explainedOn(p, m)
					check(t, p).shows(`href="` + cmp.Or(m.again, "/@app/auth/default/login"))
				}
				r.holdLogs(op, s.witness)
			})
		}
	}
}

// explainedAtHome checks that the error leads to the home page. On a public site the application
// receives the code, on a private one an error page explains it.
func (s *errorScene) explainedAtHome(p *visited, m errorCase, public bool) {
	s.t.Helper()
	c := m.code
	check(s.t, p).status(http.StatusSeeOther).leadsTo("/?auth_error=" + string(c))
	home := s.get(p.location())
	s.hold(home)
	if !public {
		s.explainedOn(home, m)
		return
	}
	header, at := s.r.upstream.got()
	check(s.t, home).status(http.StatusOK)
	equal(s.t, "the address at the application", at, "/?auth_error="+string(c))
	equal(s.t, "X-Error", header.Get("X-Error"), string(c))
	equal(s.t, "X-Message", header.Get("X-Message"), c.Message())
}

// explainedOn checks that an error page explains what happened.
func (s *errorScene) explainedOn(p *visited, m errorCase) {
	s.t.Helper()
	check(s.t, p).refused(m.code).shows(html.EscapeString(cmp.Or(m.message, m.code.Message())))
}

// The endpoints of a disabled provider do nothing, whatever the mode of the site.
func TestDisabledProviderIsForbiddenAtEverySite(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"private", "public"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarness(t, `
oidc_rp `+mode+` {
	`+options(op)+`
	disabled
}
`)
			w := r.witness(op, rpURL)
			for _, path := range []string{"login", "login?returnto=/page", "code", "code?code=x&state=y", "signedout"} {
				p := w.walk("/@app/auth/default/" + path)
				check(t, p, path).status(http.StatusForbidden)
				check(t, p, path).code(errorcode.Forbidden)
				if strings.Contains(p.body, "/login") {
					t.Errorf("%s offers a login: %s", path, p.body)
				}
			}
			if n := op.Hits(oidctest.Discovery); n != 0 {
				t.Errorf("the provider was asked %d times", n)
			}
		})
	}
}

// TestEveryErrorCodeIsDocumentedAndReached checks that the documentation and the tests above
// cover every code.
func TestEveryErrorCodeIsDocumentedAndReached(t *testing.T) {
	t.Parallel()
	reached := make(map[errorcode.Code]bool)
	for _, m := range mishaps {
		reached[m.code] = true
	}
	documented, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range errorcode.Codes() {
		if !strings.Contains(string(documented), "`"+string(c)+"`") {
			t.Errorf("docs/errors.md does not list %s", c)
		}
		if !reached[c] {
			t.Errorf("no test leads to %s", c)
		}
	}
}

// Wrong settings that are common with real providers are reported as such.
func TestWhatIsSetUpWronglyIsCalledThat(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		options func(op *oidctest.Provider) string
		lie     func(*oidctest.Faults)
		status  int
		code    errorcode.Code
	}{
		"a slash too many": {func(op *oidctest.Provider) string {
			return strings.Replace(options(op), op.Issuer(), op.Issuer()+"/", 1)
		}, nil, 503, errorcode.ProviderUnavailable},
		"another realm": {func(op *oidctest.Provider) string {
			return strings.Replace(options(op), op.Issuer(), op.Issuer()+"/realm", 1)
		}, nil, 503, errorcode.ProviderUnavailable},
		"discovery elsewhere": {options, func(l *oidctest.Faults) {
			l.At(oidctest.Discovery).Redirects(http.StatusFound, "https://elsewhere.test/.well-known/openid-configuration")
		}, 503, errorcode.ProviderUnavailable},
		"no discovery": {options, func(l *oidctest.Faults) { l.At(oidctest.Discovery).Status = http.StatusNotFound }, 503, errorcode.ProviderUnavailable},
		"another secret": {func(op *oidctest.Provider) string {
			return strings.Replace(options(op), op.Client().Secret, "wrong", 1)
		}, nil, 403, errorcode.TokenExchangeFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			if row.lie != nil {
				op.Lie(row.lie)
			}
			r := newHarness(t, `
oidc_rp {
	`+row.options(op)+`
}
`)
			p := r.browser().open("/page")
			check(t, p).status(row.status).code(row.code)
			if !strings.Contains(p.body, "not set up correctly") {
				t.Errorf("the page says %s\n%s", p.body, r.logs())
			}
			op.TakeViolations()
		})
	}
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	op.Stop()
	check(t, r.browser().open("/page"), "an outage").status(503).hides("not set up correctly")
}

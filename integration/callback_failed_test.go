package integration_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A response that failed fails again with the same code, without another token request.
func TestAnAnswerThatFailedFailsAgainAlike(t *testing.T) {
	eachRepeat(t, func(t *testing.T, s *repeat) {
		s.op.Lie(func(l *oidctest.Faults) {
			l.IDToken.Claims = func(c map[string]any) { c["nonce"] = "another" }
		})
		first := s.bring(s.here)
		p := s.bring(s.here)
		check(t, p).refused(errorcode.TokenInvalid)
		check(t, first).code(errorcode.TokenInvalid)
		s.once()
	})
}

// Anyone can cause any number of error responses, so they leave nothing in the storage.
func TestAnAnswerWithAnErrorLeavesNothingInTheStorage(t *testing.T) {
	t.Parallel()
	s := newRepeat(t, "")
	kept := func() []string {
		files, err := filepath.Glob(filepath.Join(s.here.storage, "oidc_rp", "callback", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	for _, tc := range []struct {
		name  string
		query url.Values
		code  errorcode.Code
	}{
		{"an error", url.Values{"error": {"access_denied"}, "iss": {s.op.Issuer()}}, errorcode.AccessDenied},
		{"another issuer's code", url.Values{"code": {"x"}, "iss": {"https://other.example"}}, errorcode.StateMismatch},
	} {
		s.begin()
		answer, _ := url.Parse(s.answer)
		tc.query.Set("state", answer.Query().Get("state"))
		for _, node := range []*harness{s.here, s.here, s.there} {
			if p := s.bringAt(node, rpURL+"/@app/auth/default/code?"+tc.query.Encode()); shownCode(p) != tc.code {
				t.Errorf("%s: code %s, expected %s", tc.name, shownCode(p), tc.code)
			}
		}
		if files := kept(); len(files) > 0 {
			t.Errorf("%s: the storage has %q", tc.name, files)
		}
	}
	s.begin()
	s.signsIn("a code", s.here, s.bring(s.here))
	if files := kept(); len(files) != 1 {
		t.Errorf("after a sign-in the storage has %q, expected its outcome", files)
	}
}

// People and programs send other requests twice as well: posted forms, initiate, logout and
// signedout.
func TestNoRepeatedRequestEndsOnAnErrorPage(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, formPostOptions))
	b := r.browser()
	login := beginPosted(t, b, "/page")
	begun := *login.begun
	first, second := login.submit(), (*visited)(nil)
	login.begun = &begun
	second = login.submit()
	for what, p := range map[string]*visited{"the first form": b.open(first.location()), "the second form": b.open(second.location())} {
		check(t, p, what).body("application sees alice").at(rpURL + "/page")
	}
	for range 2 {
		check(t, r.browser().get("/@app/auth/default/initiate?iss="+url.QueryEscape(op.Issuer())), "initiate").status(http.StatusFound)
	}
	cookies := b.cookieHeader()
	logout := func(method string) *visited {
		again := r.browser()
		again.client.Jar = nil
		return again.do(method, "/Special:UserLogout", "", map[string]string{"Cookie": cookies, "Sec-Fetch-Site": "same-origin"})
	}
	for _, method := range []string{"GET", "GET", "POST", "POST"} {
		p := logout(method)
		if p.StatusCode != http.StatusSeeOther && p.StatusCode != http.StatusOK {
			t.Errorf("%s logout: expected status 303 or 200, seen %d", method, p.StatusCode)
		}
		check(t, p, method+" logout").leadsWithout("auth_error")
	}
	for range 2 {
		check(t, b.get("/@app/auth/default/signedout"), "signedout").status(http.StatusOK)
	}
	if n := op.Hits(oidctest.Token); n != 1 {
		t.Errorf("the token endpoint was asked %d times", n)
	}
}

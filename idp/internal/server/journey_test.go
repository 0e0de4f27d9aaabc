package server

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestFromTheApplicationToItsTokens(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	user := n.addUser("ada")
	b := n.browser()
	b.authorize("login_hint", "ada").expect("Wiki").expect(`value="ada"`)
	b.submit("username", "Ada").expect(`name="password"`)
	b.submit("password", "wrong").expect("That did not work")
	b.submit("password", password)
	if got := b.answer().Get("state"); got != "s1" {
		t.Errorf("expected the state s1, seen %q", got)
	}
	claims := b.claims()
	for name, want := range map[string]any{"iss": issuer, "sub": user.ID, "aud": "wiki", "nonce": "n1", "acr": "urn:oidc-idp:pwd"} {
		if got := claims[name]; got != want {
			t.Errorf("expected %s %v, seen %v", name, want, got)
		}
	}
	first := claims["auth_time"]

	t.Run("the next request is answered silently", func(t *testing.T) {
		n.clock.pass(time.Hour)
		if got := b.authorize().claims()["auth_time"]; got != first {
			t.Errorf("expected auth_time %v, seen %v", first, got)
		}
		if got := b.authorize("prompt", "none").claims()["sub"]; got != user.ID {
			t.Errorf("expected sub %s, seen %v", user.ID, got)
		}
	})
	t.Run("max_age asks again", func(t *testing.T) {
		b.authorize("max_age", "300").expect(`name="password"`)
		if got := b.submit("password", password).claims()["auth_time"]; got == first {
			t.Errorf("expected another auth_time, seen %v again", got)
		}
	})
	t.Run("another browser is asked", func(t *testing.T) {
		other := n.browser()
		if got := other.authorize("prompt", "none").answer().Get("error"); got != "login_required" {
			t.Errorf("expected login_required, seen %q", got)
		}
		other.authorize().expect(`name="username"`)
	})
}

// Begin in browser A, sign in at B, then open the sign-in of A at B and at A.
func TestASignInStaysInItsBrowser(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("ada")
	a, b := n.browser(), n.browser()
	a.authorize().expect(`name="username"`)
	path := a.path
	b.signIn("ada").answer()

	b.get(path)
	if b.status != http.StatusForbidden {
		t.Errorf("expected 403 at B, seen %d", b.status)
	}
	b.do(http.MethodPost, path+"/name", url.Values{"username": {"ada"}})
	if b.status != http.StatusForbidden {
		t.Errorf("expected 403 for a form at B, seen %d", b.status)
	}
	a.get(path).expect(`name="username"`)
	if location := a.header.Get("Location"); location != "" {
		t.Errorf("expected no answer at A, seen %s", location)
	}
}

func TestASignInGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("ada")
	b := n.browser()
	b.authorize().submit("username", "ada").expect(`name="password"`)
	n.restart()
	b.get(b.path).expect(`name="password"`)
	b.submit("password", password).claims()
}

func TestARequestThatIsOverLeadsOn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, home string }{{"wiki", "https://wiki.example.net/"}, {"account", issuer + "/account"}} {
		for _, how := range []string{"too late", "answered"} {
			t.Run(test.name+" "+how, func(t *testing.T) {
				t.Parallel()
				n := newNode(t)
				n.addUser("ada")
				b := n.browser()
				if test.name == "wiki" {
					b.authorize()
				} else {
					b.get("/account")
				}
				b.submit("username", "ada").expect(`name="password"`)
				page, path := *b, b.path
				if how == "too late" {
					n.clock.pass(2 * time.Hour)
				} else {
					b.submit("password", password)
				}
				b.body = page.body
				b.submit("password", password).expect("This page has expired").expect(`href="` + test.home + `"`)
				if b.status != http.StatusGone {
					t.Errorf("expected status 410, seen %d", b.status)
				}
				b.get(path).expect(`href="` + test.home + `"`)
			})
		}
	}
}

func TestTheSiteServesNothingElse(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	b := n.browser()
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 404}, {"GET", "/index.html", 404}, {"GET", "/signin", 404}, {"GET", "/signin/x/y", 404}, {"GET", "/signin/x", 403},
		{"GET", "/external/none/callback", 404}, {"GET", "/saml/none/acs", 404}, {"GET", "/assets/none.js", 404}, {"GET", "/authorize/callback", 404},
		{"PUT", "/signin/x", 405}, {"DELETE", "/external/none/callback", 405}, {"PATCH", "/token", 405}, {"GET", "/token", 405},
		{"GET", "/.well-known/openid-configuration", 200}, {"HEAD", "/jwks", 200}, {"GET", "/jwks", 200},
	} {
		b.do(test.method, test.path, nil)
		if b.status != test.status {
			t.Errorf("%s %s: expected status %d, seen %d", test.method, test.path, test.status, b.status)
		}
		if test.status >= 400 && b.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: expected Cache-Control no-store, seen %q", test.method, test.path, b.header.Get("Cache-Control"))
		}
	}
}

func TestPagesHaveTheirHeaders(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("ada")
	b := n.browser()
	for _, page := range []func(){
		func() { b.authorize() },
		func() { b.submit("username", "ada") },
		func() { b.get("/nowhere") },
	} {
		page()
		policy := b.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: expected the policy to have %s, seen %s", b.path, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: expected no inline script or style, seen %s", b.path, policy)
		}
		for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"} {
			if got := b.header.Get(name); got != want {
				t.Errorf("%s: expected %s: %s, seen %q", b.path, name, want, got)
			}
		}
	}
}

func TestADatabaseThatIsDownIs503(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("ada")
	b := n.browser()
	b.authorize().submit("username", "ada").expect(`name="password"`)
	path, page := b.path, b.body
	if err := n.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, try := range []func(){
		func() { b.get(path) },
		func() { b.authorize() },
		func() { b.body = page; b.submit("password", password) },
	} {
		try()
		if b.status != http.StatusServiceUnavailable {
			t.Errorf("expected status 503, seen %d", b.status)
		}
		if b.header.Get("Retry-After") == "" {
			t.Error("expected Retry-After, seen none")
		}
	}
	n.open()
	b.get(path).expect(`name="password"`)
	b.submit("password", password).claims()
}

func TestTheLogHasNoFormFields(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("ada")
	b := n.browser()
	b.authorize().submit("username", "my secret pass phrase").submit("password", "typed-wrong-password")
	b.authorize().submit("username", "ada").submit("password", "typed-wrong-password")
	b.submit("password", password).claims()
	text := n.log.String()
	for _, secret := range []string{"my secret pass phrase", "typed-wrong-password", password} {
		if strings.Contains(text, secret) {
			t.Errorf("expected no form field in the log, seen %q", secret)
		}
	}
	for _, c := range b.cookies {
		for part := range strings.SplitSeq(c.Value, ".") {
			if len(part) > 20 && strings.Contains(text, part) {
				t.Errorf("expected no cookie in the log, seen %s", c.Name)
			}
		}
	}
	for _, want := range []string{`"event":"sign_in_failed"`, `"unknown_user":"`, `"reason":"unknown_name"`, `"reason":"wrong_password"`, `"event":"signed_in"`, `"address":"192.0.2.1"`, `"client_id":"wiki"`} {
		if !strings.Contains(text, want) {
			t.Errorf("expected the log to have %s, seen %s", want, text)
		}
	}
}

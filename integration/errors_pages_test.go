package integration_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestErrorsOfAPublicSiteLeadHomeAndOfAPrivateOneToAPage(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
	public := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp public {
		`+options(op)+`
		home /start?lang=en
		private /private/*
	}
	respond "{http.oidc_rp.error.code}: {http.oidc_rp.error.message}"
}
`)
	p := public.browser().open("/private/x")
	check(t, p, "public").
		status(http.StatusOK).
		at(rpURL + "/start?lang=en&auth_error=access_denied").
		opens("access_denied: The sign-in was cancelled")
	private := newHarness(t, protectedBy(op))
	b := private.browser()
	p = b.open("/page?x=1")
	check(t, p, "private").status(http.StatusForbidden).shows("access_denied", "returnto=%2Fpage%3Fx%3D1")
	check(t, p, "the page is active").headerHas("Content-Security-Policy", "default-src 'none'").hides("<script")
	// Only a known error code on the home page prevents a login.
	check(t, b.get("/?auth_error=access_denied"), "a known error").status(http.StatusForbidden)
	check(t, b.get("/?auth_error=made_up"), "an unknown error").status(http.StatusFound)
	op.Honest()
	check(t, b.open("/page?x=1"), "an ordinary login afterwards").status(http.StatusOK)
}

func TestErrorPagesCanBeCaddys(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		error_pages caddy
	}
	reverse_proxy {upstream}
	handle_errors {
		respond "own page: {err.status_code} {err.message}"
	}
}
`)
	check(t, r.browser().open("/x")).status(http.StatusForbidden).opens("own page: 403 access_denied")
	check(t, r.browser().send("GET", "/x", map[string]string{"Sec-Fetch-Mode": "cors"})).
		status(http.StatusUnauthorized).
		opens("own page: 401").
		header("WWW-Authenticate", "")
}

func TestAProgramGetsAProblem(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	p := r.browser().send("GET", "/api/x", map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": "application/json"})
	var problem struct {
		Status           int
		Reason, LoginURL string
		Login            string `json:"login_url"`
	}
	if err := json.Unmarshal([]byte(p.body), &problem); err != nil {
		t.Fatal(err)
	}
	equal(t, p.body+": Status", problem.Status, 401)
	differs(t, p.body+": Reason", problem.Reason, "")
	equal(t, p.body+": Login", problem.Login, "/@app/auth/default/login")
}

func TestALoginDoesNotLeadBackToTheErrorOfAnother(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp public {
		`+options(op)+`
	}
	respond "{http.oidc_rp.login_url}"
}
`)
	for at, want := range map[string]string{
		"/?auth_error=access_denied":             "/",
		"/page?a=%20b&auth_error=bad_request&c":  "/page?a=%20b&c",
		"/page?auth_error=none_of_ours&x=1":      "/page?auth_error=none_of_ours&x=1",
		"/page?not_auth_error=access_denied&y=2": "/page?not_auth_error=access_denied&y=2",
	} {
		b := r.browser()
		link := b.get(at).body
		p := b.open(link, rpURL+"/@app/auth/default/code")
		if p = b.get(p.location()); p.Header.Get("Location") != want {
			t.Errorf("from %s the login %s leads to %s", at, link, p.Header.Get("Location"))
		}
		p = b.open("/@app/auth/default/login?returnto="+escape(at), rpURL+"/@app/auth/default/code")
		if p = b.get(p.location()); p.Header.Get("Location") != want {
			t.Errorf("returnto=%s leads to %s", at, p.Header.Get("Location"))
		}
	}
}

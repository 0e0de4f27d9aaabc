package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestAnAnswerMayComeByPost(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, formPostOptions))
	b := r.browser()
	login := beginPosted(t, b, "/page?q=1")
	c := login.begun
	equal(t, "the transaction: SameSite", c.SameSite, http.SameSiteNoneMode)
	equal(t, "the transaction: Secure", c.Secure, true)
	equal(t, "the transaction: HttpOnly", c.HttpOnly, true)
	lacks(t, "the transaction", c.Raw, "Partitioned")
	p := login.submit()
	check(t, p).status(http.StatusSeeOther).leadsWithout(op.Issued().Code)
	equal(t, "the number of requests to Token", op.Hits(oidctest.Token), 0)
	c = login.begun
	equal(t, "the cookie of the answer: SameSite", c.SameSite, http.SameSiteLaxMode)
	equal(t, "the cookie of the answer: MaxAge", c.MaxAge, 60)
	lacks(t, "the cookie of the answer", c.Value, op.Issued().Code)
	p = b.get(p.location())
	for _, c := range p.Cookies() {
		if c.Name == "__Host-oidc_rp" && c.SameSite != http.SameSiteLaxMode {
			t.Errorf("the session is %s", c.Raw)
		}
	}
	check(t, b.open(p.location())).body("application sees alice").at(rpURL + "/page?q=1")
	if strings.Contains(r.logs(), op.Issued().Code) {
		t.Error("the code is in the log")
	}
	for name := range b.cookies() {
		if strings.Contains(name, "_tx_") {
			t.Errorf("%s is left", name)
		}
	}
}

func TestASecondPostOfAnAnswerLeadsToThePage(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, formPostOptions))
	b := r.browser()
	login := beginPosted(t, b, "/page")
	b.open(login.submit().location())
	check(t, b.open(login.submit().location()), "the user").body("application sees alice").at(rpURL + "/page")
	if n := op.Hits(oidctest.Token); n != 1 {
		t.Errorf("the token endpoint was asked %d times", n)
	}
	// The same response in a browser that did not begin the login.
	stranger := &posted{browser: r.browser(), action: login.action, params: login.params, begun: new(http.Cookie)}
	check(t, stranger.open(stranger.submit().location(), "/authorize"), "a stranger").
		status(http.StatusForbidden).
		shows(errorcode.LoginExpired.Message())
}

func TestALoginByPostEndsTheSessionThatItReplaces(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, formPostOptions))
	b := r.browser()
	b.open(beginPosted(t, b, "/page").submit().location())
	old := b.cookieHeader()
	op.SignIn("bob")
	b.open(beginPosted(t, b, "/@app/auth/default/login?returnto=/x").submit().location())
	check(t, b.get("/x")).body("application sees bob")
	check(t, r.rawGet("/x", "Cookie: "+old), "a copied cookie").status(http.StatusUnauthorized)
}

// The provider returns an error by POST.
func TestAnErrorMayComeByPost(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.SignOut()
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	`+formPostOptions+`
	forward_params prompt max_age
}
`)
	b := r.browser()
	login := beginPosted(t, b, "/@app/auth/default/login?returnto=/page&prompt=none&max_age=0")
	if login.params.Get("error") != "login_required" {
		t.Fatalf("the provider says %v", login.params)
	}
	p := b.open(login.submit().location())
	check(t, p).status(http.StatusForbidden).shows(errorcode.ProviderError.Message())
	if n := op.Hits(oidctest.Authorize); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
	if !strings.Contains(r.logs(), "login_required") {
		t.Error("the log does not say why")
	}
}

func TestPostsThatAreNoAnswers(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, formPostOptions))
	const code = "/@app/auth/default/code"
	for name, tc := range map[string]struct{ form, kind string }{
		"a doubled state":         {"state=a&state=b&code=x", ""},
		"a doubled code":          {"state=a&code=x&code=y", ""},
		"no state":                {"code=x", ""},
		"neither code nor error":  {"state=a", ""},
		"code and error":          {"state=a&code=x&error=y", ""},
		"JSON":                    {`{"state":"a","code":"x"}`, "application/json"},
		"a form of another kind":  {"state=a&code=x", "multipart/form-data; boundary=x"},
		"no kind":                 {"state=a&code=x", "-"},
		"more than 64 KiB":        {"state=a&code=x&more=" + strings.Repeat("x", 64<<10), ""},
		"an escape that is none":  {"state=%zz&code=x", ""},
		"separated by semicolons": {"state=a;code=x", ""},
	} {
		header := map[string]string{}
		if tc.kind != "" {
			header["Content-Type"] = strings.TrimPrefix(tc.kind, "-")
		}
		check(t, r.browser().post(code, tc.form, header), name).status(http.StatusForbidden).shows(errorcode.BadRequest.Message())
	}
	// Query parameters do not count when the response is posted.
	check(t, r.browser().post(code+"?state=a&code=x", "other=1", nil), "an answer in the address").status(http.StatusForbidden)
	// A GET with a state alone does not end the pending login.
	b := r.browser()
	login := beginPosted(t, b, "/page")
	check(t, b.get(code+"?state="+login.params.Get("state")), "a state alone").status(http.StatusForbidden)
	check(t, b.open(login.submit().location()), "afterwards").body("application sees alice")
	// A response in the query is accepted as well: some providers report errors that way.
	b = r.browser()
	login = beginPosted(t, b, "/page")
	check(t, b.open(login.action+"?"+login.params.Encode()), "by query").body("application sees alice")
}

func TestAnAnswerTooLargeToCarryIsTakenAtOnce(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, formPostOptions))
	login := beginPosted(t, r.browser(), "/page")
	login.params.Set("code", strings.Repeat("x", 5000))
	p := login.submit()
	op.TakeViolations() // the provider never issued such a code
	check(t, p).status(http.StatusForbidden).shows(errorcode.TokenExchangeFailed.Message())
	equal(t, "the number of requests to Token", op.Hits(oidctest.Token), 1)
}

func TestPostedAnswersNeedTheirResponseMode(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, mode := range []string{"", "response_mode query"} {
		r := newHarness(t, protectedBy(op, mode))
		p := r.browser().post("/@app/auth/default/code", "state=a&code=b", nil)
		check(t, p, fmt.Sprintf("%q", mode)).status(http.StatusMethodNotAllowed).header("Allow", "GET")
		if p := r.browser().get("/page"); strings.Contains(p.location(), "response_mode=") != (mode != "") {
			t.Errorf("%q: %s", mode, p.location())
		}
	}
	r := newHarness(t, protectedBy(op, formPostOptions))
	beginPosted(t, r.browser(), "/page")
	check(t, r.browser().send(http.MethodPut, "/@app/auth/default/code", nil)).
		status(http.StatusMethodNotAllowed).
		header("Allow", "GET, POST")
}

// Over plain HTTP, browsers keep SameSite=None cookies only on loopback.
func TestFormPostOverPlainHTTPIsRefused(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		`+formPostOptions+`
		base_url http://rp.test
		session {
			cookie {
				insecure
			}
		}
	}
}
`)
	p := r.browser().get("/page")
	check(t, p).status(http.StatusForbidden)
	contains(t, "the log", r.logs(), "response_mode form_post needs a cookie")
}

package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// stepUpRoutes are routes that demand more than the rest of a site.
const stepUpRoutes = `
private /admin /admin/* {
	require acr mfa hwk
}
private /pay /pay/* {
	require max_age 5m
}
private /both {
	require acr mfa
	require max_age 5m
}
`

// stepUpSite is a site with stepUpRoutes.
func stepUpSite(op *oidctest.Provider, more ...string) string {
	return protectedBy(op, append(more, stepUpRoutes)...)
}

// askedOf returns the parameters of the authorization request to which a response
// redirects.
func askedOf(t *testing.T, p *visited) url.Values {
	t.Helper()
	check(required{t}, p, "the begin of a login").status(http.StatusFound)
	u, err := url.Parse(p.location())
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// problemOf reads the problem document that a program gets.
func problemOf(t *testing.T, p *visited) (problem struct {
	Reason    string
	ACRValues string `json:"acr_values"`
	MaxAge    *int   `json:"max_age"`
	LoginURL  string `json:"login_url"`
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(p.body), &problem); err != nil {
		t.Fatalf("expected a problem document, seen %s", p.body)
	}
	return problem
}

func TestAPageThatDemandsMoreCausesOneLogin(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarness(t, stepUpSite(op.Provider))
	b := signedIn(t, r)
	for _, row := range []struct {
		path string
		ago  time.Duration
		want string
	}{
		{"/admin", 0, "acr_values=mfa+hwk"},
		{"/pay", 10 * time.Minute, "max_age=300"},
		{"/both", 20 * time.Minute, "acr_values=mfa&max_age=300"},
	} {
		op.at(row.ago, r)
		logins := op.Hits(oidctest.Authorize)
		begun := b.get(row.path)
		parameters := askedOf(t, begun)
		got := url.Values{}
		for _, name := range []string{"acr_values", "max_age", "prompt", "claims", "login_hint"} {
			if parameters.Has(name) {
				got.Set(name, parameters.Get(name))
			}
		}
		equal(t, row.path+": what the login asks for", got.Encode(), row.want)
		check(t, b.open(begun.location()), row.path).at(rpURL + row.path).body("application sees alice")
		check(t, b.get(row.path), row.path+" again").status(http.StatusOK)
		check(t, b.get("/"), "the rest of the site").status(http.StatusOK)
		equal(t, row.path+": the number of logins", op.Hits(oidctest.Authorize)-logins, 1)
	}
	// A sign-in for one page is enough for others that demand the same or less.
	check(t, b.get("/admin"), "a page that demands less").status(http.StatusOK)
	check(t, b.get("/pay"), "a page that demands less").status(http.StatusOK)
}

func TestTheFirstLoginOfSuchAPageAsksAlready(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, stepUpSite(op))
	for path, want := range map[string]string{"/admin/x": "mfa hwk ", "/pay": " 300", "/both": "mfa 300", "/": " "} {
		b := r.browser()
		begun := b.get(path)
		parameters := askedOf(t, begun)
		equal(t, path+": what the login asks for", parameters.Get("acr_values")+" "+parameters.Get("max_age"), want)
		check(t, b.open(begun.location()), path).status(http.StatusOK)
	}
	equal(t, "the number of logins", op.Hits(oidctest.Authorize), 4)
}

// If the provider does not meet the demands, the callback refuses at once, and the
// existing session is not touched.
func TestASignInThatIsStillNotEnoughIsRefusedAtTheCallback(t *testing.T) {
	t.Parallel()
	for _, k := range []backend{backendNamed("cookie"), backendNamed("memory")} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarness(t, stepUpSite(op, `session {
				`+k.option(t)+`
			}`))
			b := r.browser()
			proof(op, "1", time.Hour)
			b.open("/")
			before := b.cookies()["__Host-oidc_rp"]
			for path, cause := range map[string]string{"/admin/x?a=b": "acr is not one", "/pay": "more than max_age", "/both": "more than max_age"} {
				p := b.open(path)
				check(t, p, path).refused("forbidden").shows("A stronger sign-in is needed", "You are signed in as <strong>alice</strong>",
					`href="`+path+`">Try again`, "Use another account", "prompt=select_account", "Sign out")
				contains(t, path+": the address", p.url, "/@app/auth/default/code")
				line := r.lastAudited("refused")
				holdFields(t, line, map[string]any{"code": "forbidden", "subject": op.Issued().Subject, "provider": "default"})
				contains(t, path+": the cause in the log", fmt.Sprint(line["error"]), cause)
				check(t, b.get("/"), "the rest, after "+path).status(http.StatusOK).body("application sees alice")
				equal(t, path+": the session's cookie", b.cookies()["__Host-oidc_rp"], before)
				b.forget("_again")
			}
			equal(t, "the number of sign-ins", len(r.audited("signed_in")), 1)
			equal(t, "the number of sign-outs", len(r.audited("signed_out")), 0)
		})
	}
}

// forget removes the cookies whose names contain part.
func (b *browser) forget(part string) {
	u, _ := url.Parse(rpURL + "/")
	for name := range b.cookies() {
		if strings.Contains(name, part) {
			b.jar.SetCookies(u, []*http.Cookie{{Name: name, MaxAge: -1, Secure: true, Path: "/"}})
		}
	}
}

func TestAFirstSignInThatIsNotEnoughMakesNoSession(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, stepUpSite(op))
	proof(op, "1", 0)
	b := r.browser()
	p := b.open("/admin")
	check(t, p).refused("forbidden").shows(`href="/admin">Try again`).hides("Sign out", ">Sign in<")
	equal(t, "the session's cookie", b.cookies()["__Host-oidc_rp"], "")
	equal(t, "the number of requests at the application", r.upstream.count(), 0)
	proof(op, "hwk", 0)
	check(t, b.open("/admin"), "once more").status(http.StatusOK)
}

func TestASignInThatIsNotEnoughLeadsHomeOnAPublicSite(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp public {
		`+options(op)+`
		home /start
		private /admin {
			require acr mfa
		}
	}
	respond "{http.auth.user.id} {http.oidc_rp.error.code}"
}
`)
	b := r.browser()
	proof(op, "1", 0)
	b.open("/@app/auth/default/login")
	check(t, b.open("/admin")).status(http.StatusOK).at(rpURL + "/start?auth_error=forbidden").body("alice forbidden")
}

// Another sign-in cannot satisfy rules about groups or users, so such users are refused
// without a redirect.
func TestNoLoginIsBegunForRulesThatItCannotSatisfy(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newHarness(t, protectedBy(op, `
private /group {
	require acr mfa
	require group owners
}
private /amr {
	require amr otp
}
private /amr-too {
	require max_age 1s
	require amr otp
}
private /any {
	require any {
		acr mfa
		max_age 1s
	}
}
private /denied {
	require acr mfa
	deny user alice
}
`))
	b := r.browser()
	proof(op, "1", time.Hour)
	b.open("/")
	for _, path := range []string{"/group", "/amr", "/amr-too", "/any", "/denied"} {
		check(t, b.get(path), path).refused("forbidden").shows("You may not see this page").hides("Try again")
		check(t, b.send(http.MethodGet, path, apiCall), path+" for a program").status(http.StatusForbidden)
	}
	equal(t, "the number of logins", op.Hits(oidctest.Authorize), 1)
}

func TestProgramsReadWhatASignInHasToProve(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, stepUpSite(op, `authorization_params {
		ui_locales de
	}`))
	b := r.browser()
	for _, signedIn := range []bool{false, true} {
		reason := "sign_in_required"
		if signedIn {
			reason = "insufficient_user_authentication"
			proof(op, "1", time.Hour)
			b.open("/")
		}
		for _, row := range []struct{ path, acr, maxAge, login string }{
			{"/admin/api", "mfa hwk", "none", "?acr_values=mfa+hwk"},
			{"/pay", "", "300", "?max_age=300"},
			{"/both", "mfa", "300", "?acr_values=mfa&max_age=300"},
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
				what := fmt.Sprintf("%s %s, signed in %t", method, row.path, signedIn)
				p := b.send(method, row.path, map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})
				check(t, p, what).status(http.StatusUnauthorized).header("WWW-Authenticate", "").header("Content-Type", "application/problem+json")
				problem := problemOf(t, p)
				maxAge := "none"
				if problem.MaxAge != nil {
					maxAge = fmt.Sprint(*problem.MaxAge)
				}
				equal(t, what+": reason", problem.Reason, reason)
				equal(t, what+": acr_values", problem.ACRValues, row.acr)
				equal(t, what+": max_age", maxAge, row.maxAge)
				equal(t, what+": login_url", problem.LoginURL, "/@app/auth/default/login"+row.login)
			}
		}
		p := b.send(http.MethodGet, rpURL+"/both", map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Referer": rpURL + "/app?x=1"})
		equal(t, "login_url of a page", problemOf(t, p).LoginURL, "/@app/auth/default/login?returnto=%2Fapp%3Fx%3D1&acr_values=mfa&max_age=300")
	}
	// A program that opens the login for its user gets what it needs.
	op.Honest()
	check(t, b.open("/@app/auth/default/login?acr_values=mfa&max_age=300"), "the login").status(http.StatusOK)
	check(t, b.send(http.MethodGet, "/both", apiCall), "the call again").status(http.StatusOK)
}

// The fixed parameters are demanded on each request, like rules, and programs can read
// them in the same way.
func TestProgramsReadWhatFixedParametersDemand(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	here, there := twoSites(t, op, "", `
authorization_params {
	max_age 3600
	`+mfa+`
}
private /pay {
	require max_age 5m
}
`)
	b := here.browser()
	proof(op, "1", 2*time.Hour)
	b.open("/")
	moveTo(b, there)
	for path, maxAge := range map[string]int{"/": 3600, "/pay": 300} {
		p := b.send(http.MethodGet, path, apiCall)
		check(t, p, path).status(http.StatusUnauthorized)
		problem := problemOf(t, p)
		equal(t, path+": reason", problem.Reason, "insufficient_user_authentication")
		equal(t, path+": acr_values", problem.ACRValues, "urn:mfa")
		equal(t, path+": max_age", *problem.MaxAge, maxAge)
	}
}

// The step-up may sign in another user, whose session replaces the first one.
func TestAnotherUserMaySignInToStepUp(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, stepUpSite(op, `session {
		store memory
	}`))
	b := signedIn(t, r)
	old := b.cookieHeader()
	op.SignIn("bob")
	check(t, b.open("/admin")).status(http.StatusOK).body("application sees bob")
	equal(t, "the status that the old session gets", r.use(old), http.StatusUnauthorized)
	line := r.lastAudited("signed_in")
	holdFields(t, line, map[string]any{"user": "bob", "replaces_user": "alice"})
	differs(t, "replaces", fmt.Sprint(line["replaces"]), "<nil>")
	// A step-up of the same user replaces no user.
	b = signedIn(t, r)
	b.open("/admin")
	if user, ok := r.lastAudited("signed_in")["replaces_user"]; ok {
		t.Errorf("expected no replaced user, seen %v", user)
	}
}

// A posted form gets a page that names the missing requirement, and the user signs in in
// another tab.
func TestAFormThatNeedsMoreSaysSo(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarness(t, stepUpSite(op.Provider))
	b := signedIn(t, r)
	op.at(10*time.Minute, r)
	p := b.post("/pay/now", "amount=1", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": rpURL, "Referer": rpURL + "/pay"})
	check(t, p).status(http.StatusUnauthorized).
		shows("Please confirm who you are", "stronger or more recent sign-in", "What you sent did not arrive", "login?returnto=%2Fpay&amp;max_age=300", `target="_blank"`).
		hides("alice", "own tab")
	equal(t, "the number of requests at the application", r.upstream.count(), 1)
	check(t, b.open("/@app/auth/default/login?returnto=%2Fpay&max_age=300"), "the sign-in").status(http.StatusOK)
	check(t, b.post("/pay/now", "amount=1", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": rpURL}), "the form again").status(http.StatusOK)
}

// After repeated reloads, a page explains why the requested page is not shown. A link still
// begins a login.
func TestTheLastResortAgainstLoopsSaysWhatIsNeeded(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, stepUpSite(op))
	proof(op, "1", time.Hour)
	b := r.browser()
	b.open("/")
	for range 2 {
		check(t, b.get("/both"), "a login").status(http.StatusFound)
	}
	check(t, b.get("/both"), "the third login within a minute").refused("forbidden").
		shows("A stronger sign-in is needed", `href="/@app/auth/default/login?returnto=%2Fboth&amp;acr_values=mfa&amp;max_age=300">Try again`)
	check(t, b.get("/@app/auth/default/login?returnto=%2Fboth&acr_values=mfa&max_age=300"), "the link").status(http.StatusFound)
}

// The same holds for fixed parameters: a user whom another rule refuses is not asked to
// sign in again first.
func TestNoLoginIsBegunForFixedParametersEither(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	const demands = `authorization_params {
		max_age 60
	}`
	here, there := twoSites(t, op, "", demands+`
	require group owners`)
	b := here.browser()
	proof(op, "1", time.Hour)
	b.open("/")
	moveTo(b, there)
	check(t, b.get("/")).refused("forbidden").shows("You may not see this page")
	equal(t, "the number of logins", op.Hits(oidctest.Authorize), 1)
}

// In handle_errors, the login address includes the demands of the page.
func TestOwnErrorPagesHaveTheStricterLogin(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	`+stepUpSite(op, "error_pages caddy")+`
	reverse_proxy {upstream}
	handle_errors {
		respond "{err.status_code} {http.oidc_rp.error.code} {http.oidc_rp.login_url}"
	}
}
`)
	b := r.browser()
	proof(op, "1", time.Hour)
	b.open("/")
	check(t, b.send(http.MethodGet, "/both", apiCall), "a call").body("401 insufficient_user_authentication /@app/auth/default/login?acr_values=mfa&max_age=300")
	check(t, b.open("/admin"), "a page").body("403 forbidden /@app/auth/default/login?returnto=%2Fadmin")
}

package integration_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const popupPath = "/@app/auth/default/login?display=popup"

// checkScript checks that a page has one script and no other active content. The script is
// a file under the endpoints' prefix, which the policy names by its hash and its exact
// address.
func checkScript(t testing.TB, r *harness, p *visited, path string) {
	t.Helper()
	served := r.browser().send("GET", path, map[string]string{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script", "Sec-Fetch-Site": "same-origin"})
	check(t, served).status(http.StatusOK).header("Content-Type", "text/javascript; charset=utf-8").
		header("X-Content-Type-Options", "nosniff").header("Cross-Origin-Resource-Policy", "same-origin").setsCookies(0)
	sum := sha256.Sum256([]byte(served.body))
	integrity := "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
	policy := p.Header.Get("Content-Security-Policy")
	begins(t, "the policy", policy, "default-src 'none'; script-src '"+integrity+"' "+rpURL+path+"; ")
	equal(t, "the sources named 'self'", strings.Count(strings.Split(policy, "style-src")[0], "'self'"), 0)
	list(t, "the elements of scripts", regexp.MustCompile(`<script[^>]*>`).FindAllString(p.body, -1),
		fmt.Sprintf(`<script src="%s" integrity="%s">`, path, strings.ReplaceAll(integrity, "+", "&#43;")))
	lacks(t, "the page", p.body, "</script><")
}

func TestAPopupLoginEndsInAPageThatSaysSo(t *testing.T) {
	t.Parallel()
	stop(t)
	for _, mode := range []string{"private", "public"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp `+mode+` {
		`+options(op)+`
		private /private/*
	}
	respond "user {http.auth.user.id}"
}
`)
			b := r.browser()
			p := b.open(popupPath + "&returnto=/private/x")
			check(t, p).status(http.StatusOK).shows(`data-error=""`, "You can close this window").header("Location", "").
				header("Cross-Origin-Opener-Policy", "").header("Cache-Control", "no-store")
			checkScript(t, r, p, "/@app/auth/popup.js")
			check(t, b.get("/private/x")).shows("user alice")
			check(t, b.get(p.url), "the same response again").status(http.StatusSeeOther).leadsTo("/private/x")

			op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
			p = r.browser().open(popupPath)
			check(t, p, "cancelled").status(http.StatusForbidden).shows(`data-error="access_denied"`, "You can close this window")
			checkScript(t, r, p, "/@app/auth/popup.js")
			op.Honest()

			late := r.browser()
			begun := late.open(popupPath, "/@app/auth/default/code")
			r.ahead(16 * time.Minute)
			p = late.get(begun.location())
			check(t, p, "too late").status(http.StatusForbidden).shows(`data-error="login_expired"`)
			r.ahead(0)

			check(t, r.browser().open(popupPath+"&max_age=never"), "a bad link").status(http.StatusForbidden).shows(`data-error="bad_request"`)
			op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Status = http.StatusBadRequest })
			check(t, r.browser().open(popupPath), "the token endpoint refuses").status(http.StatusForbidden).shows(`data-error="token_exchange_failed"`)
		})
	}
}

func TestAPopupWhoseProviderIsDownSaysSo(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Discovery).Status = http.StatusInternalServerError })
	r := newHarness(t, protectedBy(op))
	check(t, r.browser().open(popupPath)).status(http.StatusForbidden).shows(`data-error="provider_unavailable"`)
}

// Even with handle_errors, the popup posts errors to its opener.
func TestAPopupIsNotLeftToHandleErrors(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		error_pages caddy
	}
	handle_errors {
		respond "own page"
	}
}
`)
	check(t, r.browser().open(popupPath)).status(http.StatusForbidden).shows(`data-error="access_denied"`)
}

// Any other value of display is no popup, and the browser returns to the page.
func TestOnlyThePopupEndsInItsPage(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	for _, display := range []string{"page", "Popup", "popup2", ""} {
		check(t, r.browser().open("/@app/auth/default/login?returnto=/x&display="+display), display).at(rpURL + "/x")
	}
}

// A request cannot choose what the page says.
func TestThePopupSaysNothingThatARequestSays(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	begun := b.open(popupPath, "/@app/auth/default/code")
	state := regexp.MustCompile(`state=([^&]+)`).FindStringSubmatch(begun.location())[1]
	p := b.get("/@app/auth/default/code?state=" + state + "&error=" + escape(`"><img src=x onerror=alert(1)>`) + "&error_description=hostile&iss=" + escape(op.Issuer()))
	check(t, p).status(http.StatusForbidden).shows(`data-error="provider_error"`).hides("<img", "hostile")
}

// TestAPopupWhoseSignedResponseIsRefusedSaysSo uses the state of a response that is not
// verified. It only selects the popup's page.
func TestAPopupWhoseSignedResponseIsRefusedSaysSo(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"query.jwt", "form_post.jwt"} {
		for name, tc := range map[string]struct {
			options string
			later   time.Duration
			broken  bool // whether the signature is broken
			code    errorcode.Code
		}{
			"private, a bad signature": {broken: true, code: errorcode.BadRequest},
			"private, expired":         {later: 15 * time.Minute, code: errorcode.LoginExpired},
			"public, a bad signature":  {options: "public", broken: true, code: errorcode.BadRequest},
		} {
			t.Run(mode+", "+name, func(t *testing.T) {
				t.Parallel()
				clock := stop(t)
				op := newOP(t, oidctest.SignedResponses(), oidctest.Now(clock.now))
				r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp `+tc.options+` {
		`+options(op)+`
		response_mode `+mode+`
	}
}
`)
				r.at(clock.now)
				respond := func(start string) *visited {
					b := r.browser()
					if mode == "form_post.jwt" {
						login := beginPosted(t, b, start)
						if tc.broken {
							login.params.Set("response", breakSignature(login.params.Get("response")))
						}
						clock.advance(tc.later)
						return b.get(login.submit().location())
					}
					address := b.open(start, "/@app/auth/default/code").location()
					if tc.broken {
						address = breakSignature(address)
					}
					clock.advance(tc.later)
					return b.get(address)
				}
				check(t, respond(popupPath)).status(http.StatusForbidden).shows(`data-error="`+string(tc.code)+`"`, "You can close this window").header("Location", "")
				check(t, respond("/@app/auth/default/login"), "no popup").hides("data-error", "popup.js")
			})
		}
	}
}

// breakSignature changes the end of a JWT. The text is the JWT or ends with it.
func breakSignature(text string) string { return text[:len(text)-8] + "AAAAAAAA" }

// If the browser has lost the login, its state still shows that it began in a popup.
func TestAPopupWhoseLoginIsLostSaysSo(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"private", "public"} {
		op := newOP(t)
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp `+mode+` {
		`+options(op)+`
		private /private/*
	}
}
`)
		const code = "/@app/auth/default/code"
		popup, usual := r.browser().open(popupPath, code).location(), r.browser().open("/@app/auth/default/login", code).location()
		check(t, r.browser().get(popup), mode).status(http.StatusForbidden).shows(`data-error="login_expired"`).header("Location", "")
		busy := r.browser()
		busy.open("/@app/auth/default/login", code)
		check(t, busy.get(popup), mode+", another login").status(http.StatusForbidden).shows(`data-error="state_mismatch"`)
		check(t, r.browser().get(usual), mode+", no popup").hides("data-error", "popup.js")
		check(t, r.browser().get(strings.Replace(popup, "state=", "state=p", 1)), mode+", another state").hides("data-error", "popup.js")
	}
}

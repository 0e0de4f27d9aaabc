package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// responseCodes has the error codes of rows that are not bad_request.
var responseCodes = map[string]errorcode.Code{
	"F28 ensure-jarm-with-expired-exp-fails": errorcode.LoginExpired,
	"JARM the code of another state":         errorcode.StateMismatch,
	"JARM the user said no":                  errorcode.AccessDenied,
}

// TestEveryLieInASignedResponseIsRefused walks through a login for each row about signed
// responses: the eight ensure-jarm modules of the OpenID Foundation's suite, and more.
func TestEveryLieInASignedResponseIsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range oidctest.ResponseRows() {
		t.Run(row.String(), func(t *testing.T) {
			t.Parallel()
			clock := stop(t)
			op := newOP(t, append(row.Options, oidctest.Now(clock.now))...)
			r := newHarness(t, protectedBy(op, "response_mode query.jwt"))
			r.at(clock.now)
			op.Tell(row)
			w := r.witness(op, rpURL)
			p := w.walk("/page")
			if row.Want == oidctest.Accept {
				check(t, p).status(http.StatusOK).body("application sees alice")
			} else {
				code, known := responseCodes[row.String()]
				if !known {
					code = errorcode.BadRequest
				}
				check(t, p).refused(code)
				equal(t, "a session was set", w.opened, false)
				asked(t, op, oidctest.Token, 0)
				asked(t, op, oidctest.UserInfo, 0)
				equal(t, "requests to the application", r.upstream.count(), 0)
			}
			op.Honest()
			clock.advance(longestPause)
			check(t, w.walk(loginAtDoor), "an honest login afterwards").status(http.StatusOK).body("application sees alice")
			r.holdLogs(op, w)
		})
	}
}

// Posted responses are refused in the same way, before the callback redirects the browser.
func TestEveryLieInAPostedSignedResponseIsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range oidctest.ResponseRows() {
		posted := strings.HasPrefix(row.ID, "F") || strings.HasPrefix(row.Name, "plain") || row.Want == oidctest.Accept
		if !posted {
			continue
		}
		t.Run(row.String(), func(t *testing.T) {
			t.Parallel()
			op := newOP(t, row.Options...)
			r := newHarness(t, protectedBy(op, "response_mode form_post.jwt"))
			op.Tell(row)
			b := r.browser()
			login := beginPosted(t, b, "/page")
			p := login.submit()
			if row.Want == oidctest.Accept {
				check(t, p).status(http.StatusSeeOther).leadsWithout(op.Issued().Code, "response=")
				check(t, b.open(p.location())).body("application sees alice")
				return
			}
			code := errorcode.BadRequest
			if row.ID == "F28" {
				code = errorcode.LoginExpired
			}
			check(t, p).status(http.StatusSeeOther).leadsWithout(op.Issued().Code, "response=", "state=")
			check(t, b.open(p.location())).refused(code)
			asked(t, op, oidctest.Token, 0)
			// The login in progress survives the refusal: a valid response to it is still accepted.
			op.Honest()
			login.askAgain()
			check(t, b.open(login.submit().location()), "an honest response").body("application sees alice")
			r.holdLogs(op)
		})
	}
}

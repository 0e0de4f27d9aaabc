package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// strays are what a query or form may hold beside the parameters that count:
// all of it is data to the URL standard.
var strays = []string{"x=1;2", ";", "x;y", "x=%", "x=100%&y", "%zz=%4", "x=%u00fc", "x=a%00b", "x=\xc3\xbc", "&&"}

// Fault F6.
func TestParametersThatNobodyAskedForSpoilNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	posting := newHarness(t, protectedBy(op, formPostOptions))
	s := newLogoutScene(t)
	for _, stray := range strays {
		b := r.browser()
		answer := b.open("/page", rpURL+"/@app/auth/default/code").location()
		if p := b.open(answer + "&" + stray); p.body != "application sees alice" {
			t.Errorf("an answer with %q: status %d: %s", stray, p.StatusCode, p.body)
		}
		login := beginPosted(t, posting.browser(), "/page")
		login.action += "?" + stray
		if p := login.open(login.submit().location()); p.body != "application sees alice" {
			t.Errorf("an answer posted to an address with %q: status %d: %s", stray, p.StatusCode, p.body)
		}
		p := r.browser().post(initiatePath, stray+"&iss="+url.QueryEscape(op.Issuer()), fromPortal)
		if p.StatusCode != http.StatusFound {
			t.Errorf("a form that initiates, with %q: status %d", stray, p.StatusCode)
		}
		for _, path := range []string{"login?returnto=/page&", "initiate?iss=" + url.QueryEscape(op.Issuer()) + "&"} {
			if p := r.browser().get("/@app/auth/default/" + path + stray); p.StatusCode != http.StatusFound {
				t.Errorf("%s with %q: status %d", path, stray, p.StatusCode)
			}
		}
		if p := r.browser().get("/@app/auth/default/signedout?" + stray); p.StatusCode != http.StatusOK {
			t.Errorf("signedout with %q: status %d", stray, p.StatusCode)
		}
		alice, _, issued := s.signIn("alice")
		holdFrame(t, alice.send("GET", framePath(s.op, issued.SID)+"&"+stray, framed), http.StatusOK)
		if alice.lives(s.here) {
			t.Errorf("a frame with %q left the session", stray)
		}
		alice, _, issued = s.signIn("alice")
		token := s.op.LogoutToken("", issued.SID, oidctest.JWTLies{})
		check(t, s.here.browser().post("/@app/auth/default/backchannel-logout", stray+"&logout_token="+token, nil), fmt.Sprintf("a logout token beside %q", stray)).
			status(http.StatusOK)
		equal(t, fmt.Sprintf("a logout token beside %q: the session lives", stray), alice.lives(s.here), false)
	}
}

// Fault F6.
func TestAFormThatCarriesAnAnswerMayHoldAnything(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, formPostOptions))
	for _, stray := range strays {
		login := beginPosted(t, r.browser(), "/page")
		form := stray + "&" + login.params.Encode()
		p := login.post(login.action, form, map[string]string{"Origin": "https://op.test", "Sec-Fetch-Site": "cross-site"})
		if p = login.open(p.location()); p.body != "application sees alice" {
			t.Errorf("%q: status %d: %s", stray, p.StatusCode, p.body)
		}
	}
}

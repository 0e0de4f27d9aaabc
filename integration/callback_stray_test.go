package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// strays are what a query or form may contain besides the expected parameters. The URL standard
// accepts all of it.
var strays = []string{"x=1;2", ";", "x;y", "x=%", "x=100%&y", "%zz=%4", "x=%u00fc", "x=a%00b", "x=\xc3\xbc", "&&"}

// Unexpected parameters are ignored at every endpoint.
func TestUnexpectedParametersChangeNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	posting := newHarness(t, protectedBy(op, formPostOptions))
	s := newLogoutScene(t)
	for _, stray := range strays {
		b := r.browser()
		answer := b.open("/page", rpURL+"/@app/auth/default/code").location()
		check(t, b.open(answer+"&"+stray), fmt.Sprintf("an answer with %q", stray)).body("application sees alice")
		login := beginPosted(t, posting.browser(), "/page")
		login.action += "?" + stray
		check(t, login.open(login.submit().location()), fmt.Sprintf("an answer posted to an address with %q", stray)).
			body("application sees alice")
		p := r.browser().post(initiatePath, stray+"&iss="+url.QueryEscape(op.Issuer()), fromPortal)
		check(t, p, fmt.Sprintf("a form that initiates, with %q", stray)).status(http.StatusFound)
		for _, path := range []string{"login?returnto=/page&", "initiate?iss=" + url.QueryEscape(op.Issuer()) + "&"} {
			check(t, r.browser().get("/@app/auth/default/"+path+stray), fmt.Sprintf("%s with %q", path, stray)).status(http.StatusFound)
		}
		check(t, r.browser().get("/@app/auth/default/signedout?"+stray), fmt.Sprintf("signedout with %q", stray)).status(http.StatusOK)
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

// Unexpected parameters are also ignored in the form of a posted response.
func TestAFormThatCarriesAnAnswerMayHoldAnything(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, formPostOptions))
	for _, stray := range strays {
		login := beginPosted(t, r.browser(), "/page")
		form := stray + "&" + login.params.Encode()
		p := login.post(login.action, form, map[string]string{"Origin": "https://op.test", "Sec-Fetch-Site": "cross-site"})
		check(t, login.open(p.location()), fmt.Sprintf("%q", stray)).body("application sees alice")
	}
}

package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAnotherSiteMayBeginALogin(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	ask := func(target string) url.Values {
		return url.Values{"iss": {op.Issuer()}, "login_hint": {"alice@example.test"}, "target_link_uri": {target}, "scope": {"admin"}, "prompt": {"none"}, "redirect_uri": {"https://evil.test"}}
	}
	for _, row := range []struct{ target, ends string }{
		{rpURL + "/page?a=b", "/page?a=b"}, {"/page", "/page"}, {"", "/"},
		{"https://evil.test/page", "/"}, {"//evil.test", "/"}, {rpURL + "/Special:UserLogout", "/"},
	} {
		for _, method := range []string{"GET", "POST"} {
			b := r.browser()
			address, form := initiatePath+"?"+ask(row.target).Encode(), ""
			if method == "POST" {
				address, form = initiatePath, ask(row.target).Encode()
			}
			p := b.do(method, address, form, fromPortal)
			u, err := url.Parse(p.location())
			if err != nil {
				t.Fatal(err)
			}
			check(required{t}, p, method).status(http.StatusFound).leadsInto(op.Issuer())
			q := u.Query()
			equal(t, method+": login_hint", q.Get("login_hint"), "alice@example.test")
			equal(t, method+": scope", q.Get("scope"), "openid profile email")
			equal(t, method+": the presence of prompt", q.Has("prompt"), false)
			equal(t, method+": redirect_uri", q.Get("redirect_uri"), rpURL+"/@app/auth/default/code")
			p = b.open(p.location())
			check(t, p, fmt.Sprintf("%s to %q", method, row.target)).status(http.StatusOK)
			equal(t, fmt.Sprintf("%s to %q: the address", method, row.target), strings.TrimPrefix(p.url, rpURL), row.ends)
		}
	}
}

func TestALoginThatAnotherSiteBeganIsBoundToTheBrowser(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	attacker, victim := r.browser(), r.browser()
	p := attacker.open(initiatePath+"?iss="+url.QueryEscape(op.Issuer()), rpURL+"/@app/auth/default/code")
	check(t, victim.get(p.location())).status(http.StatusForbidden)
	equal(t, "the victim's session lives", victim.lives(r), false)
}

func TestAnInitiationThatIsNotUnderstoodBeginsNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	iss := url.QueryEscape(op.Issuer())
	private := newHarness(t, protectedBy(op))
	public := newHarness(t, `
oidc_rp public {
	`+options(op)+`
}
`)
	for _, query := range []string{"", "iss=", "iss=" + iss + "/", "iss=https://evil.test", "iss=" + iss + "&iss=" + iss, "iss=" + iss + "&login_hint=a&login_hint=b", "iss=%zz"} {
		check(t, private.browser().send("GET", initiatePath+"?"+query, fromPortal), fmt.Sprintf("%q", query)).status(http.StatusForbidden)
		check(t, public.browser().send("GET", initiatePath+"?"+query, fromPortal), fmt.Sprintf("%q", query)).
			status(http.StatusSeeOther).
			leadsTo("/?auth_error=bad_request")
		check(t, private.browser().post(initiatePath+"?iss="+iss, query+"&x=y", fromPortal), fmt.Sprintf("a form %q", query)).
			status(http.StatusForbidden)
	}
	plain := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		base_url http://rp.test
		session {
			cookie {
				insecure
			}
		}
	}
	reverse_proxy {upstream}
}
`)
	check(t, plain.browser().get("/@app/auth/default/login"), "the login itself").status(http.StatusFound)
	check(t, plain.browser().get(initiatePath+"?iss="+iss), "on plain HTTP").status(http.StatusForbidden)
}

package integration_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const initiatePath = "/@app/auth/default/initiate"

// fromPortal is what a browser says when a page of another site leads it here.
var fromPortal = map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://portal.test"}

func TestAnotherSiteMayBeginALogin(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
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
			if err != nil || p.StatusCode != http.StatusFound || !strings.HasPrefix(p.location(), op.Issuer()) {
				t.Fatalf("%s: status %d to %s", method, p.StatusCode, p.location())
			}
			if q := u.Query(); q.Get("login_hint") != "alice@example.test" || q.Get("scope") != "openid profile email" || q.Has("prompt") || q.Get("redirect_uri") != rpURL+"/@app/auth/default/code" {
				t.Errorf("%s: the provider is asked with %v", method, q)
			}
			p = b.open(p.location())
			if p.StatusCode != http.StatusOK || strings.TrimPrefix(p.url, rpURL) != row.ends {
				t.Errorf("%s to %q: ended with %d at %s", method, row.target, p.StatusCode, p.url)
			}
		}
	}
}

func TestALoginThatAnotherSiteBeganIsBoundToTheBrowser(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	attacker, victim := r.browser(), r.browser()
	p := attacker.open(initiatePath+"?iss="+url.QueryEscape(op.Issuer()), rpURL+"/@app/auth/default/code")
	if p := victim.get(p.location()); p.StatusCode != http.StatusForbidden || victim.lives(r) {
		t.Errorf("the answer to another browser's login gets %d", p.StatusCode)
	}
}

func TestAnInitiationThatIsNotUnderstoodBeginsNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	iss := url.QueryEscape(op.Issuer())
	private := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	public := newHarness(t, "oidc_rp public {\n"+options(op)+"}")
	for _, query := range []string{"", "iss=", "iss=" + iss + "/", "iss=https://evil.test", "iss=" + iss + "&iss=" + iss, "iss=" + iss + "&login_hint=a&login_hint=b", "iss=%zz"} {
		if p := private.browser().send("GET", initiatePath+"?"+query, fromPortal); p.StatusCode != http.StatusForbidden {
			t.Errorf("%q: status %d", query, p.StatusCode)
		}
		if p := public.browser().send("GET", initiatePath+"?"+query, fromPortal); p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != "/?auth_error=bad_request" {
			t.Errorf("%q: status %d to %s", query, p.StatusCode, p.Header.Get("Location"))
		}
		if p := private.browser().post(initiatePath+"?iss="+iss, query+"&x=y", fromPortal); p.StatusCode != http.StatusForbidden {
			t.Errorf("a form %q: status %d", query, p.StatusCode)
		}
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
	if p := plain.browser().get("/@app/auth/default/login"); p.StatusCode != http.StatusFound {
		t.Errorf("the login itself gets %d", p.StatusCode)
	}
	if p := plain.browser().get(initiatePath + "?iss=" + iss); p.StatusCode != http.StatusForbidden {
		t.Errorf("on plain HTTP: status %d", p.StatusCode)
	}
}

package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestHostileReturnAddressesLeadHome(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	return_to https://friend.test
}
`)
	for _, row := range []struct{ returnTo, want string }{
		{"/page?x=%20y", "/page?x=%20y"}, {"https://rp.test/page", "/page"}, {"https://friend.test/a?b", "https://friend.test/a?b"}, {"", "/"},
		{"//evil.test", "/"}, {`/\evil.test`, "/"}, {`/./\evil.test`, "/"}, {"https://evil.test/", "/"}, {"https://rp.test@evil.test/", "/"},
		{"https://rp.test.evil.test/", "/"}, {"javascript:alert(1)", "/"}, {"/\t/evil.test", "/"}, {"/\n/evil.test", "/"}, {"https:/evil.test", "/"},
		{"https:evil.test", "/"}, {"HTTPS://EVIL.TEST", "/"}, {"/x\r\nSet-Cookie: a=b", "/"}, {"\\\\evil.test", "/"}, {"//rp.test/x", "/"},
		{"https://friend.test.evil.test/", "/"}, {"https://friend.test:8443/", "/"}, {"http://friend.test/", "/"}, {"/Special:UserLogout", "/"},
		{"/@app/auth/default/login", "/"}, {"/a/../Special:UserLogout", "/"}, {"/%53pecial:UserLogout", "/"}, {"data:text/html,x", "/"}, {"page", "/"},
	} {
		b := r.browser()
		p := b.open("/@app/auth/default/login?returnto="+escape(row.returnTo), rpURL+"/@app/auth/default/code")
		p = b.get(p.location())
		check(t, p, row.returnTo).status(http.StatusSeeOther)
		list(t, fmt.Sprintf("returnto %q: the redirect", row.returnTo), p.Header["Location"], row.want)
	}
}

func TestADoubleSlashRequestDoesNotLeadElsewhere(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	p := b.open(rpURL+"//evil.test/x", rpURL+"/@app/auth/default/code")
	p = b.get(p.location())
	check(t, p).status(http.StatusSeeOther).leadsTo(rpURL + "//evil.test/x") // an absolute URL: as a path it would name another host
}

// A return address may contain semicolons and percent signs that encode nothing.
func TestASemicolonAndAStrayPercentArePartOfAReturnAddress(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	for _, target := range []string{"/a;b", "/a;b=c;d", "/a?x;y", "/a?100%", "/a?b=%zz"} {
		b := r.browser()
		p := b.open("/@app/auth/default/login?returnto=" + target)
		check(t, p, target).status(http.StatusOK)
		equal(t, target+": the address", strings.TrimPrefix(p.url, rpURL), target)
	}
}

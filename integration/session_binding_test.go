package integration_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A user whose nickname is the sub of another user is not that user at a site that reads
// user names from sub.
func TestANameIsOnlyTakenWhereItIsReadTheSameWay(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.SetUser("mallory", oidctest.User{Subject: "u-666", Claims: map[string]any{"nickname": "u-1001"}})
	op.SignIn("mallory")
	here, there := twoSites(t, op, "username_claim nickname", "username_claim sub")
	b := here.browser()
	check(required{t}, b.open("/")).body("application sees u-1001")
	moveTo(b, there)
	check(t, b.send(http.MethodGet, "/api", map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}), "the other site's session").
		status(http.StatusUnauthorized)
	if p := b.open("/"); p.body != "application sees u-666" {
		t.Errorf("after one login the page says %q, expected u-666", p.body)
	}
}

// A claim that one site maps from another claim does not count at a site without that
// mapping.
func TestAClaimIsOnlyTakenWhereItIsMadeTheSameWay(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	user := op.User("alice")
	user.Claims["role"], user.Claims["wish"] = "guest", "admin"
	op.SetUser("alice", user)
	here, there := twoSites(t, op, `
claims {
	role wish
}
`, "")
	b := here.browser()
	check(required{t}, b.open("/")).status(http.StatusOK)
	if header, _ := here.upstream.got(); header.Get("X-Role") != "admin" {
		t.Fatalf("here the role is %q", header.Get("X-Role"))
	}
	moveTo(b, there)
	check(required{t}, b.open("/")).status(http.StatusOK)
	if header, _ := there.upstream.got(); header.Get("X-Role") != "guest" {
		t.Errorf("there the role is %q, expected guest", header.Get("X-Role"))
	}
}

// After a reload that changes how user names are read, one login follows, and a login in
// progress continues.
func TestAReloadThatReadsNamesOtherwiseAsksAgain(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	here, there := twoSites(t, op, "", "username_claim sub")
	b := here.browser()
	b.open("/")
	moveTo(b, there)
	first := b.get("/page")
	check(required{t}, first).status(http.StatusFound).leadsInto(op.URL(oidctest.Authorize))
	check(t, b.open(first.location())).body("application sees u-1001")
	late := here.browser()
	begun := late.get("/page")
	moveTo(late, there)
	check(t, late.open(begun.location()), "a login that a reload overtook").body("application sees u-1001")
}

// Two sites that read user names differently and share a cookie cause no endless logins.
func TestContradictingSitesDoNotLoop(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	here, there := twoSites(t, op, "username_claim nickname sub", "username_claim sub")
	b := here.browser()
	b.open("/")
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusForbidden} {
		moveTo(b, []*harness{there, here, there}[i])
		check(t, b.open("/"), fmt.Sprintf("login %d within a minute", i+1)).status(want)
	}
	if p := b.open("/Special:UserLogout", "/endsession"); p.StatusCode >= 400 {
		t.Errorf("the logout gets status %d", p.StatusCode)
	}
	check(t, b.open("/"), "after a logout a login").status(http.StatusOK)
}

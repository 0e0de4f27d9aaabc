package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const loginPath = "/@app/auth/default/login?returnto=/private/page"

// unavailable expects that a private page is 503, for users and (with a session) for
// programs, without a redirect to a login and without a change of cookies.
func (s *cluster) unavailable(what string, b *browser, path string) {
	s.t.Helper()
	p := b.get(path)
	check(s.t, p, what).
		status(http.StatusServiceUnavailable).
		hasHeader("Retry-After").
		leadsTo("").
		setsCookies(0).
		shows("This site cannot check sign-ins at the moment").
		header("Cache-Control", "no-store")
	if b.cookies()["__Host-oidc_rp"] == "" {
		return // certainly unauthenticated
	}
	p = b.send(http.MethodGet, path, map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": "application/json"})
	var problem struct {
		Status int
		Detail string
	}
	if err := json.Unmarshal([]byte(p.body), &problem); err != nil {
		s.t.Fatal(err)
	}
	check(s.t, p, what).
		status(http.StatusServiceUnavailable).
		header("Content-Type", "application/problem+json").
		hasHeader("Retry-After").
		setsCookies(0)
	equal(s.t, what+": Status", problem.Status, p.StatusCode)
	contains(s.t, what+": Detail", problem.Detail, "at the moment")
}

const publicSite = `
upstream {
	header X-Sub sub
}
public /public/*
end_session off
`

// TestAStoreThatIsDownAtTheStart checks that private pages are closed and public ones
// open, that no login begins, and that the log does not grow with the requests.
//
// See docs/faults.md, row F28.
func TestAStoreThatIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 1, publicSite, "")
	known := s.signIn(s.nodes[0], "alice")
	s.records().fail(calling, errTestDown)
	r := s.another()
	moveTo(known, r)
	cookies := "__Host-oidc_rp=1" + strings.Repeat("A", 90)
	b := r.browser()
	for range 20 {
		s.unavailable("anonymous", b, "/private/page")
		s.unavailable("a session", known, "/private/page")
		check(t, b.get("/public/page"), "a public page").
			status(http.StatusOK).
			body("application sees ").
			setsCookies(0)
		p := b.get(loginPath)
		check(t, p, "the login").
			status(http.StatusForbidden).
			leadsTo("").
			setsCookies(0).
			shows("cannot check sign-ins at the moment")
		if got := s.use(r, cookies); got != http.StatusUnauthorized { // unauthenticated in any case
			t.Errorf("junk gets %d", got)
		}
	}
	if s.op.Hits(oidctest.Authorize) != 1 {
		t.Errorf("%d logins have begun", s.op.Hits(oidctest.Authorize)-1)
	}
	const line = `"code":"provider_unavailable"`
	lines := func() (count int) {
		for _, text := range strings.Split(r.logs(), "\n") {
			if strings.Contains(text, line) && !strings.Contains(text, `"level":"debug"`) {
				count++
			}
		}
		return count
	}
	equal(t, "the number of lines about the outage", lines(), 1)
	contains(t, "the log", r.logs(), errTestDown.Error())
	r.ahead(11 * time.Second)
	for range 5 {
		b.get("/private/page")
	}
	if lines() != 2 {
		t.Errorf("%d lines in the log after ten seconds", lines())
	}
	s.records().mend()
	r.ahead(0)
	for _, b := range []*browser{b, known} {
		if p := b.open("/private/page"); p.StatusCode != http.StatusOK {
			t.Errorf("when it is back: status %d", p.StatusCode)
		}
	}
	if s.op.Hits(oidctest.Authorize) != 2 {
		t.Errorf("%d logins when it is back", s.op.Hits(oidctest.Authorize)-1)
	}
}

// TestAStoreThatFailsWhileThereAreSessions checks that no user is let in without the
// store, not even one with a cached session, that browsers keep their cookies, and that
// the first request after the outage is served.
func TestAStoreThatFailsWhileThereAreSessions(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		methods []string
	}{{"it is down", calling}, {"it cannot be read", reading}, {"its copies cannot be read", []string{"load"}}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newCluster(t, backendNamed(testKind), 2, publicSite, "")
			b := s.signIn(s.nodes[0], "alice")
			cookies := b.cookieHeader()
			s.holds("before", cookies)
			s.records().fail(row.methods, errTestDown)
			for i, r := range s.nodes {
				moveTo(b, r)
				served := r.upstream.count()
				for range 5 {
					s.unavailable("a session", b, "/private/page")
				}
				if r.upstream.count() != served {
					t.Error("the application was asked")
				}
				check(t, b.get("/public/page"), fmt.Sprintf("a public page at node %d", i)).status(http.StatusOK).setsCookies(0)
				if header, _ := r.upstream.got(); header.Get("X-Sub") != "" {
					t.Error("a public page knows the user")
				}
			}
			if s.op.Hits(oidctest.Authorize) != 1 {
				t.Errorf("%d logins have begun", s.op.Hits(oidctest.Authorize))
			}
			differs(t, "the cookies", b.cookieHeader(), "")
			differs(t, "the session's cookie", b.cookies()["__Host-oidc_rp"], "")
			s.records().mend()
			for _, r := range s.nodes {
				moveTo(b, r)
				check(t, b.get("/private/page"), "the first request when it is back").status(http.StatusOK).setsCookies(0)
			}
		})
	}
}

// TestAStoreThatAnswersNonsenseIsNoLeave checks that a response with the wrong number of
// records counts as a failure.
func TestAStoreThatAnswersNonsenseIsNoLeave(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 1, publicSite, "")
	b := s.signIn(s.nodes[0], "alice")
	for _, count := range []int{0, 1, 9} {
		s.records().miscount(count)
		s.unavailable("with another number of records", b, "/private/page")
	}
	s.records().mend()
	s.holds("with as many", b.cookieHeader())
}

// TestAStoreThatHangsDelaysRequestsLittle tests the circuit breaker in front of a store.
//
// See docs/faults.md, row F31.
func TestAStoreThatHangsDelaysRequestsLittle(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 0, publicSite, "")
	s.store += " 1s"
	r := s.another()
	b := s.signIn(r, "alice")
	s.records().hang(calling)
	before, began := s.records().calls("load"), time.Now()
	for range 10 {
		s.unavailable("while it hangs", b, "/private/page")
		check(t, b.get("/public/page"), "a public page").status(http.StatusOK)
	}
	// Three requests wait for the store, and later ones one at a time.
	took := time.Since(began)
	if asked := s.records().calls("load") - before; asked > 5+int(took/(250*time.Millisecond)) {
		t.Errorf("the store was asked %d times in %s", asked, took)
	}
	s.records().mend()
	status := 0
	for end := time.Now().Add(patience); status != http.StatusOK && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		status = b.get("/private/page").StatusCode
	}
	if status != http.StatusOK {
		t.Errorf("status %d after it is back", status)
	}
}

// TestAStoreThatIsFull checks that no new sessions begin, and that existing ones continue.
func TestAStoreThatIsFull(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 1, publicSite, "idle_timeout 30m")
	r := s.nodes[0]
	b := s.signIn(r, "alice")
	s.records().fail(writing, errTestFull)
	logins := s.op.Hits(oidctest.Authorize)
	fresh := r.browser()
	p := fresh.open("/private/page")
	check(t, p).status(http.StatusForbidden).shows("This site cannot check sign-ins at the moment")
	equal(t, "the number of requests to Authorize", s.op.Hits(oidctest.Authorize), logins+1)
	if fresh.cookies()["__Host-oidc_rp"] != "" {
		t.Error("a ticket for a session that is not kept")
	}
	s.at(20 * time.Minute)
	for range 3 {
		check(t, b.get("/private/page")).status(http.StatusOK).setsCookies(0)
	}
	s.records().mend()
	check(t, b.get("/private/page")).status(http.StatusOK)
	s.at(45 * time.Minute) // the use was saved when there was room again
	check(t, b.get("/private/page")).status(http.StatusOK)
	if p := fresh.open("/private/page"); p.StatusCode != http.StatusOK {
		t.Errorf("a sign-in ends with %d when there is room again", p.StatusCode)
	}
}

// TestALogoutWhileTheStoreIsDown checks that the cookie is cleared and the user sees
// logout_failed. The record still exists, and a copy of the ticket opens it when the store
// is back.
func TestALogoutWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		methods []string
	}{{"it is down", calling}, {"it cannot be written", []string{"save", "replace", "delete", "lock"}}, {"nothing can be removed", []string{"delete"}}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newCluster(t, backendNamed(testKind), 1, publicSite, "")
			r := s.nodes[0]
			b := s.signIn(r, "alice")
			copied := b.cookieHeader()
			s.records().fail(row.methods, errTestDown)
			p := b.get("/Special:UserLogout")
			check(t, p).status(http.StatusSeeOther).leadsTo("/?auth_error=logout_failed")
			if left := b.cookies(); len(left) != 0 {
				t.Errorf("%d cookies are left", len(left))
			}
			if !strings.Contains(r.logs(), `"code":"logout_failed"`) {
				t.Error("the log does not say so")
			}
			s.records().mend()
			s.holds("a copied ticket of a logout that was not kept", copied)
			moveTo(b, r)
			check(t, b.get("/private/page"), "the browser that signed out").status(http.StatusFound)
		})
	}
}

// TestABackchannelLogoutThatCannotBeKeptComesAgain checks that the provider gets 400, and
// that its next attempt is accepted.
func TestABackchannelLogoutThatCannotBeKeptComesAgain(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 2, publicSite, "")
	cookies := s.signIn(s.nodes[0], "alice").cookieHeader()
	token := s.op.LogoutToken("", s.op.Issued().SID, oidctest.JWTLies{})
	s.records().fail(calling, errTestDown)
	check(t, s.nodes[0].tell(token), "while the store is down").status(http.StatusBadRequest)
	s.records().mend()
	s.holds("before the provider repeats it", cookies)
	check(t, s.nodes[0].tell(token), "when it comes again").status(http.StatusOK)
	s.over("after the provider repeats it", cookies)
}

// TestAStoreThatLosesEverything checks that each user has to log in once.
//
// See docs/faults.md, row F29.
func TestAStoreThatLosesEverything(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 2, publicSite, "")
	var users []*browser
	for range 3 {
		b := s.signIn(s.nodes[0], "alice")
		s.holds("before", b.cookieHeader())
		users = append(users, b)
	}
	s.records().flush()
	for i, b := range users {
		copied := b.cookieHeader()
		s.over("remembered or not", copied)
		check(t, b.get("/public/page"), "a public page").status(http.StatusOK)
		logins := s.op.Hits(oidctest.Authorize)
		for _, r := range s.nodes {
			moveTo(b, r)
			for range 2 {
				check(t, b.open("/private/page"), fmt.Sprintf("user %d", i)).status(http.StatusOK)
			}
		}
		equal(t, fmt.Sprintf("user %d: the number of logins", i), s.op.Hits(oidctest.Authorize)-logins, 1)
		s.over("the lost session, after the new login", copied)
	}
}

// TestALostLogoutResurrectsNothing deletes the records of logouts. Sessions whose own record
// was removed stay ended, and one that only the record of a logout had ended lives no
// longer than its lifetime.
func TestALostLogoutResurrectsNothing(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 1, publicSite, "lifetime 1h")
	r := s.nodes[0]
	b := s.signIn(r, "alice")
	out := b.cookieHeader()
	b.open("/Special:UserLogout")
	ended := s.signIn(r, "alice").cookieHeader()
	r.tell(s.op.LogoutToken("", s.op.Issued().SID, oidctest.JWTLies{}))
	s.over("after the logout at the provider", ended)
	for key := range s.records().content() {
		if !strings.HasPrefix(key, sessionFolder) {
			if err := s.records().Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.over("a session that was signed out", out)
	s.at(61 * time.Minute)
	s.over("at the end of its lifetime", ended)
}

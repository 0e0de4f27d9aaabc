package integration_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestAFrameEndsTheSessionThatItNamesWithoutACookie(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	bob, _, _ := s.signIn("bob")
	b, there, issued := s.signIn("alice")
	holdFrame(t, s.there.browser().send("GET", framePath(s.op, issued.SID), framed), http.StatusOK)
	if there.lives(s.there) {
		t.Error("the session lives where the frame was loaded")
	}
	soon(t, "the other node knows", func() bool { return !b.lives(s.here) })
	if !bob.lives(s.here) {
		t.Error("another user was signed out")
	}
	if again, _, _ := s.signIn("alice"); !again.lives(s.here) {
		t.Error("a later sign-in was touched")
	}
}

func TestAFrameWithACookieEndsAndClearsThatSession(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	for _, path := range []string{"", "sid"} {
		b, _, issued := s.signIn("alice")
		cookies := b.cookieHeader()
		path := map[string]string{"": "/@app/auth/default/frontchannel-logout", "sid": framePath(s.op, issued.SID)}[path]
		holdFrame(t, b.send("GET", path, framed), http.StatusOK)
		if left := b.cookies(); len(left) != 0 {
			t.Errorf("%s: cookies are left: %v", path, left)
		}
		check(t, s.here.rawGet("/x", "Cookie: "+cookies), path+": a copied cookie").status(http.StatusUnauthorized)
	}
	// If the frame names another session of the provider, this session's cookie is not
	// touched.
	b, _, _ := s.signIn("alice")
	holdFrame(t, b.send("GET", framePath(s.op, "another"), framed), http.StatusOK)
	equal(t, "the session lives here", b.lives(s.here), true)
	atLeast(t, "the number of cookies", len(b.cookies()), 1)
}

func TestAFrameThatIsNotUnderstoodEndsNothing(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	b, _, issued := s.signIn("alice")
	iss, sid := url.QueryEscape(s.op.Issuer()), url.QueryEscape(issued.SID)
	for _, query := range []string{
		"iss=" + iss, "sid=" + sid, "iss=" + iss + "&sid=", "iss=&sid=" + sid, "iss=" + iss + "x&sid=" + sid,
		"iss=" + iss + "&sid=" + sid + "&sid=" + sid, "iss=" + iss + "&iss=" + iss + "&sid=" + sid, "iss=" + iss + "&sid=" + strings.Repeat("x", 257), "sid=%zz",
	} {
		holdFrame(t, b.send("GET", "/@app/auth/default/frontchannel-logout?"+query, framed), http.StatusBadRequest)
	}
	for name, header := range map[string]map[string]string{
		"a link on another site":   {"Sec-Fetch-Site": "cross-site"},
		"a link in a comment":      {"Sec-Fetch-Site": "same-origin"},
		"an image in a comment":    {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
		"a frame, in advance":      {"Sec-Fetch-Dest": "iframe", "Sec-Purpose": "prefetch"},
		"a script on our own site": {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
	} {
		b.send("GET", "/@app/auth/default/frontchannel-logout", header)
		if !b.lives(s.here) {
			t.Fatalf("%s signed the user out", name)
		}
	}
	if p := b.send("GET", "/@app/auth/default/frontchannel-logout", map[string]string{"Sec-Fetch-Site": "cross-site"}); !strings.Contains(p.body, `name="confirmation"`) {
		t.Errorf("a link on another site is answered with %d: %s", p.StatusCode, p.body)
	}
	check(t, b.send("POST", framePath(s.op, issued.SID), framed), "POST").status(http.StatusMethodNotAllowed)
	equal(t, "POST: the session lives here", b.lives(s.here), true)
}

// TestWhatStrangersCanHaveWrittenIsBounded checks the rate limit for frames without a
// session cookie, since each one can store a record for the lifetime of a session, in the
// storage and in the memory of all nodes.
func TestWhatStrangersCanHaveWrittenIsBounded(t *testing.T) {
	t.Parallel()
	stop(t)
	const framesOfOneClient = 60 // in a minute
	s := newLogoutScene(t)
	b, _, issued := s.signIn("alice")
	refused := 0
	for i := range 2 * framesOfOneClient {
		if p := s.here.browser().send("GET", framePath(s.op, fmt.Sprint("guess-", i)), framed); p.StatusCode == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != framesOfOneClient {
		t.Errorf("%d of %d were refused", refused, 2*framesOfOneClient)
	}
	// The browser with the session cookie is not limited.
	holdFrame(t, b.send("GET", framePath(s.op, issued.SID), framed), http.StatusOK)
	if len(b.cookies()) != 0 {
		t.Error("the session was not ended")
	}
	// 200 would say that the session has ended, but a new one may have begun since, so the
	// frame is refused.
	holdFrame(t, s.here.browser().send("GET", framePath(s.op, "guess-0"), framed), http.StatusTooManyRequests)
}

// Junk from a few addresses leaves room for frames that end real sessions: those that this
// node has opened, from any address, and those that only another node knows, from another
// network.
func TestJunkInFramesDoesNotKeepHonestOnesOut(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		base_url ` + rpURL + `
	}
	reverse_proxy {upstream}
}
`
	trusts := `
servers {
	trusted_proxies static 127.0.0.1/32
}
`
	s := &logoutScene{t, op, newHarnessAt(t, storage, site, trusts), newHarnessAt(t, storage+"/.", site, trusts)}
	from := func(address string) map[string]string {
		header := maps.Clone(framed)
		header["X-Forwarded-For"] = address
		return header
	}
	junk := func(r *harness) (refused int) {
		for i := range 400 {
			p := r.browser().send("GET", framePath(op, fmt.Sprint("junk-", i)), from(fmt.Sprintf("203.0.113.%d", 1+i%5)))
			if p.StatusCode == http.StatusTooManyRequests {
				refused++
			}
		}
		return refused
	}
	var people []*browser
	var issued []oidctest.Issued
	for range 3 {
		b, _, i := s.signIn("alice")
		people, issued = append(people, b), append(issued, i)
	}
	// The other node knows the third session, because it has served it. This one knows the
	// others.
	other := people[2].twin(s.there)
	if other.get("/"); !other.lives(s.there) {
		t.Fatal("the session does not open on the other node")
	}
	// Stop the clocks, so that all requests fall into one window of the limiter even on a slow
	// machine.
	clock := stop(t)
	s.here.at(clock.now)
	s.there.at(clock.now)
	for _, r := range []*harness{s.here, s.there} {
		if refused := junk(r); refused < 100 {
			t.Errorf("only %d of 400 were refused", refused)
		}
	}
	holdFrame(t, s.here.browser().send("GET", framePath(op, issued[0].SID), from("203.0.113.1")), http.StatusOK)
	holdFrame(t, s.there.browser().send("GET", framePath(op, issued[1].SID), from("198.51.100.7")), http.StatusOK)
	holdFrame(t, s.there.browser().send("GET", framePath(op, issued[2].SID), from("203.0.113.2")), http.StatusOK)
	s.here.at(time.Now)
	s.there.at(time.Now)
	for i, b := range people {
		soon(t, fmt.Sprintf("session %d is over on both nodes", i), func() bool { return !b.lives(s.here) && !b.lives(s.there) })
	}
}

// The same frame ends the user's session again after a new sign-in with the same sid.
func TestTheSameFrameAgainEndsALaterSession(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	s.op.Lie(func(l *oidctest.Faults) { l.IDToken.Claims = func(c map[string]any) { c["sid"] = "same" } })
	for range 3 {
		b, there, _ := s.signIn("alice")
		if !b.lives(s.here) {
			t.Fatal("the session does not live")
		}
		holdFrame(t, s.there.browser().send("GET", framePath(s.op, "same"), framed), http.StatusOK)
		if there.lives(s.there) {
			t.Error("the session lives where the frame was loaded")
		}
		soon(t, "the other node knows", func() bool { return !b.lives(s.here) })
	}
}

func TestAFrameWhileTheStorageFails(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	b, _, issued := s.signIn("alice")
	breakStorage(t, s.here)
	p := b.send("GET", framePath(s.op, issued.SID), framed)
	mendStorage(t, s.here)
	if holdFrame(t, p, http.StatusServiceUnavailable); len(b.cookies()) != 0 {
		t.Errorf("cookies are left: %v", b.cookies())
	}
}

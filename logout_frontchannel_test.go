package oidcrp

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optest"
)

// framed is what a browser says when it loads a frame of another site's page.
var framed = map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}

func framePath(op *optest.Provider, sid string) string {
	return "/@app/auth/default/frontchannel-logout?" + url.Values{"iss": {op.Issuer()}, "sid": {sid}}.Encode()
}

func holdFrame(t *testing.T, p *visited, status int) {
	t.Helper()
	if p.StatusCode != status || p.Header.Get("Cache-Control") != "no-store" || p.Header.Get("X-Frame-Options") != "" ||
		!strings.Contains(p.Header.Get("Content-Security-Policy"), "frame-ancestors *") || !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
		t.Errorf("status %d, want %d, %v", p.StatusCode, status, p.Header)
	}
}

func TestAFrameEndsTheSessionThatItNamesWithoutACookie(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	bob, _, _ := s.signIn("bob")
	b, there, issued := s.signIn("alice")
	holdFrame(t, s.there.browser().send("GET", framePath(s.op, issued.SID), framed), http.StatusOK)
	if there.lives(s.there) {
		t.Error("the session lives where the frame was loaded")
	}
	s.soon("the other node knows", func() bool { return !b.lives(s.here) })
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
		if p := s.here.raw("GET /x HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nCookie: " + cookies + "\r\n\r\n"); p.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: a copied cookie gets %d", path, p.StatusCode)
		}
	}
	// The cookie of another session of the provider's is left alone.
	b, _, _ := s.signIn("alice")
	holdFrame(t, b.send("GET", framePath(s.op, "another"), framed), http.StatusOK)
	if !b.lives(s.here) || len(b.cookies()) == 0 {
		t.Error("a session was ended that the frame did not name")
	}
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
	if p := b.send("POST", framePath(s.op, issued.SID), framed); p.StatusCode != http.StatusMethodNotAllowed || !b.lives(s.here) {
		t.Errorf("POST: status %d", p.StatusCode)
	}
	b.lives(s.here)
}

// TestWhatStrangersCanHaveWrittenIsBounded: each fact lives as long as a
// session, in the storage and in the memory of all nodes.
func TestWhatStrangersCanHaveWrittenIsBounded(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	b, _, issued := s.signIn("alice")
	refused := 0
	for i := range 2 * maxFramesOfOne {
		if p := s.here.browser().send("GET", framePath(s.op, fmt.Sprint("guess-", i)), framed); p.StatusCode == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != maxFramesOfOne {
		t.Errorf("%d of %d were refused", refused, 2*maxFramesOfOne)
	}
	// Who has the session's cookie is no stranger.
	holdFrame(t, b.send("GET", framePath(s.op, issued.SID), framed), http.StatusOK)
	if len(b.cookies()) != 0 {
		t.Error("the session was not ended")
	}
	// What is written already is no news, and an answer all the same.
	holdFrame(t, s.here.browser().send("GET", framePath(s.op, "guess-0"), framed), http.StatusOK)

	var f frames
	now, written := time.Now(), 0
	for i := range 10_000 {
		if f.allow(fmt.Sprint(i), fmt.Sprint(i), false, now) {
			written++
		}
	}
	if written != maxFrames || len(f.named) != maxFrames || len(f.of) != maxFrames {
		t.Errorf("%d were written, %d and %d are remembered", written, len(f.named), len(f.of))
	}
	if f.allow("x", "0", true, now) || !f.allow("x", "x", true, now) || !f.allow("x", "0", false, now.Add(frameWindow)) {
		t.Error("one session is written once within a minute")
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

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

const frontchannelPath = "/@app/auth/default/frontchannel-logout"

// frontchannelSaw is what browser/frontchannel.mjs reports.
type frontchannelSaw struct {
	Steps []frontchannelStep
	// The answers of the front-channel logout endpoint in the frame.
	Frames []struct {
		URL, Dest, From string
		Status          int
		Cookies         []string
	}
	Refusals []string
	Error    string
}

// A frontchannelStep is a page, with the statuses that the browser and a thief of its
// cookie get.
type frontchannelStep struct {
	Name, URL, Text   string
	Form, User, Thief int
	Cookies           []string
}

// Only a real browser shows whether it loads the site's answer in another site's frame,
// and which cookies it sends. oidc-provider has no front-channel logout, so the test
// serves the page with the frame itself.
func TestChromiumSignsOutInAFrame(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		host     string // of the page with the frame
		tls, sid bool
	}{
		"over tls":                    {host: "localhost", tls: true, sid: true},
		"on loopback":                 {host: "localhost", sid: true},
		"of the same site, by cookie": {host: "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, oidcProvider, site{tls: row.tls, client: "rp-bcl"})
			elsewhere := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				frame := w.base + frontchannelPath
				if row.sid {
					frame += "?" + url.Values{"iss": {w.op.issuer}, "sid": {w.op.idTokenClaim(t, "sid")}}.Encode()
				}
				rw.Header().Set("Content-Type", "text/html")
				fmt.Fprintf(rw, `<!doctype html><title>Signing out</title><iframe src="%s"></iframe>`, html.EscapeString(frame))
			}))
			t.Cleanup(elsewhere.Close)
			saw := w.leaveInAFrame(strings.Replace(elsewhere.URL, "127.0.0.1", row.host, 1), row.tls)
			w.checkFrame(saw, row.sid)
			for _, s := range saw.Steps {
				switch s.Name {
				case "left":
					s.check(t, 401, 401)
					if !row.sid && slices.Contains(s.Cookies, "oidc_rp") {
						t.Error("a frame with the cookie has not cleared it")
					}
				case "again": // the provider still has a session, so it needs no password
					if !s.isAlices() {
						t.Errorf("the next visit: expected alice's page, seen %+v", s)
					}
					s.check(t, 200, 401)
				}
			}
			if got := w.op.hits(t, "/token"); got != 2 {
				t.Errorf("%d logins, wanted another after the logout", got)
			}
		})
	}
}

// This is the same with a provider that loads the frame in its own page.
func TestAFrontchannelLogoutOfTheProvidersEndsTheSession(t *testing.T) {
	eachOf(t, asked(hydra), func(t *testing.T, _ string) {
		w := start(t, hydra, site{client: "rp-fcl"})
		saw := w.leaveInAFrame(w.op.issuer+habits[hydra].leave, false)
		w.checkFrame(saw, true)
		for _, s := range saw.Steps {
			if s.Name != "back" {
				s.check(t, 401, 401)
			}
			if s.Name == "again" {
				if s.Form != 1 {
					t.Errorf("expected a login form, seen %+v", s)
				}
				if !strings.HasPrefix(s.URL, w.op.issuer) {
					t.Errorf("expected a page of the provider, seen %s", s.URL)
				}
			}
		}
	})
}

// LemonLDAP::NG sends the username as sid and has no sid in its ID tokens. Its frame is
// accepted but identifies no session. Only a frame without iss and sid, from a page of
// the same site, ends one; see TestChromiumSignsOutInAFrame.
func TestAFrontchannelLogoutThatNamesNoSessionEndsNone(t *testing.T) {
	eachOf(t, asked(lemonldap), func(t *testing.T, _ string) {
		recordsAs(t, lemonldap, "TestAFrontchannelLogoutOfTheProvidersEndsTheSession")
		w := start(t, lemonldap, site{client: "rp-fcl"})
		saw := w.leaveInAFrame(w.op.issuer+habits[lemonldap].leave, false)
		w.checkFrame(saw, true)
		if sid := w.op.idTokenClaim(t, "sid"); sid != "" {
			t.Errorf("the ID token has the sid %q: the provider has learnt it", sid)
		}
		for _, frame := range saw.Frames {
			if sid := mustParse(frame.URL).Query().Get("sid"); sid != "alice" {
				t.Errorf("the frame names the sid %q", sid)
			}
		}
		for _, s := range saw.Steps {
			s.check(t, 200, 200)
		}
		notOffered(t)
	})
}

// Hydra's logout tokens have no exp and no sub, and their typ is that of any JWT.
func TestABackchannelLogoutOfAnotherProvidersEndsTheSession(t *testing.T) {
	eachOf(t, asked(hydra), func(t *testing.T, _ string) {
		s := site{client: "rp-bcl"}
		w := start(t, hydra, s)
		peer := w.peer(s)
		b, other := w.newBrowser(), w.newBrowser()
		b.signIn("/private", "alice").isFor("alice", "/private")
		other.signIn("/private", "alice").isFor("alice", "/private")
		here, there := w.newBrowser(), peer.newBrowser()
		for _, copied := range []*browser{here, there} {
			copied.copyCookies(b)
			copied.script("/x").isFor("alice", "/x")
		}
		b.open(w.op.issuer + habits[hydra].leave)
		for _, copied := range []*browser{here, there} {
			eventually(t, factDelay, "a copied cookie is dead", func() bool { return copied.script("/x").status == 401 })
		}
		other.script("/x").isFor("alice", "/x")
		b.open("/again").asks(w)
	})
}

// asked returns those of the kinds that E2E_IDPS names.
func asked(kinds ...string) []string {
	return slices.DeleteFunc(kinds, func(kind string) bool { return !slices.Contains(alsoAsked(), kind) })
}

// leaveInAFrame signs in at the site in Chromium, opens a page that loads the
// front-channel logout frame, and comes back.
func (w *world) leaveInAFrame(leave string, tls bool) (saw frontchannelSaw) {
	t := w.t
	t.Helper()
	needFile(t, "/usr/bin/chromium")
	needFile(t, "browser/node_modules/playwright-core/package.json")
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	session := "oidc_rp"
	if tls {
		session = "__Host-oidc_rp"
	}
	order, _ := json.Marshal(map[string]string{
		"site": w.base, "page": "/docs/page", "leave": leave, "frame": frontchannelPath, "session": session, "password": "alice" + habits[w.op.kind].password,
	})
	script := spawn(t, "chromium frontchannel", nil, node, "browser/frontchannel.mjs", string(order))
	awaitSteps(w.t, script, 2*time.Minute, &saw)
	if saw.Error != "" {
		t.Fatalf("the journey ended early: %s %q\n%s", saw.Error, saw.Refusals, script.log.tail(10))
	}
	if len(saw.Steps) != 3 {
		t.Fatalf("expected three steps, seen %d %q\n%s", len(saw.Steps), saw.Refusals, script.log.tail(10))
	}
	first := saw.Steps[0]
	if !first.isAlices() {
		t.Errorf("expected alice's page at first, seen %+v", first)
	}
	first.check(t, 200, 200)
	return saw
}

// check checks the statuses for the browser and for a copied cookie.
func (s frontchannelStep) check(t testing.TB, user, thief int) {
	t.Helper()
	if s.User != user {
		t.Errorf("%s: expected status %d for the browser, seen %d", s.Name, user, s.User)
	}
	if s.Thief != thief {
		t.Errorf("%s: expected status %d for a copied cookie, seen %d", s.Name, thief, s.Thief)
	}
}

func (s frontchannelStep) isAlices() bool {
	var application seen
	return json.Unmarshal([]byte(s.Text), &application) == nil && application.Headers.Get("X-User") == "alice"
}

// checkFrame checks that the site answered in the frame. A frame on another site sends no
// cookies.
func (w *world) checkFrame(saw frontchannelSaw, crossSite bool) {
	w.t.Helper()
	for _, refusal := range saw.Refusals {
		w.t.Errorf("the browser refused: %s", refusal)
	}
	if len(saw.Frames) != 1 {
		w.t.Fatalf("%d answers in a frame: %+v", len(saw.Frames), saw.Frames)
	}
	frame, from := saw.Frames[0], "same-site"
	if crossSite {
		from = "cross-site"
	}
	if frame.Status != 200 {
		w.t.Errorf("the frame: expected status 200, seen %d", frame.Status)
	}
	if frame.Dest != "iframe" {
		w.t.Errorf("the frame: expected the destination iframe, seen %q", frame.Dest)
	}
	if frame.From != from {
		w.t.Errorf("the frame: expected it to be %s, seen %s", from, frame.From)
	}
	if without := len(frame.Cookies) == 0; without != crossSite {
		w.t.Errorf("the frame: expected no cookies %t, seen %q", crossSite, frame.Cookies)
	}
	w.caddy.awaitLine("the access log has the frame", func(line string) bool {
		var entry struct {
			Logger  string
			Status  int
			Request struct{ URI string }
		}
		return json.Unmarshal([]byte(line), &entry) == nil && strings.HasPrefix(entry.Logger, "http.log.access") &&
			strings.HasPrefix(entry.Request.URI, frontchannelPath) && entry.Status == 200
	})
}

// idTokenClaim returns a claim of the last issued ID token as text.
func (p *provider) idTokenClaim(t testing.TB, name string) string {
	t.Helper()
	for _, issued := range slices.Backward(p.handedOut(t)) {
		if parts := strings.Split(issued.Value, "."); issued.Name == "id_token" && len(parts) == 3 {
			var claims object
			text, err := base64.RawURLEncoding.DecodeString(parts[1])
			if err != nil {
				t.Errorf("the claims of the ID token are not base64url: %v", err)
			}
			if err := json.Unmarshal(text, &claims); err != nil {
				t.Errorf("the claims of the ID token are not JSON: %v", err)
			}
			value, _ := claims[name].(string)
			return value
		}
	}
	t.Error("no ID token was handed out")
	return ""
}

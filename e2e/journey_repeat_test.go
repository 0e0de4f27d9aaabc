package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// answered is a node's response to a callback request.
type answered struct {
	status            int
	location, cookies string
	node              string
}

// bring sends a callback request to one node, with copies of the cookies that the browser
// had before.
func (c *cluster) bring(n *clusterNode, callback, cookies string) answered {
	c.t.Helper()
	to := mustParse(callback)
	r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", n.port, to.RequestURI()), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Host = to.Host
	r.Header.Set("X-Forwarded-Proto", to.Scheme)
	r.Header.Set("X-Forwarded-Host", to.Host)
	r.Header.Set("Cookie", cookies)
	r.Header.Set("Accept", "text/html")
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		c.t.Errorf("%s does not answer: %v", n.name, err)
		return answered{}
	}
	defer answer.Body.Close()
	var pairs []string
	for _, set := range answer.Cookies() {
		if set.MaxAge > 0 && !strings.HasSuffix(set.Name, "_hint") {
			pairs = append(pairs, set.Name+"="+set.Value)
		}
	}
	return answered{status: answer.StatusCode, location: answer.Header.Get("Location"), cookies: strings.Join(pairs, "; "), node: n.name}
}

// The same callback request reaches all nodes at once, and then each node again. Every
// response has a session, but only one sign-in happens.
func TestAnAnswerThatComesToAllNodesSignsInOnce(t *testing.T) {
	eachKindOf(t, withStorage(), func(t *testing.T, kind clusterKind) {
		c := startCluster(t, kind, site{})
		b := c.newBrowser()
		form := b.open("/wanted?x=1").asks(c.world)
		callback := c.hold(b, func() *page { return form.signIn("alice") })
		cookies := b.cookieHeader()
		answers := make([]answered, 9)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = c.bring(c.nodes[i%len(c.nodes)], callback, cookies) })
		}
		all.Wait()
		for _, n := range c.nodes {
			answers = append(answers, c.bring(n, callback, cookies))
		}
		for i, a := range answers {
			for what, got := range map[string][2]any{
				"status":   {a.status, http.StatusSeeOther},
				"location": {a.location, "/wanted?x=1"},
			} {
				if got[0] != got[1] {
					t.Errorf("answer %d, at %s: expected the %s %v, seen %v", i, a.node, what, got[1], got[0])
				}
			}
			if a.cookies == "" {
				t.Errorf("answer %d, at %s: expected a session, seen none", i, a.node)
				continue
			}
			c.liveEverywhere("alice", a.cookies)
		}
		signedIn := 0
		for _, n := range c.nodes {
			signedIn += n.count(`"signed in"`)
		}
		if signedIn != 1 {
			t.Errorf("%d sign-ins are in the logs", signedIn)
		}
	})
}

// A browser drops the session cookie. The third page load shows an error instead of
// another login.
func TestABrowserThatDropsTheSessionGetsAnError(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{}) // it asks for the password at every login
	b := w.newBrowser()
	for range 2 {
		form := b.open("/wanted").asks(w)
		callback := w.hold(b, func() *page { return form.signIn("alice") })
		p := b.fetch("GET", mustParse(callback).RequestURI(), "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
		if p.status != 303 {
			t.Fatalf("the callback has status %d: %s", p.status, p.body)
		}
		b.forget("oidc_rp")
	}
	b.open("/wanted").is(403, "cookies_rejected")
	if w.caddy.count("cookies_rejected") == 0 {
		t.Error("the log does not say so")
	}
	if w.app.hits() != 0 {
		t.Error("the application was reached")
	}
}

// A form or a frame sends its request after the session has ended. It gets a page from
// which the user signs in again.
func TestAFormAfterTheSessionGetsAPage(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{})
	b := w.newBrowser()
	b.signIn("/form?x=1", "alice").isFor("alice", "/form?x=1")
	b.forget("oidc_rp")
	hits := w.app.hits()
	for name, row := range map[string]struct{ method, dest string }{"a form": {"POST", "document"}, "a frame": {"GET", "iframe"}} {
		p := b.fetch(row.method, "/save", "Accept", "text/html,*/*;q=0.8", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", row.dest, "Sec-Fetch-Site", "same-origin", "Referer", w.base+"/form?x=1")
		if p.status != 401 {
			t.Fatalf("%s: expected status 401, seen %d: %s", name, p.status, p.body)
		}
		for _, part := range []string{"Your session has ended", `target="_blank"`} {
			if !strings.Contains(p.body, part) {
				t.Errorf("%s: expected %q, seen %s", name, part, p.body)
			}
		}
		p.url = mustParse(w.base + "/save")
		p.freshStart().isFor("alice", "/form?x=1")
		b.forget("oidc_rp")
	}
	if got := w.app.hits() - hits; got != 2 {
		t.Errorf("the application was asked %d times", got)
	}
}

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The identity provider runs on three nodes. What one of them does takes effect on all of
// them.
func TestThreeNodesAreOneIdentityProvider(t *testing.T) {
	t.Parallel()
	c := startIDPCluster(t, `authenticator default {
			lockout 10 15m
		}
		client wiki {
			redirect_uri http://127.0.0.1:1/callback
			secret {env.CLIENT_SECRET}
		}`)
	north, south, west := c.nodes[0], c.nodes[1], c.nodes[2]

	t.Run("a sign-in goes on at another node at each step", func(t *testing.T) {
		c := c.in(t)
		b := c.browserAt(north)
		p := b.asked("ada")
		b.move(south)
		b.holdAt = hasCode
		p = p.send(p.formWith("password"), "password", issuerPassword).gone()
		if p.status != 0 {
			t.Fatalf("expected the way back to the site, seen:%s", p)
		}
		b.holdAt = nil
		b.move(west) // west redeems the code that south has issued
		if seen := userAt(b.open(p.url.String())); seen != "ada" {
			t.Errorf("expected ada's page, seen that of %q", seen)
		}
		for _, n := range c.nodes {
			b.move(n)
			if seen := userAt(b.open(c.site + "/docs")); seen != "ada" {
				t.Errorf("expected ada's page, seen that of %q", seen)
			}
		}
	})

	t.Run("of two nodes that are given one code at once, one redeems it", func(t *testing.T) {
		c := c.in(t)
		const callback, verifier = "http://127.0.0.1:1/callback", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
		b := c.browserAt(north)
		b.holdAt = hasCode
		p := c.proves(b.open(c.url+"/authorize?"+url.Values{
			"response_type": {"code"}, "client_id": {"wiki"}, "redirect_uri": {callback}, "scope": {"openid"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		}.Encode()), "ada", issuerPassword)
		fields := url.Values{"grant_type": {"authorization_code"}, "code": {p.url.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier}}
		answers := atOnce(2, func(n int) string {
			r := must(http.NewRequest("POST", fmt.Sprintf("http://127.0.0.1:%d/token", c.nodes[n].login), strings.NewReader(fields.Encode())))
			r.Host = mustParse(c.url).Host
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth("wiki", clientSecret)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				return err.Error()
			}
			defer answer.Body.Close()
			var got struct{ Error string }
			_ = json.NewDecoder(answer.Body).Decode(&got)
			return fmt.Sprint(answer.StatusCode, " ", got.Error)
		})
		slices.Sort(answers)
		if seen := strings.Join(answers, ", "); seen != "200 , 400 invalid_grant" {
			t.Errorf("expected one to give tokens, seen %s", seen)
		}
	})

	t.Run("a node is killed in the middle of a sign-in", func(t *testing.T) {
		c := c.in(t)
		b := c.browserAt(west)
		p := b.asked("ada")
		west.process.stop(t, syscall.SIGKILL)
		b.move(south)
		if p = p.send(p.formWith("password"), "password", issuerPassword).gone(); userAt(p) != "ada" {
			t.Errorf("expected ada's page, seen:%s", p)
		}
		west.start(west.running())
		b.move(west)
		if p = b.open(c.site + "/docs"); userAt(p) != "ada" {
			t.Errorf("expected ada's page at the node that is back, seen:%s", p)
		}
	})

	t.Run("of one code at three nodes at once, one signs in", func(t *testing.T) {
		c := c.in(t)
		c.addUser("carl")
		token := c.browserAt(north).enrolToken("carl")
		var browsers []*clusterBrowser
		var asked []*page
		for _, n := range c.nodes {
			b := c.browserAt(n)
			browsers, asked = append(browsers, b), append(asked, b.asked("carl"))
		}
		pages := atOnce(3, func(n int) *page {
			return asked[n].send(asked[n].formWith("password"), "password", issuerPassword, "code", token.code(1)).gone()
		})
		won := 0
		for _, p := range pages {
			if userAt(p) == "carl" {
				won++
			}
		}
		if won != 1 {
			t.Errorf("expected one sign-in, seen %d:%s%s%s", won, pages[0], pages[1], pages[2])
		}
		// The next code works on a node whose sign-in was refused.
		b := browsers[0]
		b.move(west)
		p := c.browserAt(west).asked("carl")
		if p = p.send(p.formWith("password"), "password", issuerPassword, "code", token.code(2)).gone(); userAt(p) != "carl" {
			t.Errorf("expected the next code to sign in, seen:%s", p)
		}
	})

	t.Run("a removed user has no session anywhere within five seconds", func(t *testing.T) {
		c := c.in(t)
		c.addUser("bob")
		var browsers []*clusterBrowser
		for _, n := range c.nodes {
			b := c.browserAt(n)
			if p := b.signedIn("bob", issuerPassword); userAt(p) != "bob" {
				t.Fatalf("expected bob's page, seen:%s", p)
			}
			browsers = append(browsers, b)
		}
		north.operate("", "user", "remove", "bob", "--yes")
		removed := time.Now()
		for i, b := range browsers {
			for _, n := range c.nodes {
				b.move(n)
				for userAt(b.open(c.site+"/docs")) == "bob" {
					if time.Since(removed) > busy*5*time.Second {
						t.Errorf("session %d at node %d: expected it to end, seen it after %v", i, n.app, time.Since(removed))
						break
					}
					time.Sleep(50 * time.Millisecond)
				}
			}
		}
		t.Logf("all sessions were over after %v", time.Since(removed))
	})

	t.Run("of 200 guesses at once over all nodes, the limit is tried", func(t *testing.T) {
		c := c.in(t)
		const guesses, limit = 200, 10
		c.addUser("carol")
		subject := c.subject("carol")
		asked := atOnce(guesses, func(n int) *page { return c.browserAt(c.nodes[n%3]).asked("carol") })
		pages := atOnce(guesses, func(n int) *page {
			return asked[n].send(asked[n].formWith("password"), "password", fmt.Sprintf("wrong-password-%04d", n))
		})
		for _, p := range pages {
			if p.status != http.StatusOK && p.status != http.StatusTooManyRequests && p.status != http.StatusUnauthorized {
				t.Errorf("expected the page again, seen:%s", p)
			}
		}
		var seen map[string]int
		eventually(t, 10*time.Second, "all guesses are in the log", func() bool {
			seen = c.events("sign_in_failed", subject)
			return seen["wrong_password"]+seen["locked"] >= guesses
		})
		if seen["wrong_password"] != limit {
			t.Errorf("expected %d guesses to be tried, seen %v", limit, seen)
		}
		if locks := c.events("locked", subject)[""]; locks != 1 {
			t.Errorf("expected one lock, seen %d", locks)
		}
		if p := c.browserAt(south).signedIn("carol", issuerPassword); userAt(p) != "" {
			t.Errorf("expected the right password to be refused, seen:%s", p)
		}
	})

	t.Run("PostgreSQL is stopped and comes back", func(t *testing.T) {
		c := c.in(t)
		b := c.browserAt(north)
		if p := b.signedIn("ada", issuerPassword); userAt(p) != "ada" {
			t.Fatalf("expected ada's page, seen:%s", p)
		}
		waiting := c.browserAt(south)
		half := waiting.asked("ada")
		c.postgres.stop()
		for _, n := range c.nodes {
			b.move(n)
			if p := b.open(c.site + "/docs"); userAt(p) != "ada" {
				t.Errorf("expected the session to go on, seen:%s", p)
			}
			p := c.browserAt(n).open(c.site + "/docs")
			if p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" {
				t.Errorf("expected 503 with Retry-After, seen %v:%s", p.header.Values("Retry-After"), p)
			}
		}
		if p := half.send(half.formWith("password"), "password", issuerPassword); p.status != http.StatusServiceUnavailable {
			t.Errorf("expected 503 for a password, seen:%s", p)
		}
		c.postgres.start()
		for _, n := range c.nodes {
			eventually(t, 30*time.Second, "the node signs in again", func() bool {
				p := c.browserAt(n).open(c.site + "/docs")
				return strings.HasPrefix(p.url.String(), c.url+"/signin") && p.status == http.StatusOK
			})
		}
		if p := half.send(half.formWith("password"), "password", issuerPassword).gone(); userAt(p) != "ada" {
			t.Errorf("expected the sign-in that was interrupted to go on, seen:%s", p)
		}
	})
}

// hasCode stops a browser once it has a code.
func hasCode(u *url.URL) bool { return u.Query().Has("code") }

// atOnce runs do this many times in parallel.
func atOnce[T any](times int, do func(n int) T) []T {
	all := make([]T, times)
	var wg sync.WaitGroup
	for n := range times {
		wg.Go(func() { all[n] = do(n) })
	}
	wg.Wait()
	return all
}

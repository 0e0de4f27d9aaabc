package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A page that requires more of a sign-in asks once and is then open. An insufficient
// sign-in is refused, and the current session stays.
func TestAPageThatRequiresASecondFactorAsksOnce(t *testing.T) {
	eachOf(t, withGroups, func(t *testing.T, kind string) {
		w := start(t, kind, site{options: scopeGroups + `
		private /admin/* {
			require acr mfa
		}
		private /otp/* {
			require amr otp
		}
		private /gold/* {
			require acr gold
		}`})
		b := w.newBrowser()
		b.signIn("/", "alice").isFor("alice", "/")
		hits := w.app.hits()
		b.script("/otp/x").is(403)
		var problem struct {
			Reason    string
			ACRValues string `json:"acr_values"`
		}
		p := b.script("/admin/x").is(401)
		if err := json.Unmarshal([]byte(p.body), &problem); err != nil {
			t.Fatalf("expected a problem document: %v%s", err, p)
		}
		if problem.ACRValues != "mfa" {
			t.Errorf("expected acr_values mfa, seen %+v", problem)
		}
		if got := w.app.hits() - hits; got != 0 {
			t.Errorf("expected no request at the application, seen %d", got)
		}

		p = b.open("/admin/x?y=1")
		if got := p.authorization().Get("acr_values"); got != "mfa" {
			t.Errorf("expected a login with acr_values mfa, seen %q", got)
		}
		if !p.asksCode() {
			t.Fatalf("expected a form for a second factor, seen:%s", p)
		}
		b.open("/").isFor("alice", "/") // another tab still has the earlier session
		p.proves("alice").isFor("alice", "/admin/x?y=1")
		for _, path := range []string{"/admin/y", "/otp/x", "/"} {
			p := b.open(path)
			p.isFor("alice", path)
			if len(p.hops) != 1 {
				t.Errorf("%s: expected one request, seen:%s", path, p)
			}
		}

		// The provider does not know the acr gold and signs her in as before.
		session := b.cookie("oidc_rp")
		p = b.open("/gold/x").is(403, "stronger sign-in")
		if got := strings.Count(p.String(), "/auth?"); got != 1 {
			t.Errorf("expected one login, seen %d:%s", got, p)
		}
		if got := b.cookie("oidc_rp"); got != session {
			t.Error("expected the session of before, seen another cookie")
		}
		b.open("/admin/z").isFor("alice", "/admin/z")

		// For such a page, the first login already requests the factor.
		fresh := w.newBrowser()
		p = fresh.open("/admin/first")
		if got := p.authorization().Get("acr_values"); got != "mfa" {
			t.Errorf("expected the first login with acr_values mfa, seen %q", got)
		}
		p.proves("bob").isFor("bob", "/admin/first")
	})
}

// oidc-provider also signs in users without a second factor, because acr_values is only a
// request.
func TestASignInWithoutTheSecondFactorIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{options: `
		private /admin/* {
			require acr mfa
		}`})
	b := w.newBrowser()
	b.signIn("/", "alice").isFor("alice", "/")
	session := b.cookie("oidc_rp")
	hits := w.app.hits()
	form := b.open("/admin/x")
	p := form.send(form.form(), "code", "000000").is(403, "stronger sign-in")
	if got := b.cookie("oidc_rp"); got != session {
		t.Error("expected the session of before, seen another cookie")
	}
	if got := w.app.hits() - hits; got != 0 {
		t.Errorf("expected no request at the application, seen %d", got)
	}
	b.open("/").isFor("alice", "/")
	links := p.links("try again")
	if len(links) != 1 {
		t.Fatalf("expected one link to try again, seen %q", links)
	}
	p.follow(links[0]).proves("alice").isFor("alice", "/admin/x")
}

// A page that requires a recent sign-in asks again once the last sign-in is too old.
func TestAPageThatRequiresARecentSignInAsksOnce(t *testing.T) {
	eachOf(t, withGroups, func(t *testing.T, kind string) {
		const age = 45 * time.Second // longer than a sign-in takes on a busy machine
		w := start(t, kind, site{options: fmt.Sprintf(`clock_skew 0s
		private /pay/* {
			require max_age %v
		}`, age)})
		b := w.newBrowser()
		b.signIn("/", "alice").isFor("alice", "/")
		b.open("/pay/now").isFor("alice", "/pay/now")
		signedIn := time.Now()
		for b.script("/pay/x").status == 200 {
			if time.Since(signedIn) > 2*age {
				t.Fatalf("expected the sign-in to be too old after %v, seen that it is not after %v", age, time.Since(signedIn))
			}
			time.Sleep(100 * time.Millisecond)
		}
		b.open("/").isFor("alice", "/")

		p := b.open("/pay/x?y=1").asks(w)
		if got := p.authorization().Get("max_age"); got != fmt.Sprint(age.Seconds()) {
			t.Errorf("expected a login with max_age %v, seen %q", age.Seconds(), got)
		}
		p.proves("alice").isFor("alice", "/pay/x?y=1")
		if p := b.open("/pay/y"); len(p.hops) != 1 {
			t.Errorf("expected no other login, seen:%s", p)
		}
		b.open("/").isFor("alice", "/")
	})
}

// On three nodes, the transaction holds what a login has to prove, and every node
// enforces it.
func TestAStepUpEndsOnAnotherNode(t *testing.T) {
	eachKind(t, func(t *testing.T, kind clusterKind) {
		c := startCluster(t, kind, site{options: `
		private /admin/* {
			require acr mfa
		}`})
		elsewhere := 0
		for i := range 6 {
			user, path := fmt.Sprintf("user%d", i), fmt.Sprintf("/admin/%d", i)
			b := c.newBrowser()
			b.signIn("/", user).isFor(user, "/")
			form := b.open(path)
			if !form.asksCode() {
				t.Fatalf("expected a form for a second factor, seen:%s", form)
			}
			before := b.cookieHeader()
			var home *page
			if i%3 == 2 {
				home = form.send(form.form(), "code", "000000").is(403, "stronger sign-in")
				c.liveEverywhere(user, before)
			} else {
				home = form.proves(user)
				home.isFor(user, path)
				for _, n := range c.nodes {
					if status, _ := c.askFor(n, path, b.cookieHeader()); status != 200 {
						t.Errorf("%s: expected status 200, seen %d", n.name, status)
					}
				}
			}
			if nodeOf(form, path) != nodeOf(home, "/code?") {
				elsewhere++
			}
		}
		if elsewhere == 0 {
			t.Error("expected step-ups to end on other nodes, seen none")
		}
	})
}

// If the claims parameter makes acr essential, the site requests the rule's value the
// same way. A value that the parameter excludes is requested only by acr_values.
func TestAnEssentialACRIsAskedForAsSuch(t *testing.T) {
	t.Parallel()
	w := start(t, keycloak, site{options: `
		authorization_params {
			claims ` + "`{\"id_token\": {\"acr\": {\"essential\": true, \"values\": [\"pwd\", \"mfa\"]}}}`" + `
		}
		private /admin/* {
			require acr mfa
		}
		private /gold/* {
			require acr gold
		}`})
	wants := func(p *page) []string {
		t.Helper()
		var claims struct {
			IDToken struct {
				ACR struct {
					Essential     bool
					Value, Values any
				}
			} `json:"id_token"`
		}
		text := p.authorization().Get("claims")
		if err := json.Unmarshal([]byte(text), &claims); err != nil {
			t.Fatalf("claims %q: %v", text, err)
		}
		acr := claims.IDToken.ACR
		if !acr.Essential {
			t.Errorf("expected acr to be essential, seen %s", text)
		}
		if acr.Value != nil {
			return []string{fmt.Sprint(acr.Value)}
		}
		return strings.Fields(strings.Trim(fmt.Sprint(acr.Values), "[]"))
	}
	b := w.newBrowser()
	p := b.open("/")
	if got := wants(p); !slices.Equal(got, []string{"pwd", "mfa"}) {
		t.Errorf("expected the first login to ask for pwd or mfa, seen %q", got)
	}
	p.signIn("alice").isFor("alice", "/") // without a second factor
	p = b.open("/admin/x")
	if got := wants(p); !slices.Equal(got, []string{"mfa"}) {
		t.Errorf("expected the login for /admin to ask for mfa, seen %q", got)
	}
	if !p.asksCode() {
		t.Fatalf("expected a form for a second factor, seen:%s", p)
	}
	p.proves("alice").isFor("alice", "/admin/x")

	p = b.open("/gold/x").is(403, "stronger sign-in")
	if got := p.authorization().Get("acr_values"); got != "gold" {
		t.Errorf("expected a login with acr_values gold, seen %q", got)
	}
	if got := wants(p); !slices.Equal(got, []string{"pwd", "mfa"}) {
		t.Errorf("expected the login for /gold to ask for pwd or mfa as well, seen %q", got)
	}
	b.open("/admin/y").isFor("alice", "/admin/y")

	// Keycloak answers an unknown essential value with its own error page. The browser
	// does not come back, and the current session continues.
	bob := w.newBrowser()
	bob.signIn("/", "bob").isFor("bob", "/")
	if err := w.caddy.reload(strings.Replace(w.caddy.running(), `["pwd", "mfa"]`, `["pwd", "gold"]`, 1)); err != nil {
		t.Fatal(err)
	}
	p = bob.open("/gold/x")
	if p.status != 400 || w.isSite(p.url) {
		t.Errorf("expected an error page of the provider, seen:%s", p)
	}
	bob.open("/").isFor("bob", "/")
}

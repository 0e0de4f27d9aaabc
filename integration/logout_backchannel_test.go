package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestLogoutTokens(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	for _, row := range oidctest.LogoutRows() {
		b, _, issued := s.signIn("alice")
		sub, sid := issued.Subject, issued.SID
		if row.NoSub {
			sub = ""
		}
		if row.NoSID {
			sid = ""
		}
		p := s.here.tell(s.op.LogoutToken(sub, sid, row.Lies), "&other=field")
		accepted := p.StatusCode == http.StatusOK
		switch {
		case !accepted && p.StatusCode != http.StatusBadRequest:
			t.Errorf("%s, %s: status %d", row.ID, row.Name, p.StatusCode)
		case row.Want == oidctest.Accept && !accepted || row.Want == oidctest.Refuse && accepted:
			t.Errorf("%s, %s: expected to %s, seen status %d\n%s", row.ID, row.Name, row.Want, p.StatusCode, s.here.logs())
		}
		if b.lives(s.here) == accepted {
			t.Errorf("%s, %s: status %d, and the session lives: %t", row.ID, row.Name, p.StatusCode, !accepted)
		}
		check(t, p, row.ID, row.Name).header("Cache-Control", "no-store")
		if accepted {
			check(t, p, row.ID, row.Name).body("")
		} else {
			var body struct{ Error string }
			succeeds(t, row.Name+": the body", json.Unmarshal([]byte(p.body), &body))
			equal(t, row.Name+": the error", body.Error, "invalid_request")
		}
		check(t, s.here.tell(s.op.LogoutToken(issued.Subject, "", oidctest.JWTLies{})), fmt.Sprintf("after %s, %s", row.ID, row.Name)).
			status(http.StatusOK)
	}
	for _, canary := range s.op.Canaries() {
		if strings.Contains(s.here.logs(), canary) {
			t.Error("the log holds a token")
		}
	}
}

// TestABackchannelLogoutIsKnownEverywhere checks that a logout token sent to one node ends
// sessions on all nodes.
func TestABackchannelLogoutIsKnownEverywhere(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name     string
		sub, sid bool
		others   bool // the user's other session ends as well
	}{{"sid", false, true, false}, {"sub", true, false, true}, {"both", true, true, false}} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := newLogoutScene(t)
			bob, bobThere, _ := s.signIn("bob")
			other, otherThere, before := s.signIn("alice")
			b, there, issued := s.signIn("alice")
			if before.SID == issued.SID {
				t.Fatal("the provider has one sid for two logins")
			}
			equal(required{t}, "the session lives there", there.lives(s.there), true)
			equal(required{t}, "the other session lives there", otherThere.lives(s.there), true)
			sub, sid := issued.Subject, issued.SID
			if !kind.sub {
				sub = ""
			}
			if !kind.sid {
				sid = ""
			}
			check(required{t}, s.here.tell(s.op.LogoutToken(sub, sid, oidctest.JWTLies{}))).status(http.StatusOK)
			if b.lives(s.here) {
				t.Error("the session lives where the provider ended it")
			}
			soon(t, "the other node knows", func() bool { return !there.lives(s.there) })
			equal(t, "the other session lives here", other.lives(s.here), !kind.others)
			equal(t, "the other session lives there", otherThere.lives(s.there), !kind.others)
			equal(t, "bob's session lives here", bob.lives(s.here), true)
			equal(t, "bob's session lives there", bobThere.lives(s.there), true)
			again, _, _ := s.signIn("alice")
			if !again.lives(s.here) {
				t.Error("a later sign-in was touched")
			}
			// A session that has already ended is no error.
			check(t, s.there.tell(s.op.LogoutToken("", issued.SID, oidctest.JWTLies{})), "for a session that has gone").status(http.StatusOK)
		})
	}
}

func TestALogoutTokenThatIsLateSparesALaterSignIn(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	issuedAgo := func(d time.Duration) oidctest.JWTLies {
		return oidctest.JWTLies{Claims: func(c map[string]any) {
			c["iat"] = time.Now().Add(-d).Unix()
			delete(c, "exp")
		}}
	}
	b, _, issued := s.signIn("alice")
	for _, d := range []time.Duration{62 * time.Second, 30 * time.Minute} {
		check(t, s.here.tell(s.op.LogoutToken(issued.Subject, "", issuedAgo(d))), fmt.Sprintf("issued %s ago", d)).status(http.StatusOK)
		equal(t, fmt.Sprintf("issued %s ago: the session lives", d), b.lives(s.here), true)
	}
	check(t, s.here.tell(s.op.LogoutToken(issued.Subject, "", issuedAgo(2*time.Hour))), "a token of two hours ago").
		status(http.StatusBadRequest)
	// The provider's clock decides, however wrong it is.
	for _, skew := range []time.Duration{-50 * time.Second, 50 * time.Second, -4 * time.Minute} {
		s := newLogoutScene(t)
		s.op.Lie(func(l *oidctest.Faults) { l.Skew = skew })
		b, _, issued := s.signIn("alice")
		for _, ago := range []time.Duration{5 * time.Second, 0} {
			p := s.here.tell(s.op.LogoutToken(issued.Subject, "", issuedAgo(ago-skew)))
			name := fmt.Sprintf("the provider's clock is off by %s, the token is of %s ago", skew, ago)
			check(t, p, name).status(http.StatusOK)
			equal(t, name+": the session lives", b.lives(s.here), ago > 0)
		}
	}
}

// TestBackchannelLogoutWhereTheIssuerIsNotConfigured checks that logout tokens are
// accepted from the issuer that configuration_url implies.
func TestBackchannelLogoutWhereTheIssuerIsNotConfigured(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/realms/a", "/realms/a/"} {
		op := newOP(t, oidctest.Path(path))
		c := op.Client()
		r := newHarness(t, fmt.Sprintf(`
oidc_rp {
	configuration_url %s/.well-known/openid-configuration
	client_id %s
	client_secret %q
}
`, strings.TrimSuffix(op.Issuer(), "/"), c.ID, c.Secret))
		b := signedIn(t, r)
		check(t, r.tell(op.LogoutToken("", op.Issued().SID, oidctest.JWTLies{})), path).status(http.StatusOK)
		equal(t, path+": the session lives", b.lives(r), false)
	}
}

func TestALogoutTokenCountsOnce(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	_, _, issued := s.signIn("alice")
	token := s.op.LogoutToken(issued.Subject, "", oidctest.JWTLies{})
	var counts [2]int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			p := s.here.tell(token)
			mu.Lock()
			defer mu.Unlock()
			counts[map[bool]int{true: 0, false: 1}[p.StatusCode == http.StatusOK]]++
		})
	}
	all.Wait()
	if counts != [2]int{1, 9} {
		t.Errorf("taken %d times, refused %d times", counts[0], counts[1])
	}
	// A token that could not be saved is accepted when the provider repeats it.
	token = s.op.LogoutToken(issued.Subject, "", oidctest.JWTLies{})
	breakStorage(t, s.here)
	check(t, s.here.tell(token), "while the storage fails").status(http.StatusBadRequest)
	mendStorage(t, s.here)
	check(t, s.here.tell(token), "when it comes again").status(http.StatusOK)
}

// TestGarbageAtTheBackchannelAsksTheProviderNothing checks that invalid requests to this
// endpoint, which anyone can send, cause no requests to the provider.
func TestGarbageAtTheBackchannelAsksTheProviderNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	_, issued := signedIn(t, r), op.Issued()
	keys, discoveries := op.Hits(oidctest.JWKS), op.Hits(oidctest.Discovery)
	fresh := newHarness(t, `
oidc_rp {
	`+options(op)+`
	timeout 1m
}
`) // knows nothing about the provider yet
	token := op.LogoutToken("", "s", oidctest.JWTLies{})
	edit := func(name string, value any) string {
		return op.LogoutToken("", "s", oidctest.JWTLies{Claims: func(c map[string]any) { c[name] = value }})
	}
	for name, form := range map[string]string{
		"nothing":              "",
		"an empty token":       "logout_token=",
		"no token":             "logout_token=x",
		"two tokens":           "logout_token=" + token + "&logout_token=" + token,
		"an ID token":          "logout_token=" + issued.IDToken,
		"another alg":          "logout_token=" + op.LogoutToken("", "s", oidctest.JWTLies{Alg: "HS256"}),
		"another issuer":       "logout_token=" + edit("iss", "https://evil.test"),
		"another audience":     "logout_token=" + edit("aud", "evil"),
		"a form of a megabyte": "logout_token=" + strings.Repeat("x", 1<<20),
		"a broken form":        "logout_token=%zz",
	} {
		for _, r := range []*harness{r, fresh} {
			p := r.browser().do(http.MethodPost, backchannelPath, form, nil)
			check(t, p, name).status(http.StatusBadRequest).header("Cache-Control", "no-store")
		}
	}
	check(t, r.browser().post(backchannelPath+"?logout_token="+token, "x=y", nil), "a token in the address").
		status(http.StatusBadRequest)
	for _, method := range []string{"GET", "HEAD", "PUT", "OPTIONS"} {
		check(t, r.browser().send(method, backchannelPath, nil), method).
			status(http.StatusMethodNotAllowed).
			header("Cache-Control", "no-store")
	}
	equal(t, "the number of requests to JWKS", op.Hits(oidctest.JWKS), keys)
	equal(t, "the number of requests to Discovery", op.Hits(oidctest.Discovery), discoveries)
	// Tokens that look right cause three requests for keys at most.
	for range 10 {
		r.tell(op.LogoutToken("", "s", oidctest.JWTLies{Signature: oidctest.SignWithWrongKey}))
	}
	if got := op.Hits(oidctest.JWKS) - keys; got > 3 {
		t.Errorf("forged tokens had keys fetched %d times", got)
	}
}

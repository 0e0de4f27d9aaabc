package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// These journeys are about differences between providers. They run against the providers
// that E2E_IDPS names, and against the two of every run where these have something to
// show.

// The application receives the claims from userinfo if userinfo is always requested,
// whatever the ID token contains.
func TestUserinfoClaimsReachTheApplication(t *testing.T) {
	want := map[string]map[string]string{ // Dex's own users have no groups
		oidcProvider: {"X-Groups": "admins,staff", "X-Name": "Alice Example"},
		zitadel:      {"X-Groups": "admins,staff", "X-Name": "Alice Example"},
		dex:          {"X-Groups": "", "X-Name": "alice"},
		hydra:        {"X-Groups": "admins,staff", "X-Name": "Alice Example"},
		lemonldap:    {"X-Groups": "admins,staff", "X-Name": "Alice Example"},
		keycloak:     {"X-Groups": "admins,staff", "X-Name": "Alice Example"},
	}
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{options: scopeGroups + `
		userinfo always
		upstream {
			header X-Groups {http.auth.user.groups}
		}`})
		request := w.newBrowser().signIn("/in", "alice").isFor("alice", "/in")
		for name, value := range want[kind] {
			got := strings.Split(request.Headers.Get(name), ",")
			slices.Sort(got) // groups are unordered
			if got := strings.Join(got, ","); got != value {
				t.Errorf("%s: expected %q, seen %q", name, value, got)
			}
		}
		if got := request.Headers.Get("X-Email"); got != "alice@example.test" {
			t.Errorf("X-Email is %q", got)
		}
		if calls := w.op.hits(t, w.op.userinfoPath()); calls != 1 {
			t.Errorf("userinfo was called %d times", calls)
		}
	})
}

func TestClientAuthenticationOfOtherProviders(t *testing.T) {
	if len(alsoAsked()) == 0 {
		return // for the others see TestEveryClientAuthenticationSignsIn
	}
	eachOf(t, alsoAsked(), func(t *testing.T, kind string) {
		for _, s := range []site{
			{client: "rp", options: "client_auth client_secret_basic"},
			{client: "rp-post", options: "client_auth client_secret_post"},
			{client: "rp-public", secret: "-", options: "client_auth none"},
		} {
			method := strings.Fields(s.options)[1]
			t.Run(method, func(t *testing.T) {
				recordsAs(t, kind, "Client authentication by "+method)
				start(t, kind, s).newBrowser().signIn("/in?x=1", "alice").isFor("alice", "/in?x=1")
			})
		}
	})
}

// Dex rotates its keys while it runs. Neither signed-in users nor new logins are
// affected.
func TestKeysThatChangeWhileTheProviderRuns(t *testing.T) {
	if !slices.Contains(alsoAsked(), dex) {
		return
	}
	t.Parallel()
	w := newWorld(t, dex, site{})
	w.op.keyTTL = "5s" // Dex checks every 30 s
	w.op.start(t)
	w.startCaddy(site{})
	b := w.newBrowser()
	b.signIn("/stays", "alice").isFor("alice", "/stays")
	for range 2 {
		before := w.op.signingKey(t)
		eventually(t, 90*time.Second, "the provider signs with another key", func() bool { return w.op.signingKey(t) != before })
		w.newBrowser().signIn("/new", "bob").isFor("bob", "/new")
		b.open("/stays").isFor("alice", "/stays")
	}
}

// signingKey returns the ID of the first key that the provider publishes.
func (p *provider) signingKey(t testing.TB) string {
	t.Helper()
	var set struct{ Keys []json.RawMessage }
	p.ask(t, "/keys", &set)
	if len(set.Keys) == 0 {
		t.Fatal("the provider publishes no key")
	}
	var key struct{ Kid string }
	if err := json.Unmarshal(set.Keys[0], &key); err != nil {
		t.Fatal(err)
	}
	return key.Kid
}

// An issuer has a path, and its metadata is below that path. An issuer that is spelled
// differently is a different issuer.
func TestAnIssuerWithAPathIsTakenExactly(t *testing.T) {
	if !slices.Contains(alsoAsked(), dex) {
		return
	}
	t.Parallel()
	w := start(t, dex, site{})
	w.newBrowser().signIn("/in", "alice").isFor("alice", "/in")
	for _, issuer := range []string{w.op.issuer + "/", w.op.origin()} {
		s := site{client: "-", secret: "-", options: fmt.Sprintf(`issuer %s
		client_id rp
		client_secret {env.OIDC_CLIENT_SECRET}`, issuer)}
		if err := w.caddy.reload(w.config(s)); err != nil {
			t.Fatal(err)
		}
		w.newBrowser().open("/in").is(503)
	}
}

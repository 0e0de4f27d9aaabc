package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// The username for the application is a claim that only the userinfo endpoint returns.
const nameOfUserinfo = `userinfo always
		upstream {
			header X-Name name
		}`

// secured is a client that must secure requests, responses, or tokens in one way, and the
// site's configuration for it.
type secured struct {
	name, client, options string
	secret                string // default: the secret that all clients share
	check                 func(w *world, form, end *page)
	bound                 bool // the site refreshes its tokens, which are bound to a key (RFC 9449)
}

// signsInWithEach signs in as each client, one after another, at one provider.
func signsInWithEach(t *testing.T, w *world, clients []secured) {
	t.Helper()
	running := false
	for _, c := range clients {
		s := site{tls: strings.HasPrefix(w.base, "https:"), client: c.client, secret: c.secret, options: nameOfUserinfo + "\n" + c.options}
		if !running {
			w.startCaddy(s)
			running = true
		} else if err := w.caddy.reload(w.config(s)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		b, path := w.newBrowser(), "/"+url.PathEscape(c.name)
		form := b.open(path).asks(w)
		before := len(w.op.handedOut(t))
		end := form.signIn("alice")
		got := end.isFor("alice", path).Headers.Get("X-Name")
		if got != "Alice Example" {
			t.Errorf("%s: the name: expected Alice Example, seen %q", c.name, got)
		}
		if c.check != nil {
			c.check(w, form, end)
		}
		if c.bound {
			w.areBound(c.name, w.op.handedOut(t)[before:])
			w.isRefreshed(c, b)
		}
		b.open(logoutPath).signOut()
	}
	for _, e := range w.op.events(t) {
		if strings.HasSuffix(e.Type, ".error") && !strings.HasPrefix(e.Type, "userinfo") && e.Error != "use_dpop_nonce" {
			t.Errorf("expected no error of the provider, seen %+v", e)
		}
	}
}

// An event is something that the provider reports.
type event struct {
	Type, Client, Error, Detail, Grant string
	TokenType                          string `json:"token_type"`
}

func (p *provider) events(t testing.TB) (all []event) {
	t.Helper()
	p.ask(t, "/_events", &all)
	return all
}

// tokenTypes returns the types of the tokens that a client got with a grant.
func (w *world) tokenTypes(client, grant string) (types []string) {
	w.t.Helper()
	for _, e := range w.op.events(w.t) {
		if e.Type == "tokens" && e.Client == client && e.Grant == grant {
			types = append(types, e.TokenType)
		}
	}
	return types
}

// areBound fails if the provider accepts one of the access tokens without a proof.
func (w *world) areBound(what string, tokens []token) {
	w.t.Helper()
	found := 0
	for _, token := range tokens {
		if token.Name != "access_token" {
			continue
		}
		found++
		for _, scheme := range []string{"Bearer", "DPoP"} {
			r, err := http.NewRequest(http.MethodGet, w.op.issuer+"/me", nil)
			if err != nil {
				w.t.Fatal(err)
			}
			r.Header.Set("Authorization", scheme+" "+token.Value)
			answer, err := w.op.client().Do(r)
			if err != nil {
				w.t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusBadRequest {
				w.t.Errorf("%s: a stolen access token as %s: expected a refusal, seen status %d", what, scheme, answer.StatusCode)
			}
		}
	}
	if found == 0 {
		w.t.Errorf("%s: expected an access token, seen none", what)
	}
}

// boundFor is the lifetime of access tokens in these journeys.
const boundFor = 15 * time.Second

// isRefreshed waits until the access token has expired. It fails unless a request then
// gets another bound token.
func (w *world) isRefreshed(c secured, b *browser) {
	w.t.Helper()
	time.Sleep(boundFor)
	before := len(w.op.handedOut(w.t))
	b.open("/later").isFor("alice", "/later")
	if len(w.tokenTypes(c.client, "refresh_token")) == 0 {
		w.t.Fatalf("%s: expected a refresh, seen none", c.name)
	}
	for _, grant := range []string{"authorization_code", "refresh_token"} {
		for _, kind := range w.tokenTypes(c.client, grant) {
			if kind != "DPoP" {
				w.t.Errorf("%s: %s: expected tokens of the type DPoP, seen %q", c.name, grant, kind)
			}
		}
	}
	w.areBound(c.name+", after a refresh", w.op.handedOut(w.t)[before:])
}

const refreshes = `scopes openid profile email offline_access
		session {
			refresh on
		}`

func TestTokensAreBoundToAKeyOfTheSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oidcProvider, site{})
	w.op.env = []string{fmt.Sprintf("AT_TTL=%d", int(boundFor.Seconds()))}
	w.op.start(t)
	namesTheKey := func(w *world, form, _ *page) {
		if got := form.authorization().Get("dpop_jkt"); len(got) != 43 {
			w.t.Errorf("dpop_jkt: expected a thumbprint, seen %q", got)
		}
	}
	signsInWithEach(t, w, []secured{
		// This client is first, while the site has no nonce from the provider.
		{name: "a nonce in each proof", client: "rp-dpop-nonce", options: refreshes + "\ndpop on", bound: true},
		{name: "a key for each session", client: "rp-dpop", options: refreshes + "\ndpop on", bound: true, check: namesTheKey},
		{name: "a key for all", client: "rp-dpop", options: `dpop on {
			key process
			alg EdDSA
		}`, check: namesTheKey},
		{name: "auto", client: "rp-dpop", options: "dpop auto"},
	})
	demanded := func(e event) bool { return e.Client == "rp-dpop-nonce" && e.Error == "use_dpop_nonce" }
	if events := w.op.events(t); !slices.ContainsFunc(events, demanded) {
		t.Errorf("expected the provider to demand a nonce, seen %+v", events)
	}
	// Without the option dpop, the site sends no proof.
	if err := w.caddy.reload(w.config(site{client: "rp-dpop"})); err != nil {
		t.Fatal(err)
	}
	w.newBrowser().signIn("/x", "alice").is(403)
}

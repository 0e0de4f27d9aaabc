package oidcrp

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optest"
)

// asked holds how often an endpoint was asked so far.
func asked(t *testing.T, op *optest.Provider, e optest.Endpoint, want int) {
	t.Helper()
	if got := op.Hits(e); got != want {
		t.Errorf("%s was asked %d times, not %d", e, got, want)
	}
}

// signsIn holds that a fresh browser gets in.
func (r *rig) signsIn() {
	r.t.Helper()
	if p := r.browser().open("/page"); p.StatusCode != http.StatusOK || p.body != "application sees alice" {
		r.t.Errorf("the login ends with status %d: %s\n%s", p.StatusCode, p.body, r.logs())
	}
}

// withTwoRoutes is a site with a public page beside its private ones.
func withTwoRoutes(op *optest.Provider) string {
	return "oidc_rp {\n" + options(op) + "public /open\n}"
}

func TestProviderIsAskedWhenTheFirstLoginNeedsIt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newRig(t, withTwoRoutes(op))
	b := r.browser()
	b.get("/open")
	b.send(http.MethodGet, "/api", map[string]string{"Sec-Fetch-Mode": "cors"})
	b.get("/@app/auth/default/code?code=x&state=y")
	b.get(defaultLogoutPath)
	asked(t, op, optest.Discovery, 0)
	b.get("/page")
	asked(t, op, optest.Discovery, 1)
	asked(t, op, optest.JWKS, 0) // needed only when a token is there
	r.signsIn()
	r.signsIn()
	asked(t, op, optest.Discovery, 1)
	asked(t, op, optest.JWKS, 1)
}

func TestFiftyFirstLoginsAtOnceShareOneRequestEach(t *testing.T) {
	t.Parallel()
	const many = 50
	var ready sync.WaitGroup // all have begun, as far as a test can tell
	ready.Add(many)
	op := newOP(t)
	op.Lie(func(l *optest.Lies) { l.At(optest.Discovery).Hold = func(*http.Request) { ready.Wait() } })
	r := newRig(t, withTwoRoutes(op))
	var done sync.WaitGroup
	for range many {
		b := r.browser()
		done.Go(func() {
			ready.Done()
			if p := b.open("/page"); p.body != "application sees alice" {
				t.Errorf("status %d: %s", p.StatusCode, p.body)
			}
		})
	}
	done.Wait()
	asked(t, op, optest.Discovery, 1)
	asked(t, op, optest.JWKS, 1)
}

// TestProviderThatIsDownIsLeftInPeace is X01: private pages are not available
// and say when to come back, public ones serve, and the provider is not asked
// more often than the back-off lets it be.
func TestProviderThatIsDownIsLeftInPeace(t *testing.T) {
	t.Parallel()
	clock := stop()
	op := newOP(t, optest.Now(clock.now))
	op.Lie(func(l *optest.Lies) { l.At(optest.Discovery).Status = 503 })
	r := newRig(t, withTwoRoutes(op))
	r.at(clock.now)
	w := r.witness(op, rpURL)
	for range 20 {
		p := w.walk("/page")
		seconds, err := strconv.Atoi(p.Header.Get("Retry-After"))
		if p.StatusCode != http.StatusServiceUnavailable || shownCode(p) != providerUnavailable || err != nil || seconds < 1 || seconds > 10 {
			t.Fatalf("status %d, code %q, Retry-After %q", p.StatusCode, shownCode(p), p.Header.Get("Retry-After"))
		}
		if p := w.walk("/open"); p.StatusCode != http.StatusOK {
			t.Fatalf("the public page has status %d", p.StatusCode)
		}
	}
	asked(t, op, optest.Discovery, 1)
	for range 60 { // a minute with a page load each second
		clock.advance(time.Second)
		w.walk("/page")
	}
	// Pauses of at least ½, 1, 2, 4, and then 5 seconds each.
	if n := op.Hits(optest.Discovery); n > 16 || n < 6 {
		t.Errorf("the provider was asked %d times in a minute", n)
	}
	if w.opened || len(w.secrets) > 0 {
		t.Errorf("cookies were set: %v", w.cookies())
	}
}

// TestProviderThatComesBackIsFoundWithinOnePause is X03.
func TestProviderThatComesBackIsFoundWithinOnePause(t *testing.T) {
	t.Parallel()
	clock := stop()
	op := newOP(t, optest.Now(clock.now))
	r := newRig(t, withTwoRoutes(op))
	r.at(clock.now)
	op.Stop()
	b := r.browser()
	var pause int
	for range 8 { // the pauses have become as long as they get
		p := b.get("/page")
		if p.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("status %d", p.StatusCode)
		}
		pause, _ = strconv.Atoi(p.Header.Get("Retry-After"))
		clock.advance(time.Duration(pause) * time.Second)
	}
	if p := b.get("/page"); p.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("status %d", p.StatusCode)
	} else {
		pause, _ = strconv.Atoi(p.Header.Get("Retry-After"))
	}
	op.Start()
	clock.advance(time.Duration(pause) * time.Second)
	r.signsIn()
}

// TestWhatWasLearnedServesWhileDiscoveryIsDown: metadata and keys are looked at
// anew when they are old, and go on serving where that fails (X09).
func TestWhatWasLearnedServesWhileDiscoveryIsDown(t *testing.T) {
	t.Parallel()
	clock := stop()
	op := newOP(t, optest.Now(clock.now))
	r := newRig(t, withTwoRoutes(op))
	r.at(clock.now)
	r.signsIn()
	op.Lie(func(l *optest.Lies) {
		l.At(optest.Discovery).Status = 503
		l.At(optest.JWKS).Status = 503
	})
	clock.advance(2 * time.Hour)
	r.signsIn()
	if op.Hits(optest.Discovery) < 2 || op.Hits(optest.JWKS) < 2 {
		t.Error("old metadata and keys were not looked at anew")
	}
	op.Stop()
	clock.advance(2 * time.Hour)
	if location := r.browser().get("/page").location(); !strings.HasPrefix(location, op.URL(optest.Authorize)+"?") {
		t.Errorf("the login leads to %q", location)
	}
	op.Honest()
	op.Start()
	clock.advance(longestPause)
	before := op.Hits(optest.Discovery)
	r.signsIn()
	asked(t, op, optest.Discovery, before+1)
}

// TestReloadKeepsWhatWasLearned: a configuration is provisioned before the one
// that it replaces is cleaned up, and the provider is not asked again.
func TestReloadKeepsWhatWasLearned(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	before := newRig(t, withTwoRoutes(op))
	before.signsIn()
	after := newRig(t, withTwoRoutes(op)+"\nheader X-Config new")
	for _, h := range before.app.handlers {
		if err := h.Cleanup(); err != nil {
			t.Error(err)
		}
	}
	if err := before.app.Cleanup(); err != nil {
		t.Error(err)
	}
	after.signsIn()
	asked(t, op, optest.Discovery, 1)
	asked(t, op, optest.JWKS, 1)
	asked(t, op, optest.Token, 2)
}

// TestUnknownKeysDoNotMakeUsAskForThemAll: who can make a provider's tokens
// name unknown keys cannot make us fetch its key set as often, and a key that
// is new is found when the looks are earned again (X11).
func TestUnknownKeysDoNotMakeUsAskForThemAll(t *testing.T) {
	t.Parallel()
	clock := stop()
	op := newOP(t, optest.Now(clock.now))
	r := newRig(t, withTwoRoutes(op))
	r.at(clock.now)
	r.signsIn()
	kid := 0
	op.Lie(func(l *optest.Lies) {
		l.IDToken.Header = func(h map[string]any) { kid++; h["kid"] = fmt.Sprint("unknown", kid) }
	})
	for range 20 {
		if p := r.browser().open("/page"); shownCode(p) != tokenInvalid {
			t.Fatalf("status %d, code %q", p.StatusCode, shownCode(p))
		}
	}
	asked(t, op, optest.JWKS, 1+3)
	op.Honest()
	r.signsIn() // a known key needs no look
	op.RotateKeys()
	if p := r.browser().open("/page"); shownCode(p) != tokenInvalid {
		t.Errorf("status %d, code %q: a key was looked for beyond the limit", p.StatusCode, shownCode(p))
	}
	clock.advance(10 * time.Second)
	r.signsIn()
	asked(t, op, optest.JWKS, 1+3+1)
}

// TestMetadataThatDoesNotFitIsLookedAtAgainSoon: the provider offers nothing
// that the configuration can use, until somebody has put it right there.
func TestMetadataThatDoesNotFitIsLookedAtAgainSoon(t *testing.T) {
	t.Parallel()
	clock := stop()
	op := newOP(t, optest.Now(clock.now))
	r := newRig(t, withTwoRoutes(op))
	r.at(clock.now)
	op.Lie(func(l *optest.Lies) {
		l.Discovery = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"tls_client_auth"} }
	})
	for range 5 {
		if p := r.browser().get("/page"); p.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("status %d", p.StatusCode)
		}
		clock.advance(time.Second)
	}
	asked(t, op, optest.Discovery, 1)
	op.Honest()
	clock.advance(5 * time.Second)
	r.signsIn()
	asked(t, op, optest.Discovery, 2)
}

// TestWhatIsConfiguredIsNotDiscovered: endpoints, keys and client
// authentication by hand, all or some, and discovery by the document's address.
func TestWhatIsConfiguredIsNotDiscovered(t *testing.T) {
	t.Parallel()
	secret := func(method string) optest.Option {
		return optest.WithClient(optest.Client{ID: "rp:%+ü", Secret: optest.AwkwardSecret, Auth: method})
	}
	byHand := func(op *optest.Provider) string {
		return fmt.Sprintf("issuer %s\nauthorization_endpoint %s\ntoken_endpoint %s\nuserinfo_endpoint %s\n",
			op.Issuer(), op.URL(optest.Authorize), op.URL(optest.Token), op.URL(optest.UserInfo))
	}
	wellKnown := func(op *optest.Provider) string { return "configuration_url " + op.URL(optest.Discovery) }
	for _, c := range []struct {
		name            string
		client          []optest.Option
		text            func(*optest.Provider) string
		discovery, keys int // how often they are asked
		status          int
	}{
		{"all by hand, and a key set document", nil, func(op *optest.Provider) string {
			return byHand(op) + "jwks `" + string(op.KeySet()) + "`"
		}, 0, 0, 200},
		{"all by hand, and where the keys are", nil, func(op *optest.Provider) string {
			return byHand(op) + "jwks_uri " + op.URL(optest.JWKS)
		}, 0, 1, 200},
		{"the address of the document", nil, wellKnown, 1, 1, 200},
		{"the address of the document, and a path", []optest.Option{optest.Path("/realms/one")}, wellKnown, 1, 1, 200},
		{"the address of the document, and a slash", []optest.Option{optest.Path("/test/a/")}, wellKnown, 1, 1, 200},
		{"the address of a document that is another issuer's", nil, func(op *optest.Provider) string {
			op.Lie(func(l *optest.Lies) { l.Discovery = func(m map[string]any) { m["issuer"] = "https://op.example" } })
			return wellKnown(op)
		}, 1, 0, 503},
		{"one endpoint in the place of a discovered one", nil, func(op *optest.Provider) string {
			op.Lie(func(l *optest.Lies) {
				l.Discovery = func(m map[string]any) { m["token_endpoint"] = "https://op.example/none" }
			})
			return "issuer " + op.Issuer() + "\ntoken_endpoint " + op.URL(optest.Token)
		}, 1, 1, 200},
		{"client_secret_basic", []optest.Option{secret("client_secret_basic")}, authBy("client_secret_basic"), 1, 1, 200},
		{"client_secret_post", []optest.Option{secret("client_secret_post")}, authBy("client_secret_post"), 1, 1, 200},
		{"none", []optest.Option{optest.WithClient(optest.Client{ID: "rp:%+ü", Auth: "none"})}, authBy("none"), 1, 1, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, c.client...)
			r := newRig(t, "oidc_rp {\n"+c.text(op)+"\n"+clientOptions(op)+"}")
			p := r.browser().open("/page")
			if p.StatusCode != c.status {
				t.Errorf("status %d: %s\n%s", p.StatusCode, p.body, r.logs())
			}
			asked(t, op, optest.Discovery, c.discovery)
			asked(t, op, optest.JWKS, c.keys)
			r.holdLogs(op)
		})
	}
}

// authBy names a client authentication method; the metadata would lead to
// another one.
func authBy(method string) func(*optest.Provider) string {
	return func(op *optest.Provider) string {
		op.Lie(func(l *optest.Lies) {
			other := map[string]string{"client_secret_basic": "client_secret_post"}
			l.Discovery = func(m map[string]any) {
				m["token_endpoint_auth_methods_supported"] = []string{orElse(other[method], "client_secret_basic")}
			}
		})
		return "issuer " + op.Issuer() + "\nclient_auth " + method
	}
}

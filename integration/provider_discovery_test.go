package integration_test

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// withTwoRoutes is a site with a public page beside its private ones.
func withTwoRoutes(op *oidctest.Provider) string {
	return protectedBy(op, "public /open")
}

func TestProviderIsAskedWhenTheFirstLoginNeedsIt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, withTwoRoutes(op))
	b := r.browser()
	b.get("/open")
	b.send(http.MethodGet, "/api", map[string]string{"Sec-Fetch-Mode": "cors"})
	b.get("/@app/auth/default/code?code=x&state=y")
	b.get("/Special:UserLogout")
	asked(t, op, oidctest.Discovery, 0)
	b.get("/page")
	asked(t, op, oidctest.Discovery, 1)
	asked(t, op, oidctest.JWKS, 0) // keys are needed only for a token
	r.signsIn()
	r.signsIn()
	asked(t, op, oidctest.Discovery, 1)
	asked(t, op, oidctest.JWKS, 1)
}

func TestFiftyFirstLoginsAtOnceShareOneRequestEach(t *testing.T) {
	t.Parallel()
	const many = 50
	var ready sync.WaitGroup // all have begun, as far as a test can know
	ready.Add(many)
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Discovery).Hold = func(*http.Request) { ready.Wait() } })
	r := newHarness(t, withTwoRoutes(op))
	var done sync.WaitGroup
	for range many {
		b := r.browser()
		done.Go(func() {
			ready.Done()
			check(t, b.open("/page")).body("application sees alice")
		})
	}
	done.Wait()
	asked(t, op, oidctest.Discovery, 1)
	asked(t, op, oidctest.JWKS, 1)
}

// TestProviderThatIsDownIsLeftInPeace checks that private pages are 503 with Retry-After,
// public pages are served, and the provider gets no more requests than the back-off
// allows.
//
// See docs/faults.md, row F01.
func TestProviderThatIsDownIsLeftInPeace(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Discovery).Status = 503 })
	r := newHarness(t, withTwoRoutes(op))
	r.at(clock.now)
	w := r.witness(op, rpURL)
	for range 20 {
		p := w.walk("/page")
		seconds, err := strconv.Atoi(p.Header.Get("Retry-After"))
		check(required{t}, p).status(http.StatusServiceUnavailable).code(errorcode.ProviderUnavailable)
		if err != nil {
			t.Fatal(err)
		}
		atLeast(required{t}, "the seconds of Retry-After", seconds, 1)
		atMost(required{t}, "the seconds of Retry-After", seconds, 10)
		check(required{t}, w.walk("/open"), "the public page").status(http.StatusOK)
	}
	asked(t, op, oidctest.Discovery, 1)
	for range 60 { // a minute with a page load each second
		clock.advance(time.Second)
		w.walk("/page")
	}
	// The pauses are at least ½, 1, 2 and 4 seconds, and then 5 seconds each.
	n := op.Hits(oidctest.Discovery)
	atMost(t, "the number of requests to Discovery in a minute", n, 16)
	atLeast(t, "the number of requests to Discovery in a minute", n, 6)
	equal(t, "a session was opened", w.opened, false)
	equal(t, "the number of cookies", len(w.secrets), 0)
}

// TestProviderThatComesBackIsFoundWithinOnePause checks that the next login works at most
// one Retry-After later.
//
// See docs/faults.md, row F03.
func TestProviderThatComesBackIsFoundWithinOnePause(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	r := newHarness(t, withTwoRoutes(op))
	r.at(clock.now)
	op.Stop()
	b := r.browser()
	var pause int
	for range 8 { // until the pauses are as long as they get
		p := b.get("/page")
		check(required{t}, p).status(http.StatusServiceUnavailable)
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

// TestWhatWasLearnedServesWhileDiscoveryIsDown checks that old metadata and keys are
// fetched again, and remain in use if that fails.
//
// See docs/faults.md, row F09.
func TestWhatWasLearnedServesWhileDiscoveryIsDown(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	r := newHarness(t, withTwoRoutes(op))
	r.at(clock.now)
	r.signsIn()
	op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Discovery).Status = 503
		l.At(oidctest.JWKS).Status = 503
	})
	clock.advance(2 * time.Hour)
	r.signsIn()
	atLeast(t, "the number of requests to Discovery", op.Hits(oidctest.Discovery), 2)
	atLeast(t, "the number of requests to JWKS", op.Hits(oidctest.JWKS), 2)
	op.Stop()
	clock.advance(2 * time.Hour)
	if location := r.browser().get("/page").location(); !strings.HasPrefix(location, op.URL(oidctest.Authorize)+"?") {
		t.Errorf("the login leads to %q", location)
	}
	op.Honest()
	op.Start()
	clock.advance(longestPause)
	before := op.Hits(oidctest.Discovery)
	r.signsIn()
	asked(t, op, oidctest.Discovery, before+1)
}

// TestReloadKeepsWhatWasLearned provisions the new configuration before it cleans the old
// one up, as a reload does. The provider is not asked again.
func TestReloadKeepsWhatWasLearned(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	before := newHarness(t, withTwoRoutes(op))
	before.signsIn()
	after := newHarness(t, withTwoRoutes(op)+"header X-Config new")
	before.cleanUp()
	after.signsIn()
	asked(t, op, oidctest.Discovery, 1)
	asked(t, op, oidctest.JWKS, 1)
	asked(t, op, oidctest.Token, 2)
}

// TestUnknownKeysDoNotMakeUsAskForThemAll checks that tokens with unknown key ids cause a
// limited number of requests for the key set, and that a new key is found when a further
// request is allowed.
//
// See docs/faults.md, row F11.
func TestUnknownKeysDoNotMakeUsAskForThemAll(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	r := newHarness(t, withTwoRoutes(op))
	r.at(clock.now)
	r.signsIn()
	kid := 0
	op.Lie(func(l *oidctest.Faults) {
		l.IDToken.Header = func(h map[string]any) { kid++; h["kid"] = fmt.Sprint("unknown", kid) }
	})
	for range 20 {
		check(required{t}, r.browser().open("/page")).code(errorcode.TokenInvalid)
	}
	asked(t, op, oidctest.JWKS, 1+3)
	op.Honest()
	r.signsIn() // a known key needs no request
	op.RotateKeys()
	check(t, r.browser().open("/page")).code(errorcode.TokenInvalid)
	clock.advance(10 * time.Second)
	r.signsIn()
	asked(t, op, oidctest.JWKS, 1+3+1)
}

// TestMetadataThatDoesNotFitIsLookedAtAgainSoon covers metadata without an authentication
// method that the configuration can use. It is fetched again after a few seconds, in case
// it has been corrected.
func TestMetadataThatDoesNotFitIsLookedAtAgainSoon(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	r := newHarness(t, withTwoRoutes(op))
	r.at(clock.now)
	op.Lie(func(l *oidctest.Faults) {
		l.Discovery = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"tls_client_auth"} }
	})
	for range 5 {
		check(required{t}, r.browser().get("/page")).status(http.StatusServiceUnavailable)
		clock.advance(time.Second)
	}
	asked(t, op, oidctest.Discovery, 1)
	op.Honest()
	clock.advance(5 * time.Second)
	r.signsIn()
	asked(t, op, oidctest.Discovery, 2)
}

// TestWhatIsConfiguredIsNotDiscovered configures some or all endpoints, the keys, the
// client authentication, or the address of the metadata.
func TestWhatIsConfiguredIsNotDiscovered(t *testing.T) {
	t.Parallel()
	secret := func(method string) oidctest.Option {
		return oidctest.WithClient(oidctest.Client{ID: "rp:%+ü", Secret: oidctest.AwkwardSecret, Auth: method})
	}
	byHand := func(op *oidctest.Provider) string {
		return fmt.Sprintf(`
issuer %s
authorization_endpoint %s
token_endpoint %s
userinfo_endpoint %s
`, op.Issuer(), op.URL(oidctest.Authorize), op.URL(oidctest.Token), op.URL(oidctest.UserInfo))
	}
	wellKnown := func(op *oidctest.Provider) string { return "configuration_url " + op.URL(oidctest.Discovery) }
	for _, c := range []struct {
		name            string
		client          []oidctest.Option
		text            func(*oidctest.Provider) string
		discovery, keys int // how often they are requested
		status          int
	}{
		{"all by hand, and a key set document", nil, func(op *oidctest.Provider) string {
			return byHand(op) + "jwks `" + string(op.KeySet()) + "`"
		}, 0, 0, 200},
		{"all by hand, and where the keys are", nil, func(op *oidctest.Provider) string {
			return byHand(op) + "jwks_uri " + op.URL(oidctest.JWKS)
		}, 0, 1, 200},
		{"the address of the document", nil, wellKnown, 1, 1, 200},
		{"the address of the document, and a path", []oidctest.Option{oidctest.Path("/realms/one")}, wellKnown, 1, 1, 200},
		{"the address of the document, and a slash", []oidctest.Option{oidctest.Path("/test/a/")}, wellKnown, 1, 1, 200},
		{"the address of a document that is another issuer's", nil, func(op *oidctest.Provider) string {
			op.Lie(func(l *oidctest.Faults) { l.Discovery = func(m map[string]any) { m["issuer"] = "https://op.example" } })
			return wellKnown(op)
		}, 1, 0, 503},
		{"one endpoint in the place of a discovered one", nil, func(op *oidctest.Provider) string {
			op.Lie(func(l *oidctest.Faults) {
				l.Discovery = func(m map[string]any) { m["token_endpoint"] = "https://op.example/none" }
			})
			return `
issuer ` + op.Issuer() + `
token_endpoint ` + op.URL(oidctest.Token)
		}, 1, 1, 200},
		{"client_secret_basic", []oidctest.Option{secret("client_secret_basic")}, authBy("client_secret_basic"), 1, 1, 200},
		{"client_secret_post", []oidctest.Option{secret("client_secret_post")}, authBy("client_secret_post"), 1, 1, 200},
		{"none", []oidctest.Option{oidctest.WithClient(oidctest.Client{ID: "rp:%+ü", Auth: "none"})}, authBy("none"), 1, 1, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, c.client...)
			r := newHarness(t, `
oidc_rp {
	`+c.text(op)+`
	`+clientOptions(op)+`
}
`)
			p := r.browser().open("/page")
			check(t, p).status(c.status)
			asked(t, op, oidctest.Discovery, c.discovery)
			asked(t, op, oidctest.JWKS, c.keys)
			r.holdLogs(op)
		})
	}
}

// authBy configures a client authentication method. The metadata offers only another one.
func authBy(method string) func(*oidctest.Provider) string {
	return func(op *oidctest.Provider) string {
		op.Lie(func(l *oidctest.Faults) {
			other := map[string]string{"client_secret_basic": "client_secret_post"}
			l.Discovery = func(m map[string]any) {
				m["token_endpoint_auth_methods_supported"] = []string{cmp.Or(other[method], "client_secret_basic")}
			}
		})
		return `
issuer ` + op.Issuer() + `
client_auth ` + method
	}
}

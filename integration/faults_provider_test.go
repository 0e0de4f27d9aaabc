package integration_test

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// Whatever makes a provider unreachable, Caddy starts and serves public pages, and private pages
// say when to retry.
//
// See docs/faults.md, row F01.
func TestAProviderThatCannotBeReached(t *testing.T) {
	t.Parallel()
	plain := func(*testing.T) *oidctest.Provider { return newOP(t) }
	secure := func(*testing.T) *oidctest.Provider { return newOP(t, oidctest.TLS()) }
	for name, row := range map[string]struct {
		provider func(*testing.T) *oidctest.Provider
		fail     func(*oidctest.Provider)
		issuer   func(*oidctest.Provider) string
		more     func(*oidctest.Provider) string
		timeout  string // default: longer than any response takes
		log      string
	}{
		"nothing listens there":   {provider: plain, fail: (*oidctest.Provider).Stop, log: "connection refused"},
		"its name does not exist": {provider: plain, issuer: func(*oidctest.Provider) string { return "https://op.invalid" }, log: "op.invalid"},
		"it never answers":        {provider: plain, fail: silent(oidctest.Discovery), timeout: "5s", log: "no response within the timeout"},
		"it answers a byte at a time": {provider: plain, fail: func(op *oidctest.Provider) {
			op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Discovery).Drip = time.Second })
		}, timeout: "5s", log: "no response within the timeout"},
		"its certificate is of another CA": {provider: secure, log: "tls { ca <file> }"},
		"its certificate is for another name": {provider: secure, fail: func(op *oidctest.Provider) {
			op.SetCertificate(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "other.example")
		}, more: trusting, log: "cannot validate certificate for 127.0.0.1"},
		"it does not speak TLS": {provider: plain, issuer: func(op *oidctest.Provider) string { return strings.Replace(op.Issuer(), "http:", "https:", 1) }, log: "HTTP response to HTTPS client"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := row.provider(t)
			if row.fail != nil {
				row.fail(op)
			}
			issuer := op.Issuer()
			if row.issuer != nil {
				issuer = row.issuer(op)
			}
			more := ""
			if row.more != nil {
				more = row.more(op)
			}
			r := newHarness(t, `
oidc_rp {
	issuer `+issuer+`
	client_id rp
	client_secret secret
	timeout `+cmp.Or(row.timeout, "1m")+`
	public /open
	`+more+`
}
`)
			w := r.witness(op, rpURL)
			check(t, w.walk("/page"), "a private page").status(http.StatusServiceUnavailable).code(errorcode.ProviderUnavailable).hasHeader("Retry-After")
			check(t, w.walk("/open"), "a public page").status(http.StatusOK).body("application sees ")
			p := w.send(http.MethodGet, "/page", program)
			check(t, p, "a program").status(http.StatusUnauthorized)
			equal(t, "a session was opened", w.opened, false)
			contains(t, "the log", r.logs(), row.log)
		})
	}
}

// trusting returns the options that trust the authority of a provider with TLS.
func trusting(op *oidctest.Provider) string {
	return `
tls {
	ca ` + op.CAFile() + `
}
`
}

// silent makes an endpoint accept requests and never respond.
func silent(e oidctest.Endpoint) func(*oidctest.Provider) {
	return func(op *oidctest.Provider) { op.Lie(func(l *oidctest.Faults) { l.At(e).Delay = oidctest.Forever }) }
}

// A reload while the provider is down succeeds, and existing sessions continue. This includes a
// reload that changes an option of the provider, after which nothing about it is known.
//
// See docs/faults.md, row F02.
func TestAReloadWhileTheProviderIsDown(t *testing.T) {
	t.Parallel()
	stop(t)
	for name, change := range map[string]string{"nothing of the provider changes": "", "its options change": "clock_skew 30s"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op, storage := newOP(t), storageDir(t)
			site := func(more string) string {
				return `
http://rp.test {
	` + protectedBy(op, more, "public /open") + `
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`
			}
			before := newHarnessAt(t, storage, site(""))
			b, half := signedIn(t, before), before.browser()
			callback := half.open("/half", rpURL+"/@app/auth/default/code").location()
			op.Stop()
			now := newHarnessAt(t, storage, site(change))
			before.cleanUp()
			moveTo(b, now)
			moveTo(half, now)
			check(t, b.get("/page"), "the session").status(http.StatusOK).body("application sees alice")
			check(t, b.get("/open"), "a public page").status(http.StatusOK)
			check(t, half.get(callback), "a login in flight").refused(errorcode.TokenExchangeFailed)
			op.Start()
			now.ahead(longestPause)
			now.signsIn()
		})
	}
}

// One of several providers is down. Logins and sessions of the others are not affected. A user
// who chooses that provider sees an error and can choose again.
//
// See docs/faults.md, row F04.
func TestOneOfSeveralProvidersIsDown(t *testing.T) {
	t.Parallel()
	r, ops := newChooser(t, nil)
	known, other := r.browser(), r.browser()
	check(required{t}, known.open("/@app/auth/corp/login?returnto=/page")).status(http.StatusOK)
	ops["corp"].Stop()
	check(t, known.get("/page"), "a session of the one that is down").status(http.StatusOK)
	check(t, other.open("/page"), "the chooser").status(http.StatusOK).shows(">corp<", ">partners<", ">guests<")
	check(t, other.open("/@app/auth/partners/login?returnto=/page"), "a login at another one").status(http.StatusOK).at(rpURL + "/page")

	r, ops = newChooser(t, nil) // a new site knows nothing about its providers
	ops["corp"].Stop()
	other = r.browser()
	check(t, other.open("/page"), "the chooser").status(http.StatusOK).shows(">corp<", ">partners<", ">guests<")
	check(t, other.open("/@app/auth/corp/login?returnto=/page"), "a login at the one that is down").
		refused(errorcode.ProviderUnavailable).shows(`href="/@app/auth/?returnto=%2Fpage"`)
	check(t, other.open("/@app/auth/partners/login?returnto=/page"), "a login at another one").status(http.StatusOK).at(rpURL + "/page")
}

// A login whose browser never reaches the provider causes no token request and expires after 15
// minutes.
//
// See docs/faults.md, row F05.
func TestALoginThatIsNotFinishedExpires(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now), oidctest.CodeLife(time.Hour))
	r := newHarness(t, protectedBy(op))
	r.at(clock.now)
	b := r.browser()
	callback := b.open("/page", rpURL+"/@app/auth/default/code").location()
	clock.advance(15*time.Minute + time.Second)
	check(t, b.get(callback), "after a quarter of an hour").refused(errorcode.LoginExpired)
	asked(t, op, oidctest.Token, 0)
	check(t, b.open("/page"), "another login").status(http.StatusOK).endsAt("/page")
}

// The token endpoint fails during a login. No session begins, the code is sent at most once even
// if the browser repeats its request, and another login works.
//
// See docs/faults.md, row F06.
func TestATokenEndpointThatFails(t *testing.T) {
	t.Parallel()
	lie := func(f oidctest.Fault) func(*oidctest.Provider) {
		return func(op *oidctest.Provider) { op.Lie(func(l *oidctest.Faults) { *l.At(oidctest.Token) = f }) }
	}
	for name, row := range map[string]struct {
		fail func(*oidctest.Provider)
		hits int
	}{
		"nothing listens there":            {(*oidctest.Provider).Stop, 0},
		"the connection is reset":          {lie(oidctest.Fault{Reset: true}), 1},
		"the connection ends":              {lie(oidctest.Fault{Drop: true}), 1},
		"it ends in the answer":            {lie(oidctest.Fault{Cut: true, CutAfter: 40}), 1},
		"it never answers":                 {silent(oidctest.Token), 1},
		"it answers with a server's error": {lie(oidctest.Fault{Status: 503}), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			timeout := "30s"
			if name == "it never answers" {
				timeout = "10s" // the login waits this long once
			}
			r := newHarness(t, protectedBy(op, "timeout "+timeout))
			w := r.witness(op, rpURL)
			callback := w.open("/page", rpURL+"/@app/auth/default/code").location()
			cookies := w.cookieHeader()
			row.fail(op)
			p := w.walk(callback)
			check(t, p).refused(errorcode.TokenExchangeFailed)
			again := r.browser()
			again.client.Jar = nil
			check(t, again.send(http.MethodGet, callback, map[string]string{"Cookie": cookies}), "once more").refused(errorcode.TokenExchangeFailed)
			asked(t, op, oidctest.Token, row.hits)
			equal(t, "a session was opened", w.opened, false)
			op.Start()
			op.Honest()
			check(t, w.walk("/page"), "another login").status(http.StatusOK).body("application sees alice")
			r.holdLogs(op, w)
		})
	}
}

// If a new key cannot be fetched, only logins that need it fail. Logins with known keys work,
// without another request for the keys.
//
// See docs/faults.md, row F09.
func TestANewKeyThatCannotBeFetched(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	r := newHarness(t, protectedBy(op))
	r.at(clock.now)
	r.signsIn()
	asked(t, op, oidctest.JWKS, 1)
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.JWKS).Status = 500 })
	op.SetKeys(1, 0, 1)
	check(t, r.browser().open("/page"), "by the new key").refused(errorcode.ProviderUnavailable)
	asked(t, op, oidctest.JWKS, 2)
	op.SetKeys(0, 0, 1)
	r.signsIn()
	asked(t, op, oidctest.JWKS, 2)
	op.SetKeys(1, 0, 1)
	op.Honest()
	clock.advance(10 * time.Second)
	r.signsIn()
	asked(t, op, oidctest.JWKS, 3)
}

// Keys that are published, used and removed in this order fail no login, however fast that
// happens. A removed key is accepted for at most 15 minutes.
//
// See docs/faults.md, rows F10 and F12.
func TestKeysOfAProviderAreReplacedInOrder(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]time.Duration{"at once": 0, "over days": 26 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := stop(t)
			op := newOP(t, oidctest.Now(clock.now))
			r := newHarness(t, protectedBy(op))
			r.at(clock.now)
			for key := range 3 {
				op.SetKeys(key, key)
				r.signsIn()
				op.SetKeys(key, key, key+1)
				clock.advance(pause)
				r.signsIn()
				op.SetKeys(key+1, key, key+1)
				r.signsIn()
				clock.advance(pause)
			}
			op.SetKeys(2, 3) // a token signed with the removed key
			clock.advance(15*time.Minute + time.Second)
			check(t, r.browser().open("/page"), "by a key that was removed").refused(errorcode.TokenInvalid)
		})
	}
}

// A key is used half a minute before it is published. Those logins fail, and the next one works.
//
// See docs/faults.md, row F11.
func TestAKeyThatIsUsedBeforeItIsPublished(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	r := newHarness(t, protectedBy(op))
	r.at(clock.now)
	r.signsIn()
	op.SetKeys(1, 0)
	for range 6 {
		check(required{t}, r.browser().open("/page"), "before").refused(errorcode.TokenInvalid)
		clock.advance(5 * time.Second)
	}
	op.SetKeys(1, 0, 1)
	clock.advance(10 * time.Second)
	r.signsIn()
	atMost(t, "the number of requests for the keys", op.Hits(oidctest.JWKS), 8)
}

// After a failover, the provider's address belongs to another issuer. Its metadata and tokens
// are not accepted. What was known before is used, and the log says so.
//
// See docs/faults.md, row F52.
func TestAnotherIssuerAnswersAfterAFailover(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	r := newHarness(t, protectedBy(op))
	r.at(clock.now)
	b := signedIn(t, r)
	op.Lie(func(l *oidctest.Faults) {
		l.Discovery = func(m map[string]any) {
			m["issuer"], m["authorization_endpoint"] = "https://tenant-b.example", "https://tenant-b.example/authorize"
		}
		l.IDToken.Claims = func(c map[string]any) { c["iss"] = "https://tenant-b.example" }
	})
	clock.advance(time.Hour + time.Minute)
	check(t, b.get("/page"), "the session").status(http.StatusOK)
	p := r.browser().open("/page", op.Issuer())
	check(t, p, "a login").leadsInto(op.URL(oidctest.Authorize) + "?")
	contains(t, "the log", r.logs(), "using what was fetched before")
	contains(t, "the log", r.logs(), "tenant-b.example")
	check(t, r.browser().open("/page"), "a token of the other issuer").refused(errorcode.TokenInvalid)
	clock.advance(24 * time.Hour)
	check(t, r.browser().get("/page"), "a day later").status(http.StatusServiceUnavailable).code(errorcode.ProviderUnavailable)
	op.Honest()
	clock.advance(longestPause)
	r.signsIn()
}

// The provider's Retry-After is respected for metadata, keys and pushed requests, and passed on
// to users. It counts for at most a minute.
//
// See docs/faults.md, row F19.
func TestAProviderSaysWhenItIsBack(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status int
		says   string
		pause  time.Duration
	}{
		{429, "30", 30 * time.Second},
		{503, "30", 30 * time.Second},
		{503, "7200", time.Minute},
		{503, "soon", time.Second}, // cannot be parsed: the usual first pause
	} {
		for _, e := range []oidctest.Endpoint{oidctest.Discovery, oidctest.JWKS, oidctest.PushedRequest} {
			t.Run(fmt.Sprintf("%s: %d with Retry-After %s", e, row.status, row.says), func(t *testing.T) {
				t.Parallel()
				clock := stop(t)
				options := []oidctest.Option{oidctest.Now(clock.now)}
				if e == oidctest.PushedRequest {
					options = append(options, oidctest.PushedRequests())
				}
				op := newOP(t, options...)
				r := newHarness(t, protectedBy(op))
				r.at(clock.now)
				op.Lie(func(l *oidctest.Faults) {
					l.At(e).Status = row.status
					l.At(e).Header = func(h http.Header) { h.Set("Retry-After", row.says) }
				})
				for waited := time.Duration(0); waited < row.pause; waited += 5 * time.Second {
					p := r.browser().open("/page")
					check(required{t}, p).code(errorcode.ProviderUnavailable)
					if e != oidctest.JWKS { // a callback has no Retry-After
						equal(required{t}, "Retry-After", p.Header.Get("Retry-After"), fmt.Sprint(int((row.pause - waited).Seconds())))
					}
					asked(t, op, e, 1)
					clock.advance(5 * time.Second)
				}
				op.Honest()
				clock.advance(longestPause)
				r.signsIn()
			})
		}
	}
}

package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// burnt expects that a ticket is no longer valid, even in the browser that it was for.
func (f *federation) burnt(t *testing.T, b *browser, ticket string) {
	t.Helper()
	check(t, b.get(ticket), "the ticket afterwards").refused(errorcode.LoginExpired)
	equal(t, "the status at the site", f.status(b, 0, appURL), http.StatusUnauthorized)
}

// If anything is wrong when a ticket is presented, it is refused, makes no session, and is
// no longer valid.
func TestATicketIsBurntByItsFirstPresentation(t *testing.T) {
	t.Parallel()
	for name, misuse := range map[string]func(f *federation, victim *browser, ticket string) (*visited, errorcode.Code){
		"in another browser": func(f *federation, _ *browser, ticket string) (*visited, errorcode.Code) {
			return f.browser().get(ticket), errorcode.StateMismatch
		},
		"in another browser that has a login in flight": func(f *federation, _ *browser, ticket string) (*visited, errorcode.Code) {
			other := f.browser()
			other.open(appURL+"/mine", authURL)
			return other.get(ticket), errorcode.StateMismatch
		},
		"in a browser that was signed in": func(f *federation, _ *browser, ticket string) (*visited, errorcode.Code) {
			return f.signIn("bob").get(ticket), errorcode.StateMismatch
		},
		"at another site": func(f *federation, victim *browser, ticket string) (*visited, errorcode.Code) {
			victim.open(wikiURL+"/mine", authURL)
			return victim.get(strings.Replace(ticket, appURL, wikiURL, 1)), errorcode.StateMismatch
		},
		"at the same host and another port": func(f *federation, victim *browser, ticket string) (*visited, errorcode.Code) {
			return victim.get(strings.Replace(ticket, appURL, appURL+":8443", 1)), errorcode.StateMismatch
		},
		"after a minute": func(f *federation, victim *browser, ticket string) (*visited, errorcode.Code) {
			f.clock.advance(time.Minute)
			return victim.get(ticket), errorcode.LoginExpired
		},
		"with a clock that was set back": func(f *federation, victim *browser, ticket string) (*visited, errorcode.Code) {
			f.clock.advance(-6 * time.Second)
			return victim.get(ticket), errorcode.LoginExpired
		},
		"for another provider": func(f *federation, victim *browser, ticket string) (*visited, errorcode.Code) {
			return victim.get(strings.Replace(ticket, "/corp/handover", "/other/handover", 1)), errorcode.StateMismatch
		},
		"after the logout at the login host": func(f *federation, victim *browser, ticket string) (*visited, errorcode.Code) {
			victim.get(authURL + "/Special:UserLogout")
			return victim.get(ticket), errorcode.LoginExpired
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newTwoProviders(t)
			victim := f.browser()
			ticket := f.ticket(victim)
			p, code := misuse(f, victim, ticket)
			check(t, p).refused(code).header("Cache-Control", "no-store").header("Referrer-Policy", "no-referrer")
			f.burnt(t, victim, ticket)
		})
	}
}

// newTwoProviders is a federation whose sites have two providers, of which the second one
// cannot be reached.
func newTwoProviders(t *testing.T) *federation {
	t.Helper()
	f := newFederation(t)
	f.op.Register(authURL + "/@app/auth/corp/code")
	block := func(lines string) string {
		return `
	oidc_rp {
		provider corp {
			` + options(f.op) + `
		}
		provider other {
			issuer http://127.0.0.1:1
			client_id rp
		}
		default_provider corp
		` + lines + `
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
`
	}
	f.another(`
http://auth.one.test {
	` + block("login_for app.two.test *.three.test") + `
}
http://app.two.test {
	` + block("login_at "+authURL) + `
}
http://wiki.three.test {
	` + block("login_at "+authURL) + `
}
`)
	return f
}

func TestATicketIsGoodForLessThanAMinute(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(1)
	b := f.browser()
	ticket := f.ticket(b)
	f.clock.advance(59 * time.Second)
	check(t, b.get(ticket)).status(http.StatusSeeOther).leadsTo("/page?q=1")
	check(t, b.get(ticket), "again").refused(errorcode.LoginExpired)
	f.lives("after the second presentation", b, appURL)
}

func TestWhatIsNoTicket(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(1)
	b := f.browser()
	ticket := f.ticket(b)
	value := ticket[strings.Index(ticket, "ticket=")+len("ticket="):]
	changed := "A" + value[1:]
	if changed == value {
		changed = "B" + value[1:]
	}
	path := appURL + "/@app/auth/default/handover"
	for name, tc := range map[string]struct {
		query string
		code  errorcode.Code
	}{
		"without one":     {"", errorcode.BadRequest},
		"empty":           {"?ticket=", errorcode.BadRequest},
		"too short":       {"?ticket=" + value[1:], errorcode.BadRequest},
		"too long":        {"?ticket=" + value + "A", errorcode.BadRequest},
		"twice":           {"?ticket=" + changed + "&ticket=" + changed, errorcode.BadRequest},
		"of another form": {"?ticket=" + strings.Repeat("%2F", len(value)), errorcode.BadRequest},
		"changed":         {"?ticket=" + changed, errorcode.LoginExpired},
	} {
		check(t, b.get(path+tc.query), name).refused(tc.code)
	}
	check(t, b.post(ticket, "x=1", nil), "by POST").status(http.StatusMethodNotAllowed)
	check(t, b.get(authURL+"/@app/auth/default/handover?ticket="+value), "at the login host").status(http.StatusNotFound)
	check(t, b.get(appURL+"/@app/auth/handover?request=x"), "a request at a site that is no login host").status(http.StatusNotFound)
	check(t, b.get(ticket), "the ticket itself").status(http.StatusSeeOther).leadsTo("/page?q=1")
}

// forSharedKinds runs a test for each store that a login host and its sites can share.
func forSharedKinds(t *testing.T, nodes int, run func(t *testing.T, f *federation)) {
	for _, kind := range []string{"cookie", "storage", "redis"} {
		t.Run("store "+kind, func(t *testing.T) {
			t.Parallel()
			f := newFederation(t)
			f.session = backendNamed(kind).option(t)
			if kind == "redis" {
				f.session += "\nsecret " + strings.Repeat("s", 40)
			}
			run(t, f.start(nodes))
		})
	}
}

// If a ticket is presented several times at once, on all nodes, it makes one session.
func TestATicketIsTakenOnceOnAllNodes(t *testing.T) {
	t.Parallel()
	forSharedKinds(t, 3, func(t *testing.T, f *federation) {
		b := f.browser()
		for range 4 {
			ticket := f.ticket(b)
			cookies := b.cookieOf(appURL)
			var wait sync.WaitGroup
			statuses := make([]int, 12)
			for i := range statuses {
				node := f.nodes[i%len(f.nodes)]
				wait.Go(func() {
					other := node.browser()
					other.client.Jar = nil
					statuses[i] = other.send(http.MethodGet, ticket, map[string]string{"Cookie": cookies}).StatusCode
				})
			}
			wait.Wait()
			took := 0
			for i, status := range statuses {
				switch status {
				case http.StatusSeeOther:
					took++
				case http.StatusForbidden:
				default:
					t.Errorf("presentation %d: expected status 303 or 403, seen %d", i, status)
				}
			}
			equal(t, "the presentations that made a session", took, 1)
		}
	})
}

// The clocks of nodes may differ by five seconds.
func TestATicketBetweenNodesWhoseClocksDiffer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		ahead  time.Duration // of the site's node
		status int
	}{{4 * time.Second, http.StatusSeeOther}, {-4 * time.Second, http.StatusSeeOther}, {-6 * time.Second, http.StatusForbidden}, {59 * time.Second, http.StatusSeeOther}, {61 * time.Second, http.StatusForbidden}} {
		f := newFederation(t).start(2)
		b := f.browser()
		ticket := f.ticket(b)
		f.nodes[1].at(func() time.Time { return f.clock.now().Add(tc.ahead) })
		moveTo(b, f.nodes[1])
		check(t, b.get(ticket), fmt.Sprint("the site's clock is ahead by ", tc.ahead)).status(tc.status)
	}
}

// sealed returns a handover request of the site app, sealed as by its own node, after a
// change.
func (f *federation) sealed(loginHost string, change func(*handover.Request)) string {
	f.t.Helper()
	r := handover.Request{
		Origin: appURL, Prefix: "/@app/auth", At: f.clock.now(), Store: "storage", Transaction: handover.HashTransaction("a state"),
		Providers: []handover.Accepted{{ID: "default", Binding: session.Bind(f.op.Issuer(), f.op.Client().ID)}},
	}
	change(&r)
	at, err := address.ParseOrigin(loginHost)
	if err != nil {
		f.t.Fatal(err)
	}
	text, err := r.Seal(f.nodes[0].ring(), at)
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

// The login host responds only to sealed requests of sites that login_for names, whoever
// is signed in, and redirects only to the origin of such a request.
func TestTheLoginHostRefusesRequests(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(1)
	b := f.signIn("alice")
	good := f.sealed(authURL, func(*handover.Request) {})
	check(required{t}, b.get(authURL+"/@app/auth/handover?request="+good), "a good request").leadsInto(appURL + "/@app/auth/default/handover?ticket=")
	with := func(change func(*handover.Request)) string { return f.sealed(authURL, change) }
	ring := f.nodes[0].ring()
	for name, tc := range map[string]struct {
		request string
		code    errorcode.Code
	}{
		"no request":               {"", errorcode.BadRequest},
		"an unsealed one":          {url.QueryEscape(`{"origin":"` + appURL + `"}`), errorcode.BadRequest},
		"with one byte changed":    {good[:len(good)/2] + otherThan(good[len(good)/2]) + good[len(good)/2+1:], errorcode.BadRequest},
		"cut off":                  {good[:len(good)-1], errorcode.BadRequest},
		"twice":                    {good + "&request=" + good, errorcode.BadRequest},
		"for another login host":   {f.sealed("https://auth.two.test", func(*handover.Request) {}), errorcode.BadRequest},
		"for another port":         {f.sealed(authURL+":8443", func(*handover.Request) {}), errorcode.BadRequest},
		"of a site without a name": {with(func(r *handover.Request) { r.Origin = "https://evil.test" }), errorcode.BadRequest},
		"of a name below":          {with(func(r *handover.Request) { r.Origin = "https://x.app.two.test" }), errorcode.BadRequest},
		"of two labels below":      {with(func(r *handover.Request) { r.Origin = "https://a.b.three.test" }), errorcode.BadRequest},
		"of plain HTTP":            {with(func(r *handover.Request) { r.Origin = "http://app.two.test" }), errorcode.BadRequest},
		"of an origin with a path": {with(func(r *handover.Request) { r.Origin = appURL + "/x" }), errorcode.BadRequest},
		"of an origin with a user": {with(func(r *handover.Request) { r.Origin = "https://app.two.test@evil.test" }), errorcode.BadRequest},
		"of the login host itself": {with(func(r *handover.Request) { r.Origin = authURL }), errorcode.BadRequest},
		"with endpoints elsewhere": {with(func(r *handover.Request) { r.Prefix = "@evil.test/" }), errorcode.BadRequest},
		"of another store":         {with(func(r *handover.Request) { r.Store = "redis" }), errorcode.BadRequest},
		"without a provider":       {with(func(r *handover.Request) { r.Providers = nil }), errorcode.BadRequest},
		"of another client id": {with(func(r *handover.Request) {
			r.Providers[0].Binding = session.Bind(f.op.Issuer(), "other")
		}), errorcode.BadRequest},
		"with another cookie":     {with(func(r *handover.Request) { r.Cookie, r.Return = "x", "https://evil.test/" }), errorcode.BadRequest},
		"after 15 minutes":        {with(func(r *handover.Request) { r.At = r.At.Add(-15 * time.Minute) }), errorcode.LoginExpired},
		"of the future":           {with(func(r *handover.Request) { r.At = r.At.Add(time.Minute) }), errorcode.LoginExpired},
		"a sealed ticket's place": {ring.Seal(seal.ForHandover, "handover record\x00"+authURL, []byte("x")), errorcode.BadRequest},
		"a transaction":           {ring.Seal(seal.ForTransaction, "handover request\x00"+authURL, []byte("x")), errorcode.BadRequest},
	} {
		p := b.get(authURL + "/@app/auth/handover?request=" + tc.request + "&returnto=https://evil.test/&ticket=x")
		check(t, p, name).refused(tc.code).header("Location", "").header("Cache-Control", "no-store")
	}
	check(t, b.send(http.MethodGet, authURL+"/@app/auth/handover?request="+good, map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}), "by a script").header("Location", "").status(http.StatusForbidden)
	check(t, b.send(http.MethodGet, authURL+"/@app/auth/handover?request="+good, map[string]string{"Sec-Fetch-Dest": "iframe"}), "in a frame").header("Location", "").status(http.StatusForbidden)
}

// An access token is no session: a program cannot turn one into a session at a site.
func TestTheLoginHostHandsNoProgramOver(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "application {\nbearer jwt {\naudience api\n}\n}").start(1)
	f.signIn("alice") // so that the site is confirmed
	b := f.browser()
	request := b.get(appURL + "/page").location()
	contains(required{t}, "the redirect", request, authURL+"/@app/auth/handover?request=")
	token := accessToken(f.op, map[string]any{"preferred_username": "alice"})
	for name, credential := range map[string]string{"a good one": token, "a bad one": token + "x"} {
		p := b.send(http.MethodGet, request, map[string]string{"Authorization": "Bearer " + credential})
		check(t, p, name).leadsInto(f.op.URL(oidctest.Authorize))
	}
}

func otherThan(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// A recorded request is invalid after 15 minutes, and before that it works only in the
// browser that began it.
func TestARequestIsReplayed(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(1)
	b := f.signIn("alice")
	b.jar.SetCookies(mustParse(t, appURL), []*http.Cookie{{Name: "__Host-oidc_rp", MaxAge: -1, Path: "/", Secure: true}})
	request := b.get(appURL + "/page").location()
	contains(required{t}, "the redirect", request, authURL+"/@app/auth/handover?request=")
	// It does not sign another user's browser in.
	bob := f.signIn("bob")
	ticket := bob.get(request).location()
	contains(required{t}, "the redirect", ticket, "?ticket=")
	check(t, bob.get(ticket), "another browser").refused(errorcode.StateMismatch)
	check(t, b.open(request), "the same browser").status(http.StatusOK).body("application sees alice")
	f.clock.advance(15 * time.Minute)
	check(t, b.get(request), "after 15 minutes").refused(errorcode.LoginExpired)
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// The first user of a new site confirms it, on a page that no other site can submit.
func TestANewSiteIsAskedAbout(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(1)
	b := f.browser()
	asked := b.open(appURL + "/page")
	check(required{t}, asked).status(http.StatusOK).shows("app.two.test", "alice").header("X-Frame-Options", "DENY")
	form := func(p *visited) url.Values {
		values := make(url.Values)
		for _, field := range formField.FindAllStringSubmatch(p.body, -1) {
			values.Set(field[1], field[2])
		}
		return values
	}
	post := func(values url.Values, header map[string]string) *visited {
		return b.post(authURL+"/@app/auth/handover", values.Encode(), header)
	}
	sameOrigin := map[string]string{"Origin": authURL, "Sec-Fetch-Site": "same-origin"}
	check(t, post(form(asked), map[string]string{"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}), "sent by another site").refused(errorcode.BadRequest)
	without := form(asked)
	without.Del("confirmation")
	check(t, post(without, sameOrigin), "without the proof").status(http.StatusOK).shows("Continue to")
	changed := form(asked)
	changed.Set("confirmation", changed.Get("confirmation")[:40]+otherThan(changed.Get("confirmation")[40])+changed.Get("confirmation")[41:])
	check(t, post(changed, sameOrigin), "with a proof that was changed").status(http.StatusOK).shows("Continue to")
	mallory := f.browser()
	f.op.SignIn("bob")
	theirs := form(mallory.open(appURL + "/page"))
	stolen := form(asked)
	stolen.Set("confirmation", theirs.Get("confirmation"))
	check(t, post(stolen, sameOrigin), "with another user's proof").status(http.StatusOK).shows("Continue to")
	check(t, f.browser().open(appURL+"/other"), "a third user").shows("Continue to")
	check(t, post(form(asked), sameOrigin), "as the page sends it").status(http.StatusSeeOther).leadsInto(appURL + "/@app/auth/default/handover?ticket=")
	check(t, f.browser().open(appURL+"/other"), "a fourth user").status(http.StatusOK).body("application sees bob")
	check(t, f.browser().open(wikiURL+"/"), "another site").shows("Continue to")
}

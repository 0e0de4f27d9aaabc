package integration_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

const sessionPath = "/@app/auth/session"

// byScript are the headers of a request by a script of the site.
var byScript = map[string]string{
	"Accept": "*/*", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin", "Referer": rpURL + "/page?x=1",
}

// byForeignScript are the headers of a request by a script of another origin.
func byForeignScript(origin string) map[string]string {
	return with(byScript, "Origin", origin, "Sec-Fetch-Site", "cross-site", "Referer", origin+"/")
}

// sessionState is the response of the session endpoint.
type sessionState struct {
	Authenticated bool
	User          *struct {
		ID, Name, Email, Provider string
		Groups                    []string
	}
	Claims    map[string]json.RawMessage
	ExpiresIn *int64 `json:"expires_in"`
	Idle      *int64 `json:"idle_expires_in"`
	LoginURL  string `json:"login_url"`
	LogoutURL string `json:"logout_url"`
}

func sessionOf(t testing.TB, p *visited) (s sessionState) {
	t.Helper()
	check(required{t}, p).status(http.StatusOK).header("Content-Type", "application/json")
	if err := json.Unmarshal([]byte(p.body), &s); err != nil {
		t.Fatalf("%s: %v", p.body, err)
	}
	return s
}

// session reads the session endpoint as a script of the site does.
func (b *browser) session() sessionState {
	b.t.Helper()
	return sessionOf(b.t, b.send("GET", sessionPath, byScript))
}

func TestTheSessionEndpointSaysWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	claimsOf(op, map[string]any{"groups": []string{"staff", "a,b"}, "department": map[string]any{"id": 7}, "phone": "secret"})
	r := newHarness(t, protectedBy(op, `
		session_endpoint {
			claims department.id absent
		}
		session {
			lifetime 2h
			idle_timeout 30m
		}
	`))
	b := r.browser()
	anonymous := b.send("GET", sessionPath, byScript)
	check(t, anonymous).hides("user", "claims", "expires").header("Cache-Control", "no-store").
		header("Vary", "Origin, Cookie, Sec-Fetch-Site").header("Cross-Origin-Resource-Policy", "same-origin").
		header("X-Content-Type-Options", "nosniff").header("Access-Control-Allow-Origin", "").setsCookies(0)
	s := sessionOf(t, anonymous)
	equal(t, "without a session: authenticated", s.Authenticated, false)
	equal(t, "without a session: login_url", s.LoginURL, "/@app/auth/default/login?returnto=%2Fpage%3Fx%3D1")
	equal(t, "without a session: logout_url", s.LogoutURL, "/Special:UserLogout")

	check(t, b.open("/")).status(http.StatusOK)
	p := b.send("GET", sessionPath, byScript)
	check(t, p).hides("secret", "absent")
	s = sessionOf(t, p)
	equal(t, "authenticated", s.Authenticated, true)
	equal(t, "id", s.User.ID, "alice")
	equal(t, "name", s.User.Name, "Alice Müller")
	equal(t, "email", s.User.Email, "alice@example.com")
	equal(t, "provider", s.User.Provider, "default")
	list(t, "groups", s.User.Groups, "staff", "a,b")
	equal(t, "the claim", string(s.Claims["department.id"]), "7")
	equal(t, "the number of claims", len(s.Claims), 1)
	atMost(t, "expires_in", int(*s.ExpiresIn), 7200)
	atLeast(t, "expires_in", int(*s.ExpiresIn), 7100)
	atMost(t, "idle_expires_in", int(*s.Idle), 1800)
	atLeast(t, "idle_expires_in", int(*s.Idle), 1700)
	b.get("/Special:UserLogout")
	equal(t, "after a logout: authenticated", b.session().Authenticated, false)
}

func TestTheSessionEndpointIsThereOnlyWithItsOption(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	check(t, r.browser().send("GET", sessionPath, byScript)).status(http.StatusNotFound)
}

// The session endpoint requests the claims that it returns, even if nothing else needs
// them.
func TestTheSessionEndpointAsksUserinfoForWhatItReturns(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, "session_endpoint"))
	s := signedIn(t, r).session()
	equal(t, "name", s.User.Name, "Alice Müller")
	list(t, "groups", s.User.Groups, "admins", "staff")
	equal(t, "claims are an object", s.Claims != nil, true)
	equal(t, "there is no idle timeout", s.Idle == nil, true)
}

func TestReadingTheSessionDoesNotProlongIt(t *testing.T) {
	t.Parallel()
	stop(t)
	r := newHarness(t, protectedBy(newOP(t), `
		session_endpoint
		session {
			idle_timeout 30m
		}
	`))
	b := signedIn(t, r)
	fetchedAt := func(minutes int) sessionState {
		r.ahead(time.Duration(minutes) * time.Minute)
		return b.session()
	}
	equal(t, "after 20 minutes: authenticated", fetchedAt(20).Authenticated, true)
	idle := *fetchedAt(29).Idle
	atMost(t, "idle_expires_in after 29 minutes", int(idle), 60)
	posted := b.do("POST", rpURL+sessionPath, "", with(byScript, "Origin", rpURL))
	check(t, posted, "a POST").setsAnyCookie()
	atLeast(t, "idle_expires_in after a POST", int(*sessionOf(t, posted).Idle), 1799)
	equal(t, "30 minutes later: authenticated", fetchedAt(58).Authenticated, true)
	equal(t, "when it is over: authenticated", fetchedAt(60).Authenticated, false)
	check(t, b.do("POST", rpURL+sessionPath, "", with(byScript, "Origin", rpURL)), "a POST that comes too late").shows(`"authenticated":false`)
}

func TestOtherOriginsReadTheSessionOnlyIfTheyAreListed(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t), `
		session_endpoint {
			origin https://spa.test https://other.test:8443
		}
		return_to https://friend.test
	`))
	b := signedIn(t, r)
	for name, row := range map[string]struct {
		header map[string]string
		status int
		reader string // the origin that may read the response
	}{
		"a page of the site":                      {nil, 200, ""},
		"a page of the site that names itself":    {map[string]string{"Origin": rpURL}, 200, ""},
		"an old browser's page of the site":       {map[string]string{"Sec-Fetch-Site": "", "Sec-Fetch-Mode": "", "Sec-Fetch-Dest": ""}, 200, ""},
		"a listed origin":                         {byForeignScript("https://spa.test"), 200, "https://spa.test"},
		"a listed origin with a port":             {byForeignScript("https://other.test:8443"), 200, "https://other.test:8443"},
		"a listed origin of the same site":        {with(byForeignScript("https://spa.test"), "Sec-Fetch-Site", "same-site"), 200, "https://spa.test"},
		"a listed origin of an old browser":       {with(byForeignScript("https://spa.test"), "Sec-Fetch-Site", ""), 200, "https://spa.test"},
		"another origin":                          {byForeignScript("https://evil.test"), 403, ""},
		"an origin of return_to":                  {byForeignScript("https://friend.test"), 403, ""},
		"another origin of an old browser":        {with(byForeignScript("https://evil.test"), "Sec-Fetch-Site", ""), 403, ""},
		"another port":                            {byForeignScript("https://other.test"), 403, ""},
		"plain HTTP":                              {byForeignScript("http://spa.test"), 403, ""},
		"a longer name":                           {byForeignScript("https://spa.test.evil.test"), 403, ""},
		"an origin in other case":                 {byForeignScript("https://SPA.test"), 403, ""},
		"an origin with a path":                   {byForeignScript("https://spa.test/"), 403, ""},
		"an opaque origin":                        {byForeignScript("null"), 403, ""},
		"a wildcard":                              {byForeignScript("*"), 403, ""},
		"a script element":                        {map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script", "Referer": "https://spa.test/"}, 403, ""},
		"an image on the same site":               {map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403, ""},
		"a no-cors fetch of a listed origin":      {map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Referer": "https://spa.test/"}, 403, ""},
		"our own origin on another site":          {map[string]string{"Origin": rpURL, "Sec-Fetch-Site": "cross-site"}, 403, ""},
		"a word about the site that is not known": {map[string]string{"Sec-Fetch-Site": "elsewhere"}, 403, ""},
		"a page that a user opens":                {map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 404, ""},
		"a page that a link elsewhere opens":      {map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"}, 404, ""},
		"a document without a mode":               {map[string]string{"Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "document"}, 404, ""},
		"a frame":                                 {map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := b.send("GET", sessionPath, with(byScript, flat(row.header)...))
			c := check(t, p).status(row.status).header("Access-Control-Allow-Origin", row.reader).header("Vary", "Origin, Cookie, Sec-Fetch-Site")
			credentials, policy := "", "same-origin"
			if row.reader != "" {
				credentials, policy = "true", "cross-origin"
			}
			c.header("Access-Control-Allow-Credentials", credentials).header("Cross-Origin-Resource-Policy", policy)
			if row.status == http.StatusOK {
				c.shows(`"authenticated":true`)
			} else {
				c.hides(`"authenticated"`)
			}
			if row.status == http.StatusForbidden {
				c.hides("alice").setsCookies(0)
			}
		})
	}
	elsewhere := sessionOf(t, b.send("GET", sessionPath, byForeignScript("https://spa.test")))
	equal(t, "login_url for another origin", elsewhere.LoginURL, rpURL+"/@app/auth/default/login")
	equal(t, "logout_url for another origin", elsewhere.LogoutURL, rpURL+"/Special:UserLogout")
}

// flat returns a header as the arguments of with.
func flat(header map[string]string) (pairs []string) {
	for name, value := range header {
		pairs = append(pairs, name, value)
	}
	return pairs
}

// The response to a page that may not read it does not depend on the session, since no
// session is opened for it.
func TestNothingIsOpenedForOriginsThatAreNotListed(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 1, "session_endpoint", "idle_timeout 30m")
	r := s.nodes[0]
	b := s.signIn(r, "alice")
	s.records().fail(reading, errTestDown)
	s.at(time.Minute) // what was read before is too old now
	check(t, b.send("GET", sessionPath, byScript), "with the store down").status(http.StatusServiceUnavailable).hasHeader("Retry-After").hides("authenticated")
	check(t, b.send("GET", sessionPath, byForeignScript("https://evil.test")), "another origin").status(http.StatusForbidden).setsCookies(0)
}

func TestOnlyPagesOfTheSiteProlongSessions(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t), `
		session_endpoint {
			origin https://spa.test
		}
		session {
			idle_timeout 30m
		}
	`))
	b := signedIn(t, r)
	for name, header := range map[string]map[string]string{
		"without an Origin":                {},
		"a listed origin":                  byForeignScript("https://spa.test"),
		"another origin":                   byForeignScript("https://evil.test"),
		"an opaque origin":                 {"Origin": "null"},
		"our origin, sent from elsewhere":  {"Origin": rpURL, "Sec-Fetch-Site": "cross-site"},
		"our origin, sent from a sibling":  {"Origin": rpURL, "Sec-Fetch-Site": "same-site"},
		"our origin with another scheme":   {"Origin": "http://rp.test"},
		"our origin with a path behind it": {"Origin": rpURL + "/"},
	} {
		check(t, b.do("POST", rpURL+sessionPath, "", with(byScript, flat(header)...)), name).status(http.StatusForbidden).setsCookies(0)
	}
	check(t, b.do("POST", rpURL+sessionPath, "", with(byScript, "Origin", rpURL, "Sec-Fetch-Mode", "navigate")), "a form").status(http.StatusNotFound)
	check(t, b.send("PUT", sessionPath, byScript), "another method").status(http.StatusMethodNotAllowed).header("Allow", "GET, POST")
	two := r.raw("GET "+sessionPath+" HTTP/1.1", "Host: rp.test", "Connection: close", "Origin: https://spa.test", "Origin: https://spa.test")
	check(t, two, "two origins").status(http.StatusForbidden)
}

// A user whom the rules of the site refuse is anonymous at the session endpoint, as on
// public pages.
func TestTheSessionEndpointHoldsToTheRulesOfTheInstance(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp public {
		`+options(op)+`
		session_endpoint
		require group admins
		require expression `+"`{http.request.uri.path} != '/never'`"+`
		private /private/*
	}
	respond "user {http.auth.user.id}"
}
`)
	b := r.browser()
	check(t, b.open("/private/x")).shows("user alice")
	equal(t, "with the group: authenticated", b.session().Authenticated, true)

	op.SignIn("bob")
	other := r.browser()
	check(t, other.open("/private/x")).status(http.StatusForbidden)
	equal(t, "without the group: authenticated", other.session().Authenticated, false)
	check(t, other.send("GET", sessionPath, byScript), "without the group").hides("bob")
}

func TestTheFirstInstanceWithASessionEndpointServesIt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	handle /a/* {
		oidc_rp {
			`+options(op)+`
		}
		respond "a"
	}
	handle {
		oidc_rp {
			`+options(op)+`
			session_endpoint {
				claims sub
			}
		}
		respond "b"
	}
}
`)
	b := r.browser()
	check(t, b.open("/b")).status(http.StatusOK)
	s := b.session()
	equal(t, "authenticated", s.Authenticated, true)
	equal(t, "the claim", string(s.Claims["sub"]), `"`+s.subject(t)+`"`)
}

// subject is the claim sub.
func (s sessionState) subject(t testing.TB) (sub string) {
	t.Helper()
	succeeds(t, "read sub", json.Unmarshal(s.Claims["sub"], &sub))
	differs(t, "sub", sub, "")
	return sub
}

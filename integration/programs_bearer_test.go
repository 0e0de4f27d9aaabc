package integration_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// jwtSite is a site that accepts access tokens of a provider.
func jwtSite(t *testing.T, op *oidctest.Provider, more ...string) *harness {
	t.Helper()
	return newHarness(t, protectedBy(op, append([]string{`
application {
	bearer jwt {
		audience api
	}
}
`}, more...)...))
}

func TestAnAccessTokenLetsAProgramIn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := jwtSite(t, op, `
upstream {
	header X-Kind {http.oidc_rp.kind}
	header X-Groups groups
	header X-Claim {http.auth.user.claims.department}
	id_token
}
`)
	person := accessToken(op, map[string]any{"preferred_username": "alice", "groups": []string{"a", "b"}, "department": "d"})
	check(t, r.rawGet("/", bearerOf(person))).status(http.StatusOK).body("application sees alice")
	got, _ := r.upstream.got()
	equal(t, "the kind", got.Get("X-Kind"), "person")
	equal(t, "the groups", got.Get("X-Groups"), "a,b")
	equal(t, "a claim", got.Get("X-Claim"), "d")
	equal(t, "the token at the application", got.Get("Authorization"), "")
	equal(t, "the ID token at the application", got.Get("X-Id-Token"), "")

	check(t, r.rawGet("/", bearerOf(clientToken(op, "batch/1", nil)))).status(http.StatusOK).body("application sees client/batch%2F1")
	got, _ = r.upstream.got()
	equal(t, "the kind", got.Get("X-Kind"), "client")

	check(t, r.rawGet("/", bearerOf(accessToken(op, nil)))).status(http.StatusOK).body("application sees u-1")
}

// A token of the provider that is not a valid access token for this site is refused, even
// on public routes.
func TestTokensThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := jwtSite(t, op, "public /open*")
	b := r.browser()
	b.open("/page")
	idToken := op.Issued().IDToken
	good := accessToken(op, nil)
	for name, token := range map[string]string{
		"an ID token": idToken,
		"an ID token for the audience of the API": accessToken(op, map[string]any{"nonce": "n"}, "JWT"),
		"a logout token":                 op.LogoutToken("u-1", "", oidctest.JWTLies{}),
		"a token for another API":        accessToken(op, map[string]any{"aud": "other"}),
		"a token that is bound to a key": accessToken(op, map[string]any{"cnf": map[string]any{"jkt": "x"}}),
		"an expired token":               accessToken(op, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}),
		"a token without an end":         accessToken(op, map[string]any{"exp": nil}),
		"a token with another signature": op.Mint(map[string]any{"iss": op.Issuer(), "aud": "api", "sub": "u"}, oidctest.JWTLies{Signature: oidctest.SignWithWrongKey}),
		"a token without a signature":    good[:strings.LastIndexByte(good, '.')+1],
		"alg none":                       op.Mint(map[string]any{"iss": op.Issuer(), "aud": "api", "sub": "u"}, oidctest.JWTLies{Alg: "none"}),
		"HS256 with the public key":      op.Mint(map[string]any{"iss": op.Issuer(), "aud": "api", "sub": "u"}, oidctest.JWTLies{Signature: oidctest.SignWithPublicKey}),
	} {
		for _, page := range []string{"/", "/open"} {
			check(t, r.rawGet(page, bearerOf(token)), name, page).status(http.StatusUnauthorized).headerHas("Www-Authenticate", `error="invalid_token"`)
		}
	}
	equal(t, "requests that the application got", r.upstream.count(), 1)
	check(t, r.rawGet("/", bearerOf(good))).status(http.StatusOK)
	lacks(t, "the log", r.logs(), strings.Split(good, ".")[1])
}

// Credentials that this site does not recognize belong to the application.
func TestTokensOfOthersAreTheApplications(t *testing.T) {
	t.Parallel()
	op, other := newOP(t), newOP(t)
	r := jwtSite(t, op, "public /open*")
	for _, token := range []string{"opaque", accessToken(other, nil), "a.b.c"} {
		check(t, r.rawGet("/open", bearerOf(token)), token).status(http.StatusOK).body("application sees ")
		got, _ := r.upstream.got()
		equal(t, "the token at the application", got.Get("Authorization"), "Bearer "+token)
		check(t, r.rawGet("/", bearerOf(token)), token).status(http.StatusUnauthorized).headerLacks("Www-Authenticate", "invalid_token")
	}
}

func TestTypAnyTakesAccessTokensOfOlderKinds(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, `
application {
	bearer jwt {
		audience api `+op.Client().ID+`
		typ any
	}
}
`))
	check(t, r.rawGet("/", bearerOf(accessToken(op, nil, "JWT")))).status(http.StatusOK)
	check(t, r.rawGet("/", bearerOf(accessToken(op, map[string]any{"at_hash": "x"}, "JWT")))).status(http.StatusUnauthorized)
	// ID tokens have the client id as their audience.
	check(t, r.rawGet("/", bearerOf(accessToken(op, map[string]any{"aud": op.Client().ID}, "JWT")))).status(http.StatusUnauthorized)
	check(t, r.rawGet("/", bearerOf(accessToken(op, map[string]any{"aud": op.Client().ID})))).status(http.StatusOK)
}

func TestFurtherIssuersHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	op, other := newOP(t), newOP(t)
	r := newHarness(t, protectedBy(op, `
application {
	bearer jwt {
		audience api
	}
	bearer jwt ci {
		issuer `+other.Issuer()+`
		audience deploy
	}
}
upstream {
	header X-Groups groups
	header X-Provider {http.oidc_rp.provider}
}
`))
	token := accessToken(other, map[string]any{"aud": "deploy", "sub": "repo:org/repo", "groups": []string{"admins", "a/b"}})
	check(t, r.rawGet("/", bearerOf(token))).status(http.StatusOK).body("application sees ci/repo:org%2Frepo")
	got, _ := r.upstream.got()
	equal(t, "the groups", got.Get("X-Groups"), "ci/admins,ci/a%252Fb")
	equal(t, "the provider", got.Get("X-Provider"), "ci")
	check(t, r.rawGet("/", bearerOf(clientToken(other, "x", map[string]any{"aud": "deploy"})))).status(http.StatusOK).body("application sees ci/client%2Fx")
	// A user whose name looks like that of a client is not that client.
	check(t, r.rawGet("/", bearerOf(accessToken(other, map[string]any{"aud": "deploy", "sub": "client/x"})))).status(http.StatusOK).body("application sees ci/%63lient%2Fx")
	// Neither issuer can issue tokens for the other one.
	check(t, r.rawGet("/", bearerOf(accessToken(other, map[string]any{"aud": "api"})))).status(http.StatusUnauthorized)
	check(t, r.rawGet("/", bearerOf(accessToken(op, map[string]any{"aud": "deploy"})))).status(http.StatusUnauthorized)
	check(t, r.rawGet("/", bearerOf(accessToken(other, map[string]any{"iss": op.Issuer()})))).status(http.StatusUnauthorized)
	// A group of the provider cannot look like one of the issuer ci.
	check(t, r.rawGet("/", bearerOf(accessToken(op, map[string]any{"groups": []string{"ci/admins"}})))).status(http.StatusOK)
	got, _ = r.upstream.got()
	equal(t, "the groups of a user of the provider", got.Get("X-Groups"), "ci%252Fadmins")
}

func TestRulesApplyToTokens(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := jwtSite(t, op, `
private /write* {
	require scope write admin
}
private /gold* {
	require acr gold
	require max_age 10m
}
private /clean* {
	deny claim suspended true
}
`)
	scoped := func(scope any) string { return bearerOf(accessToken(op, map[string]any{"scope": scope})) }
	check(t, r.rawGet("/write", scoped("read write"))).status(http.StatusOK)
	check(t, r.rawGet("/write", scoped([]string{"write"}))).status(http.StatusOK)
	check(t, r.rawGet("/write", bearerOf(accessToken(op, map[string]any{"scp": "admin"})))).status(http.StatusOK)
	check(t, r.rawGet("/write", scoped("read"))).status(http.StatusForbidden).
		headerHas("Www-Authenticate", `Bearer realm="rp.test"`, `error="insufficient_scope"`, `scope="write`)
	check(t, r.rawGet("/write")).status(http.StatusUnauthorized).headerHas("Www-Authenticate", `scope="write"`)

	signedInAt := func(ago time.Duration, acr string) string {
		return bearerOf(accessToken(op, map[string]any{"auth_time": time.Now().Add(-ago).Unix(), "acr": acr}))
	}
	check(t, r.rawGet("/gold", signedInAt(time.Minute, "gold"))).status(http.StatusOK)
	for name, token := range map[string]string{
		"another acr":     signedInAt(time.Minute, "silver"),
		"too long ago":    signedInAt(time.Hour, "gold"),
		"no auth_time":    bearerOf(accessToken(op, map[string]any{"acr": "gold"})),
		"nothing of both": bearerOf(accessToken(op, nil)),
	} {
		check(t, r.rawGet("/gold", token, "Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"), name).status(http.StatusUnauthorized).
			headerHas("Www-Authenticate", `error="insufficient_user_authentication"`, `acr_values="gold"`, `max_age=600`)
	}

	// Without the claim, a user is refused, since userinfo could have it. A client has no
	// userinfo.
	check(t, r.rawGet("/clean", bearerOf(accessToken(op, map[string]any{"suspended": false})))).status(http.StatusOK)
	check(t, r.rawGet("/clean", bearerOf(accessToken(op, map[string]any{"suspended": true})))).status(http.StatusForbidden)
	check(t, r.rawGet("/clean", bearerOf(accessToken(op, nil)))).status(http.StatusForbidden)
	check(t, r.rawGet("/clean", bearerOf(clientToken(op, "c", nil)))).status(http.StatusOK)
}

func TestTheCheckedTokenIsPassedOn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := jwtSite(t, op, `
upstream {
	access_token
}
`)
	token := accessToken(op, nil)
	for range 2 {
		check(t, r.rawGet("/", bearerOf(token))).status(http.StatusOK)
		got, _ := r.upstream.got()
		list(t, "the token at the application", got.Values("Authorization"), "Bearer "+token)
	}
}

// A remembered token is accepted until it expires or the provider withdraws its key.
func TestRememberedTokensEnd(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t)
	r := jwtSite(t, op)
	short := accessToken(op, map[string]any{"exp": clock.now().Add(2 * time.Minute).Unix()})
	check(t, r.rawGet("/", bearerOf(short))).status(http.StatusOK)
	clock.by.Store(int64(4 * time.Minute))
	check(t, r.rawGet("/", bearerOf(short))).status(http.StatusUnauthorized)

	long := accessToken(op, map[string]any{"exp": clock.now().Add(24 * time.Hour).Unix()})
	check(t, r.rawGet("/", bearerOf(long))).status(http.StatusOK)
	op.RotateKeys()
	op.SetKeys(1, 1)
	clock.by.Store(int64(25 * time.Minute))
	check(t, r.rawGet("/", bearerOf(long))).status(http.StatusUnauthorized)
}

func TestALogoutEndsTokensThatWereIssuedBefore(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t)
	r := jwtSite(t, op)
	earlier := clock.now().Add(-time.Minute).Unix()
	mine := accessToken(op, map[string]any{"sid": "s-1", "iat": earlier})
	sameUser := accessToken(op, map[string]any{"sid": "s-2", "iat": earlier})
	later := accessToken(op, map[string]any{"sid": "s-1", "iat": clock.now().Add(30 * time.Second).Unix()})
	for _, token := range []string{mine, sameUser, later} {
		check(t, r.rawGet("/", bearerOf(token))).status(http.StatusOK)
	}
	check(t, r.tell(op.LogoutToken("", "s-1", oidctest.JWTLies{}))).status(http.StatusOK)
	check(t, r.rawGet("/", bearerOf(mine))).status(http.StatusUnauthorized)
	check(t, r.rawGet("/", bearerOf(sameUser))).status(http.StatusOK)
	check(t, r.rawGet("/", bearerOf(later))).status(http.StatusOK)
	check(t, r.tell(op.LogoutToken("u-1", "", oidctest.JWTLies{}))).status(http.StatusOK)
	check(t, r.rawGet("/", bearerOf(sameUser))).status(http.StatusUnauthorized)
}

func TestAProviderThatIsDownIsNoRefusal(t *testing.T) {
	t.Parallel()
	stop(t)
	op := newOP(t)
	r := jwtSite(t, op)
	token := accessToken(op, nil)
	op.Stop()
	check(t, r.rawGet("/", bearerOf(token))).status(http.StatusServiceUnavailable).hasHeader("Retry-After")
	op.Start()
	r.ahead(time.Minute)
	check(t, r.rawGet("/", bearerOf(token))).status(http.StatusOK)
	op.Stop()
	check(t, r.rawGet("/", bearerOf(token))).status(http.StatusOK)
}

// introspectSite is a site that introspects bearer tokens.
func introspectSite(t *testing.T, op *oidctest.Provider, i *introspector, more ...string) *harness {
	t.Helper()
	return newHarness(t, protectedBy(op, append([]string{`
introspection_endpoint ` + i.URL + `
application {
	bearer introspect {
		audience api
		client cli
	}
}
`}, more...)...))
}

func TestTheProviderIsAskedAboutTokens(t *testing.T) {
	t.Parallel()
	op, i := newOP(t), newIntrospector(t)
	r := introspectSite(t, op, i, "public /open*")
	clock := stop(t)
	r.at(clock.now)
	i.set("good", `{"active":true,"aud":"api","sub":"u-1","preferred_username":"alice"}`)
	i.set("client", `{"active":true,"client_id":"cli"}`)
	i.set("other", `{"active":true,"aud":"other","sub":"u-1"}`)
	for range 3 {
		check(t, r.rawGet("/", bearerOf("good"))).status(http.StatusOK).body("application sees alice")
	}
	equal(t, "calls", i.count(), 1)
	check(t, r.rawGet("/", bearerOf("client"))).status(http.StatusOK).body("application sees client/cli")
	for _, page := range []string{"/", "/open"} {
		check(t, r.rawGet(page, bearerOf("other"))).status(http.StatusUnauthorized).headerHas("Www-Authenticate", `error="invalid_token"`)
	}
	equal(t, "calls", i.count(), 3)

	// The site notices within 30 seconds that a token was revoked, and within five that one is
	// valid now.
	i.set("good", "")
	i.set("other", `{"active":true,"aud":"api","sub":"u-1"}`)
	clock.by.Store(int64(6 * time.Second))
	check(t, r.rawGet("/", bearerOf("good"))).status(http.StatusOK)
	check(t, r.rawGet("/", bearerOf("other"))).status(http.StatusOK)
	clock.by.Store(int64(31 * time.Second))
	check(t, r.rawGet("/", bearerOf("good"))).status(http.StatusUnauthorized)

	// Values that cannot be tokens cause no call.
	calls := i.count()
	for _, token := range []string{strings.Repeat("a", 8193), "a b", "ä", "=", "", "orp_ci_key-of-another-site"} {
		check(t, r.rawGet("/", bearerOf(token)), token).status(http.StatusUnauthorized)
	}
	equal(t, "calls", i.count(), calls)

	i.fail(http.StatusInternalServerError)
	check(t, r.rawGet("/", bearerOf("new"))).status(http.StatusServiceUnavailable).hasHeader("Retry-After")
	check(t, r.rawGet("/open", bearerOf("new"))).status(http.StatusServiceUnavailable).hasHeader("Retry-After")
	lacks(t, "the log", r.logs(), `"new"`)
}

func TestCallsToIntrospectionAreBounded(t *testing.T) {
	t.Parallel()
	op, i := newOP(t), newIntrospector(t)
	r := introspectSite(t, op, i)
	i.hold = make(chan struct{})
	statuses := make(chan int, 40)
	for n := range 40 {
		go func() { statuses <- r.rawGet("/", bearerOf("t"+strings.Repeat("x", n))).StatusCode }()
	}
	for range 8 { // 32 of the 40 wait for the provider
		equal(t, "the status", <-statuses, http.StatusServiceUnavailable)
	}
	close(i.hold)
	for range 32 {
		equal(t, "the status", <-statuses, http.StatusUnauthorized)
	}
	equal(t, "calls", i.count(), 32)
}

// A back-channel logout ends introspected tokens at once.
func TestALogoutEndsIntrospectedTokens(t *testing.T) {
	t.Parallel()
	op, i := newOP(t), newIntrospector(t)
	r := introspectSite(t, op, i)
	i.set("good", `{"active":true,"aud":"api","sub":"u-1"}`)
	check(t, r.rawGet("/", bearerOf("good"))).status(http.StatusOK)
	check(t, r.tell(op.LogoutToken("u-1", "", oidctest.JWTLies{}))).status(http.StatusOK)
	check(t, r.rawGet("/", bearerOf("good"))).status(http.StatusUnauthorized)
}

// A JWT of the provider is verified by its signature and claims, and never introspected.
func TestEachTokenHasOneJudge(t *testing.T) {
	t.Parallel()
	op, i := newOP(t), newIntrospector(t)
	r := newHarness(t, protectedBy(op, `
introspection_endpoint `+i.URL+`
application {
	bearer introspect {
		audience api
	}
	bearer jwt {
		audience api
	}
}
`))
	bad := accessToken(op, map[string]any{"aud": "other"})
	i.set(bad, `{"active":true,"aud":"api","sub":"admin"}`)
	check(t, r.rawGet("/", bearerOf(bad))).status(http.StatusUnauthorized)
	equal(t, "calls", i.count(), 0)
}

// The issuer of a token selects the provider that verifies it, so of two clients of one
// issuer the second one verifies none.
func TestTwoProvidersOfOneIssuerHaveOneJudge(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		provider one two
		application {
			bearer jwt {
				audience api
			}
		}
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`, `
oidc_rp {
	provider one {
		`+options(op)+`
	}
	provider two {
		`+options(op)+`
	}
}
`)
	check(t, r.rawGet("/", bearerOf(accessToken(op, nil)))).status(http.StatusOK)
	if log := r.logs(); !strings.Contains(log, "two providers have the same issuer") {
		t.Errorf("expected a warning about the second provider, seen %s", log)
	}
}

// The client id of any site cannot be an audience: a token that the provider issues to
// that client at a sign-in is an ID token, wherever it is sent.
func TestAClientIDOfAnotherSiteIsNoAudience(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		application {
			bearer jwt {
				audience other-client
				typ any
			}
		}
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
http://other.test {
	oidc_rp {
		issuer `+op.Issuer()+`
		client_id other-client
		client_secret secret
	}
}
`)
	check(t, r.rawGet("/", bearerOf(accessToken(op, map[string]any{"aud": "other-client"}, "JWT")))).status(http.StatusUnauthorized)
	check(t, r.rawGet("/", bearerOf(accessToken(op, map[string]any{"aud": "other-client"})))).status(http.StatusOK)
}

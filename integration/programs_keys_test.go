package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// programProblem returns the problem document of a response.
func programProblem(t *testing.T, p *visited) map[string]any {
	t.Helper()
	equal(t, p.url+": the content type", p.Header.Get("Content-Type"), "application/problem+json")
	problem := make(map[string]any)
	succeeds(t, p.url+": the problem document", json.Unmarshal([]byte(p.body), &problem))
	return problem
}

// asPage is the header with which a browser without fetch metadata opens a page.
const asPage = "Accept: text/html"

// programs is a site that accepts access keys in every place where a request can have
// them.
func programs(t *testing.T, op *oidctest.Provider, keys *accessKeyFile, more ...string) *harness {
	return newHarness(t, protectedBy(op, append(more, `
application {
	access_keys `+keys.path+`
	header X-Api-Key Private-Token
	basic on
}
public /public /public/*
upstream {
	header X-Id {http.auth.user.id}
	header X-Kind {http.oidc_rp.kind}
	header X-Groups groups
	header X-Told "{http.oidc_rp.authenticated} {http.oidc_rp.provider} {http.oidc_rp.subject} {http.oidc_rp.issuer}|{http.oidc_rp.expires}|{http.auth.user.email}|{http.auth.user.claims.sub}"
}
`)...))
}

func TestAnAccessKeyLetsAProgramIn(t *testing.T) {
	t.Parallel()
	ci, timed := newKey(t, "ci", "deploy,ops"), newKey(t, "timed", "", "2100-01-01T00:00:00Z")
	r := programs(t, newOP(t), newAccessKeyFile(t, ci, timed))
	for name, line := range map[string]string{
		"a bearer token": ci.bearer(), "Basic": ci.basic(), "a header": "X-Api-Key: " + ci.key, "another header": "Private-Token: " + ci.key,
		"the scheme in another case": "authorization: bearer   " + ci.key + " ", "a header in another case": "x-API-key: " + ci.key,
	} {
		for _, path := range []string{"/page", "/public/page"} {
			p := r.rawGet(path, line)
			check(t, p, name).status(http.StatusOK).body("application sees key/ci").setsCookies(0)
			got, _ := r.upstream.got()
			equal(t, name+": the name", got.Get("X-Id"), "key/ci")
			equal(t, name+": the kind", got.Get("X-Kind"), "key")
			equal(t, name+": the groups", got.Get("X-Groups"), "deploy,ops")
			equal(t, name+": the rest", got.Get("X-Told"), "true key ci |||ci")
		}
	}
	r.rawGet("/", timed.bearer())
	got, _ := r.upstream.got()
	equal(t, "a key with an end: the placeholders", got.Get("X-Told"), "true key timed |2100-01-01T00:00:00Z||timed")
	check(t, r.raw("DELETE /page HTTP/1.1", "Host: rp.test", "Connection: close", ci.bearer()), "another method").status(http.StatusOK)
	check(t, r.rawGet("/page", ci.bearer()), "what is private").header("Cache-Control", "private, no-cache")
}

func TestPeopleAreOfTheKindPerson(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	ci := newKey(t, "ci")
	r := programs(t, op, newAccessKeyFile(t, ci))
	claimsOf(op, map[string]any{"preferred_username": "key/ci"})
	signedIn(t, r)
	got, _ := r.upstream.got()
	equal(t, "the name", got.Get("X-Id"), "key%2Fci")
	equal(t, "the kind", got.Get("X-Kind"), "person")
	r.rawGet("/public")
	got, _ = r.upstream.got()
	equal(t, "the kind of an unauthenticated request", got.Get("X-Kind"), "")
}

// A recognized credential decides alone: a bad one is refused even on public routes and
// beside the session of a user.
func TestABadCredentialIsRefused(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	ci, gone := newKey(t, "ci"), newKey(t, "gone", "", clock.now().Add(time.Minute).UTC().Format(time.RFC3339))
	r := programs(t, op, newAccessKeyFile(t, ci, gone))
	r.at(clock.now)
	b := signedIn(t, r)
	clock.advance(2 * time.Minute)
	unlisted := newKey(t, "ci")
	before := r.upstream.count()
	for name, line := range map[string]string{
		"a key that no line has": unlisted.bearer(), "a key that has expired": gone.bearer(), "a cut key": ci.bearer()[:len(ci.bearer())-1], "the prefix alone": "Authorization: Bearer orp_",
		"two keys on one line": ci.bearer() + ", Bearer " + ci.key, "a changed key": strings.Replace(ci.bearer(), "orp_ci_", "orp_cj_", 1),
		"Basic with a key that no line has": unlisted.basic(), "Basic with another name": basicOf("cd", ci.key), "Basic without a name": basicOf("", ci.key), "Basic with a password": basicOf("ci", "hunter2"),
		"Basic that cannot be read": "Authorization: Basic !", "a header with a key that no line has": "X-Api-Key: " + unlisted.key, "a header with something else": "X-Api-Key: secret", "an empty header": "X-Api-Key:",
	} {
		for _, path := range []string{"/page", "/public/page"} {
			for _, more := range []string{"Accept: */*", asPage, "Cookie: " + b.cookieHeader()} {
				p := r.rawGet(path, line, more)
				check(t, p, name).status(http.StatusUnauthorized).header("Location", "").setsCookies(0).
					headerHas("Www-Authenticate", `Bearer realm="rp.test", error="invalid_token"`).header("Cache-Control", "no-store")
				problem := programProblem(t, p)
				equal(t, name+": the reason", problem["reason"], any("invalid_token"))
				equal(t, name+": a link to sign in", problem["login_url"], nil)
			}
		}
	}
	equal(t, "requests at the application", r.upstream.count(), before)
	p := b.send(http.MethodGet, "/page", map[string]string{"X-Api-Key": unlisted.key})
	check(t, p, "a page load of a browser").status(http.StatusUnauthorized)
	check(t, b.get("/page"), "the session afterwards").status(http.StatusOK)
	for _, secret := range []string{unlisted.key[7:30], ci.key[7:30], gone.key[7:30]} {
		lacks(t, "the log", r.logs(), secret)
	}
}

// An access key decides alone, even beside a session cookie.
func TestAKeyBesideASession(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	ci := newKey(t, "ci")
	r := programs(t, op, newAccessKeyFile(t, ci), "require group staff")
	claimsOf(op, map[string]any{"groups": []string{"staff"}})
	b := signedIn(t, r)
	p := r.rawGet("/page", ci.bearer(), "Cookie: "+b.cookieHeader())
	check(t, p, "the key's groups count").status(http.StatusForbidden).setsCookies(0)
	equal(t, "who is refused", programProblem(t, p)["user"], any("key/ci"))
	r.rawGet("/public", ci.bearer(), "Cookie: "+b.cookieHeader())
	got, _ := r.upstream.got()
	equal(t, "on a public route, the user", got.Get("X-Id"), "")
	check(t, b.get("/page"), "the session alone").status(http.StatusOK)
}

func TestTwoCredentialsAreABadRequest(t *testing.T) {
	t.Parallel()
	ci := newKey(t, "ci")
	r := programs(t, newOP(t), newAccessKeyFile(t, ci))
	inHeader := "X-Api-Key: " + ci.key
	for name, lines := range map[string][]string{
		"twice the same":                     {ci.bearer(), ci.bearer()},
		"as a token and as a password":       {ci.bearer(), ci.basic()},
		"as a token and in a header":         {ci.bearer(), inHeader},
		"as a password and in a header":      {ci.basic(), inHeader},
		"twice in a header":                  {inHeader, inHeader},
		"in two headers":                     {inHeader, "Private-Token: " + ci.key},
		"beside another line":                {ci.bearer(), "Authorization: Digest x"},
		"after another line":                 {"Authorization: Digest x", ci.bearer()},
		"a good one and a bad one":           {inHeader, "Private-Token: x"},
		"a good one and an empty one":        {inHeader, "X-Api-Key:"},
		"beside a bearer token of the other": {ci.bearer(), "Authorization: Bearer abc"},
	} {
		for _, path := range []string{"/page", "/public/page"} {
			p := r.rawGet(path, lines...)
			check(t, p, name).status(http.StatusBadRequest)
			equal(t, name+": the reason", programProblem(t, p)["reason"], any("bad_request"))
		}
	}
	equal(t, "requests at the application", r.upstream.count(), 0)
}

func TestRulesForPrograms(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	ci, ops, banned, plain := newKey(t, "ci", "deploy"), newKey(t, "ops", "deploy,admins"), newKey(t, "banned", "admins"), newKey(t, "plain")
	r := programs(t, op, newAccessKeyFile(t, ci, ops, banned, plain), `
explain on
deny user key/banned
private /group {
	require group admins
}
private /user {
	require user key/ci alice
}
private /person {
	deny group deploy
}
private /claim {
	require claim groups admins
}
private /provider {
	require provider default
}
private /kind {
	require expression {http.oidc_rp.kind} == "key"
}
private /email {
	require email_domain example.com
}
private /scope {
	require scope read
}
private /fresh {
	require max_age 5m
}
private /strong {
	require acr strong
}
private /any {
	require any {
		group admins
		user key/plain
	}
}
`)
	const in, out, proof = http.StatusOK, http.StatusForbidden, http.StatusUnauthorized
	for _, row := range []struct {
		path                   string
		ci, ops, banned, plain int
	}{
		{"/", in, in, out, in},
		{"/group", out, in, out, out},
		{"/user", in, out, out, out},
		{"/person", out, out, out, in},
		{"/claim", out, in, out, out},
		{"/provider", out, out, out, out},
		{"/kind", in, in, out, in},
		{"/email", out, out, out, out},
		{"/scope", out, out, out, out},
		{"/fresh", proof, proof, out, proof},
		{"/strong", proof, proof, out, proof},
		{"/any", out, in, out, in},
	} {
		for _, one := range []struct {
			key      accessKey
			expected int
		}{{ci, row.ci}, {ops, row.ops}, {banned, row.banned}, {plain, row.plain}} {
			for range 2 { // the second time, results are cached
				check(t, r.rawGet(row.path, one.key.bearer(), asPage), one.key.name).status(one.expected).header("Location", "")
			}
		}
	}
	refused := programProblem(t, r.rawGet("/group", ci.bearer(), asPage))
	equal(t, "the user", refused["user"], any("key/ci"))
	equal(t, "the provider", refused["provider"], any("key"))
	equal(t, "the rule", refused["rule"], any("require group admins"))
	equal(t, "a link to sign in", refused["login_url"], nil)
	equal(t, "a link to sign out", refused["logout_url"], nil)
	holdFields(t, r.lastAudited("refused"), map[string]any{"user": "key/ci", "subject": "ci", "provider": "key", "code": "forbidden", "rule": "require group admins"})

	scope := r.rawGet("/scope", ci.bearer())
	check(t, scope, "a scope").header("Www-Authenticate", `Bearer realm="rp.test", error="insufficient_scope", error_description="The token of this request does not have the required scope.", scope="read"`)
	equal(t, "the reason", programProblem(t, scope)["reason"], any("insufficient_scope"))

	strong := r.rawGet("/strong", ci.bearer())
	check(t, strong, "acr").headerHas("Www-Authenticate", `Bearer realm="rp.test", error="insufficient_user_authentication"`, `acr_values="strong"`)
	equal(t, "acr_values", programProblem(t, strong)["acr_values"], any("strong"))
	check(t, r.rawGet("/fresh", ci.bearer()), "max_age").headerHas("Www-Authenticate", `error="insufficient_user_authentication"`, `max_age=300`)
}

// Basic is refused in requests of browsers, which add it to requests that other sites
// cause.
func TestBasicIsForProgramsOnly(t *testing.T) {
	t.Parallel()
	ci := newKey(t, "ci")
	r := programs(t, newOP(t), newAccessKeyFile(t, ci))
	for name, lines := range map[string][]string{
		"another site":                 {"Sec-Fetch-Site: cross-site"},
		"a sibling":                    {"Sec-Fetch-Site: same-site"},
		"the same origin":              {"Sec-Fetch-Site: same-origin"},
		"a user":                       {"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"},
		"another header of a browser":  {"Sec-Fetch-User: ?1"},
		"an empty header of a browser": {"Sec-Fetch-Site:"},
		"a foreign origin":             {"Origin: https://evil.test"},
		"the origin null":              {"Origin: null"},
		"another scheme":               {"Origin: http://rp.test"},
		"two origins":                  {"Origin: https://rp.test", "Origin: https://evil.test"},
	} {
		for _, path := range []string{"/page", "/public/page"} {
			p := r.rawGet(path, append(lines, ci.basic())...)
			check(t, p, name).status(http.StatusForbidden).header("Www-Authenticate", "")
			equal(t, name+": the reason", programProblem(t, p)["reason"], any("forbidden"))
		}
		if !strings.HasPrefix(lines[0], "Origin") {
			check(t, r.rawGet("/page", append(lines, ci.bearer())...), name+", as a token").status(http.StatusOK)
		}
	}
	equal(t, "Basic of our own origin", r.rawGet("/page", "Origin: https://rp.test", ci.basic()).StatusCode, http.StatusOK)
	const bearer, basic = `Bearer realm="rp.test"`, `Basic realm="rp.test", charset="UTF-8"`
	for name, row := range map[string]struct {
		header   []string
		expected []string
	}{
		"git":                     {[]string{"Accept: */*"}, []string{bearer, basic}},
		"no Accept":               {nil, []string{bearer, basic}},
		"an old browser":          {[]string{"Accept: application/xml, TEXT/HTML;q=0.9", "X-Requested-With: x"}, []string{bearer}},
		"a script in a browser":   {[]string{"Accept: */*", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}, []string{bearer}},
		"an image in a browser":   {[]string{"Accept: image/*", "Sec-Fetch-Dest: image"}, []string{bearer}},
		"an old browser's script": {[]string{"Accept: */*", "Accept: text/html", "X-Requested-With: x"}, []string{bearer}},
	} {
		p := r.rawGet("/page", row.header...)
		check(t, p, name).status(http.StatusUnauthorized)
		list(t, name+": WWW-Authenticate", p.Header["Www-Authenticate"], row.expected...)
	}
	p := r.rawGet("/page", basicOf("ci", "hunter2"))
	list(t, "a wrong password: the schemes", []string{p.Header["Www-Authenticate"][0][:6], p.Header["Www-Authenticate"][1]}, "Bearer", basic)
}

// Without the option application, the site looks for no credentials and offers none.
func TestNothingIsOfferedWithoutPrograms(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	key := newKey(t, "ci")
	check(t, r.rawGet("/page", key.bearer())).status(http.StatusUnauthorized).header("Www-Authenticate", "")
}

// A key that is removed from the file is refused within five seconds, without a reload.
func TestAKeyIsRevokedWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	old, young := newKey(t, "ci"), newKey(t, "ci", "deploy")
	file := newAccessKeyFile(t, old)
	r := programs(t, newOP(t, oidctest.Now(clock.now)), file)
	r.at(clock.now)
	step := func(name string, passed time.Duration, key accessKey, expected int) {
		t.Helper()
		clock.advance(passed)
		check(t, r.rawGet("/page", key.bearer()), name).status(expected)
	}
	step("the first key", 0, old, http.StatusOK)
	step("a key that is not there yet", 0, young, http.StatusUnauthorized)
	file.write(old, young)
	step("both keys", 5*time.Second, young, http.StatusOK)
	step("both keys", 0, old, http.StatusOK)
	file.write(young)
	step("a key that was removed", 5*time.Second, old, http.StatusUnauthorized)
	step("the other key", 0, young, http.StatusOK)
	file.write(accessKey{line: "typo"}, young)
	step("beside a line that is broken", 5*time.Second, young, http.StatusOK)
	succeeds(t, "removing the file", os.Remove(file.path))
	step("without the file", 5*time.Second, young, http.StatusOK)
	step("without the file for an hour", time.Hour, young, http.StatusUnauthorized)
	file.write(young, old)
	step("the file is back", 5*time.Second, old, http.StatusOK)
	contains(t, "the log", r.logs(), "a line of a file of access keys is ignored")
}

func TestAuditOfPrograms(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	ci, gone := newKey(t, "ci"), newKey(t, "gone", "", clock.now().Add(time.Minute).UTC().Format(time.RFC3339))
	r := programs(t, newOP(t, oidctest.Now(clock.now)), newAccessKeyFile(t, ci, gone), "require group staff")
	r.at(clock.now)
	r.rawGet("/page", ci.bearer())
	line := r.lastAudited("refused")
	holdFields(t, line, map[string]any{"user": "key/ci", "subject": "ci", "provider": "key", "code": "forbidden", "rule": "require group staff", "host": "rp.test"})
	if session, _ := line["session"].(string); len(session) != 16 {
		t.Errorf("the session: expected 16 hexadecimal digits that tell keys of one name apart, seen %q", session)
	}
	r.rawGet("/page", newKey(t, "ci").bearer())
	line = r.lastAudited("refused")
	holdFields(t, line, map[string]any{"user": "", "code": "invalid_token"})
	contains(t, "the reason", fmt.Sprint(line["error"]), "no line has this access key")
	clock.advance(2 * time.Minute)
	r.rawGet("/page", gone.bearer())
	line = r.lastAudited("refused")
	holdFields(t, line, map[string]any{"user": "key/gone", "subject": "gone", "code": "invalid_token"})
	contains(t, "the reason", fmt.Sprint(line["error"]), "the access key has expired")
}

// known_users is about users, and does not apply to keys.
func TestKnownUsersDoNotApplyToKeys(t *testing.T) {
	t.Parallel()
	ci := newKey(t, "ci")
	r := programs(t, newOP(t), newAccessKeyFile(t, ci), "known_users list alice")
	check(t, r.rawGet("/page", ci.bearer())).status(http.StatusOK)
}

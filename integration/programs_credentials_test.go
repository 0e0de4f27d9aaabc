package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// isolated is a site with several instances, of which one lets programs in. Some paths
// have no guard, and the application serves the error pages.
func isolated(t *testing.T, keys *accessKeyFile) *harness {
	op := newOP(t)
	return newHarnessAt(t, storageDir(t), `
http://rp.test {
	handle /other/* {
		oidc_rp public {
			`+options(op)+`
		}
		reverse_proxy {upstream}
	}
	handle {
		oidc_rp /guarded/* {
			`+options(op)+`
			public /guarded/public/*
			error_pages caddy
			upstream {
				header X-Id {http.auth.user.id}
			}
			application {
				access_keys `+keys.path+`
				header X-Api-Key
			}
		}
		reverse_proxy {upstream}
	}
	handle_errors {
		reverse_proxy {upstream}
	}
}
`)
}

// Credentials for this site never reach the application in any spelling, including on
// public routes, on paths without a guard, and when they are refused.
func TestCredentialsNeverReachTheApplication(t *testing.T) {
	t.Parallel()
	ci, unlisted := newKey(t, "ci"), newKey(t, "ci")
	r := isolated(t, newAccessKeyFile(t, ci))
	spellings := func(key accessKey) []string {
		return []string{
			key.bearer(), "authorization: bearer " + key.key, "Authorization: Bearer \t" + key.key, "Authorization: " + key.key, "Authorization: Token " + key.key, `Authorization: ApiKey token="` + key.key + `"`,
			key.basic(), basicOf(key.key, ""), basicOf("x", key.key), fields("Authorization: Digest x", key.bearer()), fields(key.bearer(), key.bearer()),
			"X-Api-Key: " + key.key, "x-api-key: " + key.key, "X_Api-Key: " + key.key, "X_API_KEY: " + key.key, "X.Api.Key: " + key.key, "x~api!key: " + key.key,
			fields("X-Api-Key: "+key.key, "X_Api_Key: "+key.key), fields("Connection: X-Api-Key", "X-Api-Key: "+key.key),
			fields("Transfer-Encoding: chunked", "Trailer: X-Api-Key, Authorization", "", "0", "X-Api-Key: "+key.key, key.bearer()),
		}
	}
	for _, path := range []string{"/guarded/page", "/guarded/public/page", "/page", "/other/page", "/@app/auth/none", "/Special:UserLogout"} {
		for _, key := range []accessKey{ci, unlisted} {
			for _, header := range spellings(key) {
				name := fmt.Sprintf("%s, %q", path, strings.ReplaceAll(header, key.key, "<key>"))
				before := r.upstream.count()
				r.raw(fields("POST "+path+" HTTP/1.1", "Host: rp.test", "Connection: close", header))
				if r.upstream.count() == before {
					continue // the guard answered
				}
				got, _ := r.upstream.got()
				for field, lines := range got {
					lacks(t, name+": "+field, strings.Join(lines, "\n"), "orp_")
				}
				lacks(t, name+": Authorization", strings.Join(got["Authorization"], "\n"), "Basic")
			}
		}
	}
	atLeast(t, "requests at the application", r.upstream.count(), 50)
}

// Credentials that are not for this site reach the application unchanged.
func TestOtherCredentialsPassUntouched(t *testing.T) {
	t.Parallel()
	ci := newKey(t, "ci")
	r := isolated(t, newAccessKeyFile(t, ci))
	b := r.browser()
	check(required{t}, b.open("/guarded/page")).status(http.StatusOK)
	for _, lines := range [][]string{
		{"Bearer abc"}, {"bearer  abc.def.ghi"}, {"Bearer"}, {"Basic YWxpY2U6aHVudGVyMg=="}, {"Basic ???"}, {`Digest username="alice", response="orpx"`}, {"AWS4-HMAC-SHA256 Credential=x"}, {"Bearer corp_x"},
		{"Bearer a", "Bearer b"}, {"Negotiate YII="}, {"x"},
	} {
		var sent []string
		for _, line := range lines {
			sent = append(sent, "Authorization: "+line)
		}
		for _, path := range []string{"/guarded/page", "/guarded/public/page", "/page", "/other/page"} {
			check(t, r.rawGet(path, append(sent, "Cookie: "+b.cookieHeader())...)).status(http.StatusOK)
			got, _ := r.upstream.got()
			list(t, fmt.Sprintf("%s, %q", path, lines), got["Authorization"], lines...)
		}
		check(t, r.rawGet("/guarded/page", append(sent, "X-Api-Key: "+ci.key)...), "beside a key").status(http.StatusOK)
		got, _ := r.upstream.got()
		list(t, fmt.Sprintf("beside a key, %q", lines), got["Authorization"], lines...)
		equal(t, "beside a key: the user", got.Get("X-Id"), "key/ci")
	}
}

// handle_errors has the reason, and the response names the accepted schemes.
func TestErrorPagesOfTheServerForPrograms(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	ci := newKey(t, "ci")
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		error_pages caddy
		deny user key/ci
		application {
			access_keys `+newAccessKeyFile(t, ci).path+`
			header X-Api-Key
			basic on
		}
	}
	handle_errors {
		respond "{err.status_code} {http.oidc_rp.error.code} {http.auth.user.id}{http.request.header.Authorization}" {err.status_code}
	}
}
`)
	check(t, r.rawGet("/", newKey(t, "x").bearer())).status(http.StatusUnauthorized).body("401 invalid_token ").headerHas("Www-Authenticate", `Bearer realm="rp.test", error="invalid_token"`)
	check(t, r.rawGet("/", ci.bearer())).status(http.StatusForbidden).body("403 forbidden key/ci")
	check(t, r.rawGet("/", ci.bearer(), ci.bearer())).status(http.StatusBadRequest).body("400 bad_request ")
	check(t, r.rawGet("/", basicOf("ci", "hunter2"), "X-Api-Key: "+ci.key)).status(http.StatusBadRequest).body("400 bad_request ")
	check(t, r.rawGet("/")).status(http.StatusUnauthorized).body("401 sign_in_required ").header("Www-Authenticate", `Bearer realm="rp.test"`)
}

// The endpoints are for users, so a key makes no difference there.
func TestEndpointsIgnoreCredentials(t *testing.T) {
	t.Parallel()
	ci := newKey(t, "ci")
	r := programs(t, newOP(t), newAccessKeyFile(t, ci))
	b := signedIn(t, r)
	for _, line := range []string{ci.bearer(), newKey(t, "ci").bearer(), ci.basic()} {
		p := r.rawGet("/@app/auth/default/login?returnto=/x", line, asPage)
		check(t, p, "the login").status(http.StatusFound).header("Www-Authenticate", "")
	}
	check(t, r.rawGet("/@app/auth/unknown/login", ci.bearer()), "an unknown provider").status(http.StatusNotFound)
	check(t, r.rawGet("/page", "Cookie: "+b.cookieHeader()), "before the logout").status(http.StatusOK)
	check(t, r.rawGet("/Special:UserLogout", ci.bearer(), "Cookie: "+b.cookieHeader()), "the logout").status(http.StatusSeeOther)
	check(t, r.rawGet("/page", "Cookie: "+b.cookieHeader()), "after the logout").status(http.StatusUnauthorized)
	check(t, r.rawGet("/page", ci.bearer()), "the key after the logout").status(http.StatusOK)
}

// A program is never redirected, whatever the site does for users.
func TestProgramsAreNeverRedirected(t *testing.T) {
	t.Parallel()
	ci := newKey(t, "ci")
	r := programs(t, newOP(t), newAccessKeyFile(t, ci), `
unauthenticated redirect
private /refused {
	deny user key/ci
}
private /strong {
	require acr strong
}
private /denied {
	unauthenticated deny
	require max_age 1m
}
`)
	for path, status := range map[string]int{"/refused": http.StatusForbidden, "/strong": http.StatusUnauthorized, "/denied": http.StatusUnauthorized, "/?auth_error=access_denied": http.StatusOK} {
		for _, accept := range []string{asPage, "Accept: application/json", "Sec-Fetch-Mode: navigate"} {
			check(t, r.rawGet(path, ci.bearer(), accept)).status(status).header("Location", "").setsCookies(0)
		}
	}
	check(t, r.rawGet("/page", newKey(t, "x").bearer(), asPage), "a bad key").status(http.StatusUnauthorized).header("Location", "")
	check(t, r.rawGet("/page", asPage), "no credential").status(http.StatusFound)
}

// A request with an access key passes no user's tokens to the application.
func TestKeysHaveNoTokens(t *testing.T) {
	t.Parallel()
	ci := newKey(t, "ci")
	r := newHarness(t, protectedBy(newOP(t), `
application {
	access_keys `+newAccessKeyFile(t, ci).path+`
}
upstream {
	access_token
	id_token
	header X-Token "<{http.oidc_rp.access_token}{http.oidc_rp.id_token}>"
}
`))
	check(t, r.rawGet("/page", ci.bearer())).status(http.StatusOK)
	got, _ := r.upstream.got()
	list(t, "Authorization", got["Authorization"])
	list(t, "X-Id-Token", got["X-Id-Token"])
	equal(t, "the placeholders", got.Get("X-Token"), "<>")
}

// The matchers for users work in Caddy's own routes for programs as well.
func TestMatchersForPrograms(t *testing.T) {
	t.Parallel()
	ci, ops := newKey(t, "ci"), newKey(t, "ops", "admins")
	r := newHarness(t, protectedBy(newOP(t), `
application {
	access_keys `+newAccessKeyFile(t, ci, ops).path+`
}
`)+`
@ci oidc_rp user key/ci
@admins oidc_rp group admins
@claims oidc_rp_claim department sales
respond @claims "sales"
respond @ci "the pipeline"
respond @admins "an admin"
`)
	check(t, r.rawGet("/", ci.bearer())).body("the pipeline")
	check(t, r.rawGet("/", ops.bearer())).body("an admin")
}

// Programs can open WebSockets and tunnels as users can.
func TestProgramsOpenWebSockets(t *testing.T) {
	t.Parallel()
	ci := newKey(t, "ci")
	file := newAccessKeyFile(t, ci)
	a := newTunnel(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(newOP(t))+`
		upgrades tcp
		public /public
		application {
			access_keys `+file.path+`
			basic on
		}
	}
	reverse_proxy `+a.Addr().String()+`
}
`)
	websocket := []string{"Connection: Upgrade", "Upgrade: websocket"}
	for _, row := range []struct {
		name, path string
		header     []string
		status     int
	}{
		{"a key", "/x", append(websocket, ci.bearer()), http.StatusSwitchingProtocols},
		{"another protocol", "/x", []string{"Connection: Upgrade", "Upgrade: tcp", ci.bearer()}, http.StatusSwitchingProtocols},
		{"no key", "/x", websocket, http.StatusUnauthorized},
		{"a bad key", "/x", append(websocket, newKey(t, "x").bearer()), http.StatusUnauthorized},
		{"a bad key on a public route", "/public", append(websocket, newKey(t, "x").bearer()), http.StatusUnauthorized},
		{"a page of another site", "/x", append(websocket, ci.bearer(), "Origin: https://evil.test"), http.StatusForbidden},
		{"a page of another site on a public route", "/public", append(websocket, ci.bearer(), "Origin: https://evil.test"), http.StatusSwitchingProtocols},
		{"a bad password of a page of another site on a public route", "/public", append(websocket, basicOf("ci", "hunter2"), "Origin: https://evil.test"), http.StatusSwitchingProtocols},
		{"a page of our own", "/x", append(websocket, ci.bearer(), "Origin: https://rp.test"), http.StatusSwitchingProtocols},
	} {
		status, tunnelled := upgraded(t, r, append([]string{"GET " + row.path + " HTTP/1.1", "Host: rp.test"}, row.header...)...)
		equal(t, row.name+": the status", status, row.status)
		equal(t, row.name+": a tunnel", tunnelled, row.status == http.StatusSwitchingProtocols)
		if tunnelled {
			equal(t, row.name+": the credential", a.received(t, row.name).Header.Get("Authorization"), "")
		}
	}
	h := r.handlers()[0]
	for _, major := range []int{2, 3} {
		for key, expected := range map[string]bool{ci.bearer(): true, newKey(t, "x").bearer(): false} {
			name := fmt.Sprintf("an extended CONNECT over HTTP/%d", major)
			passed := false
			_, line, _ := strings.Cut(key, ": ")
			_, err := connect(h, "/x", major, "websocket", http.Header{"Authorization": {line}}, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
				passed = true
				equal(t, name+": the credential", r.Header.Get("Authorization"), "")
				return nil
			}))
			succeeds(t, name, err)
			equal(t, name+": it reaches the application", passed, expected)
		}
	}
	preflight := []string{"OPTIONS /x HTTP/1.1", "Host: rp.test", "Connection: close", "Origin: https://rp.test", "Access-Control-Request-Method: GET"}
	check(t, r.raw(preflight...), "a preflight").status(http.StatusUnauthorized)
}

package integration_test

import (
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// This file runs the Caddyfiles of docs/recipes and docs/migrate with a stub application.
// readme_test.go provisions all of them.

// seen returns the value of a header in the last request at the application.
func (e *echo) seen(name string) string {
	header, _ := e.got()
	return header.Get(name)
}

// holdHeaders checks the headers that the application received.
func holdHeaders(t *testing.T, r *harness, want map[string]string) {
	t.Helper()
	for name, value := range want {
		equal(t, "the header "+name+" at the application", r.upstream.seen(name), value)
	}
}

func TestTheRecipeOfGrafanaHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newExample(t, "recipes/grafana.md", "\n## By headers\n", op)
	for groups, role := range map[string]string{
		`[]`:                                    "Viewer",
		`["staff"]`:                             "Viewer",
		`["grafana-editors"]`:                   "Editor",
		`["grafana-admins"]`:                    "Admin",
		`["grafana-admins", "grafana-editors"]`: "Admin",
	} {
		says(t, op, `{"preferred_username": "alice", "name": "Alice", "email": "alice@example.com", "email_verified": true, "groups": `+groups+`}`)
		b := r.browser()
		check(t, b.open("/dashboards"), groups).status(http.StatusOK)
		holdHeaders(t, r, map[string]string{"X-Webauth-User": "alice", "X-Webauth-Name": "Alice", "X-Webauth-Email": "alice@example.com", "X-Webauth-Role": role})
		b.send(http.MethodGet, "/dashboards", map[string]string{"X-Webauth-Role": "Admin", "X-Webauth-User": "root"})
		holdHeaders(t, r, map[string]string{"X-Webauth-User": "alice", "X-Webauth-Role": role})
	}
}

func TestTheRecipeOfGrafanaWithAnAssertionHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newExample(t, "recipes/grafana.md", "\n## By an assertion\n", op)
	check(t, r.browser().open("/dashboards"), "a user").status(http.StatusOK)
	differs(t, "the assertion at the application", r.upstream.seen("X-Jwt-Assertion"), "")
}

func TestTheRecipeOfServiceAccountsHolds(t *testing.T) {
	t.Parallel()
	r := newExample(t, "recipes/grafana.md", "\n## Service accounts\n", newOP(t))
	token := "Authorization: Bearer glsa_secret"
	check(t, r.rawGet("/api/org", token, "X-Webauth-User: root"), "a token of Grafana").status(http.StatusOK)
	holdHeaders(t, r, map[string]string{"Authorization": "Bearer glsa_secret", "X-Webauth-User": ""})
	for _, target := range []string{"/", "/dashboards", "/api;x/../dashboards"} {
		check(t, r.rawGet(target, token), target).status(http.StatusUnauthorized)
	}
	check(t, r.rawGet("/api/org"), "no token").status(http.StatusUnauthorized)
}

func TestTheRecipeOfJenkinsHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newExample(t, "recipes/jenkins.md", "\n", op)
	says(t, op, `{"preferred_username": "alice", "name": "Alice", "groups": ["developers", "staff"]}`)
	check(t, r.browser().open("/job/site"), "a developer").status(http.StatusOK)
	holdHeaders(t, r, map[string]string{"X-Forwarded-User": "alice", "X-Forwarded-DisplayName": "Alice", "X-Forwarded-Groups": "developers,staff"})
	check(t, r.rawGet("/job/site", basicOf("alice", "11token"), "X-Forwarded-User: root"), "an API token of Jenkins").status(http.StatusOK)
	holdHeaders(t, r, map[string]string{"X-Forwarded-User": "", "X-Forwarded-Groups": ""})
	check(t, r.rawGet("/github-webhook/", "X-Forwarded-User: root"), "a webhook").status(http.StatusOK)
	holdHeaders(t, r, map[string]string{"X-Forwarded-User": ""})
	check(t, r.rawGet("/job/site", "X-Forwarded-User: root"), "a stranger").status(http.StatusUnauthorized)
	says(t, op, `{"preferred_username": "bob", "groups": ["staff"]}`)
	check(t, r.browser().open("/job/site"), "a user who is no developer").status(http.StatusForbidden)
}

func TestTheRecipeOfHomeAssistantHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newExample(t, "recipes/home-assistant.md", "\n## An outer door\n", op)
	says(t, op, `{"preferred_username": "alice", "groups": ["family"]}`)
	check(t, r.browser().open("/lovelace"), "a member of the family").status(http.StatusOK)
	holdHeaders(t, r, map[string]string{"X-Forwarded-Preferred-Username": "alice"})
	for _, target := range []string{"/api/states", "/auth/token"} {
		check(t, r.rawGet(target, "Authorization: Bearer token-of-home-assistant", "X-Forwarded-Preferred-Username: root"), target).status(http.StatusOK)
		holdHeaders(t, r, map[string]string{"Authorization": "Bearer token-of-home-assistant", "X-Forwarded-Preferred-Username": ""})
	}
	check(t, r.rawGet("/lovelace", "Authorization: Bearer token-of-home-assistant"), "a page").status(http.StatusUnauthorized)
	check(t, r.rawGet("/auth/login_flow"), "the sign-in of Home Assistant").status(http.StatusUnauthorized)
}

// The page says that PHP learns the user only from REMOTE_USER, and which paths Nextcloud's
// clients use without a session.
func TestTheRecipeOfNextcloudHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	root := t.TempDir()
	for _, name := range []string{"index.php", "remote.php", "status.php", "core/img/logo.svg", "config/config.php"} {
		file := filepath.Join(root, filepath.FromSlash(name))
		succeeds(required{t}, "making the folder of "+name, os.MkdirAll(filepath.Dir(file), 0o755))
		succeeds(required{t}, "writing "+name, os.WriteFile(file, []byte("content of "+name), 0o600))
	}
	php, err := net.Listen("tcp", "127.0.0.1:0")
	succeeds(required{t}, "listening", err)
	t.Cleanup(func() { php.Close() })
	go fcgi.Serve(php, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:errcheck // ends with the listener
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("PHP sees " + fcgi.ProcessEnv(r)["REMOTE_USER"] + " at " + r.URL.Path))
	}))
	r := newExample(t, "recipes/nextcloud.md", "\n", op, "/var/www/nextcloud", filepath.ToSlash(root), "unix//run/php/php-fpm.sock", php.Addr().String())

	says(t, op, `{"preferred_username": "alice", "groups": ["cloud"]}`)
	b := r.browser()
	check(t, b.open("/apps/files/"), "a user").status(http.StatusOK).shows("PHP sees alice")
	for _, target := range []string{"/remote.php/dav/files", "/status.php", "/ocs/v2.php/core", "/index.php/login/v2/poll", "/s/abc"} {
		check(t, r.rawGet(target, "Remote-User: root", "Remote_User: root"), target+" without a session").status(http.StatusOK).shows("PHP sees  at")
	}
	check(t, r.rawGet("/core/img/logo.svg"), "a file of a shared page").status(http.StatusOK).shows("content of")
	for _, target := range []string{"/", "/apps/files/", "/index.php/apps/files/", "/settings/admin"} {
		check(t, r.rawGet(target), target+" without a session").status(http.StatusUnauthorized)
	}
	check(t, b.open("/config/config.php"), "a file of the server").status(http.StatusNotFound)
	says(t, op, `{"preferred_username": "bob", "groups": ["staff"]}`)
	check(t, r.browser().open("/apps/files/"), "a user of another group").status(http.StatusForbidden)
}

func TestTheRecipeOfAStaticSiteHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	root := t.TempDir()
	for _, name := range []string{"index.html", "members/index.html", "members/board/index.html"} {
		file := filepath.Join(root, filepath.FromSlash(name))
		succeeds(required{t}, "making the folder of "+name, os.MkdirAll(filepath.Dir(file), 0o755))
		succeeds(required{t}, "writing "+name, os.WriteFile(file, []byte(name+` {{placeholder "http.auth.user.name" | html}}`), 0o600))
	}
	r := newExample(t, "recipes/static-site.md", "\n", op, "/srv/www", filepath.ToSlash(root))
	check(t, r.browser().open("/"), "a stranger").status(http.StatusOK).shows("index.html")
	for _, name := range []string{"members", "MEMBERS"} {
		for _, target := range odd(name) {
			if p := r.rawGet(target); p.StatusCode == http.StatusOK {
				t.Errorf("%s: expected a refusal of a stranger, seen %d", target, p.StatusCode)
			}
		}
	}
	for _, row := range []struct {
		groups         string
		members, board int
	}{
		{`["staff"]`, http.StatusForbidden, http.StatusForbidden},
		{`["members"]`, http.StatusOK, http.StatusForbidden},
		{`["board"]`, http.StatusOK, http.StatusOK},
	} {
		says(t, op, `{"preferred_username": "alice", "name": "Alice & Co", "groups": `+row.groups+`}`)
		b := r.browser()
		members := check(t, b.open("/members/"), row.groups+" in the members' area").status(row.members)
		check(t, b.open("/members/board/"), row.groups+" in the folder of the board").status(row.board)
		if row.members == http.StatusOK {
			members.shows("members/index.html Alice &amp; Co").headerHas("Cache-Control", "private")
		}
	}
}

func TestTheRecipeOfAPublicPageHolds(t *testing.T) {
	t.Parallel()
	r := newExample(t, "recipes/public-page.md", "\n", newOP(t))
	b := r.browser()
	check(t, b.open("/news"), "a stranger").status(http.StatusOK).shows("Sign in: /@app/auth/default/login?returnto=%2Fnews")
	check(t, b.open("/@app/auth/default/login?returnto=%2Fnews"), "after the login").status(http.StatusOK).endsAt("/news").shows("Hello Alice", "Sign out: /Special:UserLogout")
}

func TestTheRecipeOfHandleBlocksHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register(rpURL + "/@app/auth/corp/code")
	r := newExample(t, "recipes/handle-blocks.md", "\n", op)
	check(t, r.rawGet("/wiki/page"), "a stranger in the private block").status(http.StatusUnauthorized)
	check(t, r.browser().open("/wiki/page"), "a user in the private block").status(http.StatusOK).shows("application")
	check(t, r.rawGet("/missing"), "a stranger in the public block").status(http.StatusNotFound)
}

func TestTheRecipesOfGitAndWebDAVHold(t *testing.T) {
	t.Parallel()
	reader, backup := newKey(t, "ci", "readers"), newKey(t, "backup", "backup")
	keys := newAccessKeyFile(t, reader, backup)
	for _, row := range []struct {
		after, method, target string
		key                   accessKey
		want                  int
	}{
		{"\n## git\n", http.MethodGet, "/team/project.git/info/refs?service=git-upload-pack", reader, http.StatusOK},
		{"\n## git\n", http.MethodPost, "/team/project.git/git-upload-pack", reader, http.StatusOK},
		{"\n## git\n", http.MethodPost, "/team/project.git/git-receive-pack", reader, http.StatusForbidden},
		{"\n## git\n", http.MethodGet, "/team/project.git/info/refs", backup, http.StatusForbidden},
		{"\n## WebDAV\n", "PROPFIND", "/", backup, http.StatusOK},
		{"\n## WebDAV\n", http.MethodPut, "/a", backup, http.StatusOK},
		{"\n## WebDAV\n", http.MethodGet, "/a", reader, http.StatusForbidden},
	} {
		t.Run(row.method+" "+row.target+" of "+row.key.name, func(t *testing.T) {
			t.Parallel()
			r := newExample(t, "recipes/git-webdav.md", row.after, newOP(t), "/etc/caddy/oidc/keys.txt", filepath.ToSlash(keys.path))
			request := []string{row.method + " " + row.target + " HTTP/1.1", "Host: rp.test", "Connection: close", "Content-Length: 0"}
			check(t, r.raw(append(request, row.key.basic())...), "with the key").status(row.want)
			without := r.raw(request...)
			check(t, without, "without").status(http.StatusUnauthorized)
			contains(t, "what a 401 accepts", strings.Join(without.Header.Values("WWW-Authenticate"), ", "), "Basic realm=")
		})
	}
}

func TestTheRecipeBehindALoadBalancerHolds(t *testing.T) {
	t.Parallel()
	r := newExample(t, "recipes/load-balancer.md", "\n## A load balancer\n", newOP(t), "https://app.example.com", rpURL, "http://app.example.com", "http://rp.test")
	check(t, r.rawGet("/healthz"), "the check of the load balancer").status(http.StatusOK)
	check(t, r.browser().open("/page"), "a user").status(http.StatusOK).shows("application")
}

// The page describes the equivalents of oauth2-proxy's options. This test checks those that an
// application can see.
func TestTheConfigurationAfterOAuth2ProxyHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	op.Register(rpURL + "/oauth2/callback")
	r := newExample(t, "migrate/oauth2-proxy.md", "\nThe same here:\n", op)
	claims := `{"preferred_username": "ali", "email": "alice@example.com", "email_verified": false, "roles": ["engineering"]}`
	says(t, op, claims)
	check(t, r.browser().open("/page"), "an engineer").status(http.StatusOK)
	holdHeaders(t, r, map[string]string{"X-Forwarded-User": op.Issued().Subject, "X-Forwarded-Email": "alice@example.com",
		"X-Forwarded-Preferred-Username": "ali", "X-Forwarded-Groups": "engineering"})
	differs(t, "the access token at the application", r.upstream.seen("X-Forwarded-Access-Token"), "")
	check(t, r.rawGet("/healthz"), "the health check").status(http.StatusOK)
	check(t, r.browser().get("/api/orders"), "a page load of the API").status(http.StatusUnauthorized)
	says(t, op, `{"email": "alice@example.com", "roles": ["sales"]}`)
	check(t, r.browser().open("/page"), "a user of another group").status(http.StatusForbidden)
	says(t, op, `{"email": "alice@example.net", "roles": ["engineering"]}`)
	check(t, r.browser().open("/page"), "a user of another domain").status(http.StatusForbidden)
}

func TestTheConfigurationAfterCaddySecurityHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	op.Register(rpURL + "/@app/auth/corp/code")
	global, site := example(t, "migrate/caddy-security.md", "\nThe same here:\n", op)
	r := newHarnessAt(t, storageDir(t), site, global)
	for claims, want := range map[string]int{
		`{"groups": ["admins"]}`:                                          http.StatusOK,
		`{"groups": ["editors"], "training": "completed"}`:                http.StatusOK,
		`{"groups": ["editors"]}`:                                         http.StatusForbidden,
		`{"groups": ["admins"], "email": "mallory@example.com"}`:          http.StatusForbidden,
		`{"groups": [], "training": "completed"}`:                         http.StatusForbidden,
		`{"groups": ["admins", "editors"], "email": "alice@example.com"}`: http.StatusOK,
	} {
		says(t, op, claims)
		equal(t, claims+": the status", r.statusOf("/"), want)
	}
	check(t, r.rawGet("/assets/logo.svg"), "a public file").status(http.StatusOK)
}

func TestTheConfigurationAfterAutheliaHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newExample(t, "migrate/forward-auth.md", "\nAfter, with `auth.example.com` as before:\n", op)
	says(t, op, `{"preferred_username": "alice", "name": "Alice", "groups": ["staff", "admins"], "amr": ["pwd", "mfa"]}`)
	b := r.browser()
	check(t, b.open("/admin/users"), "an admin with two factors").status(http.StatusOK)
	holdHeaders(t, r, map[string]string{"Remote-User": "alice", "Remote-Name": "Alice", "Remote-Groups": "staff,admins"})
	says(t, op, `{"preferred_username": "alice", "groups": ["staff", "admins"], "amr": ["pwd"]}`)
	b = r.browser()
	check(t, b.open("/"), "an admin with one factor").status(http.StatusOK)
	check(t, b.open("/admin/users"), "an admin with one factor in the admin area").status(http.StatusForbidden)
	check(t, r.rawGet("/healthz"), "the health check").status(http.StatusOK)
}

func TestTheConfigurationAfterAuthentikHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newExample(t, "migrate/forward-auth.md", "\n## authentik: before and after\n", op)
	says(t, op, `{"preferred_username": "alice", "name": "Alice", "email": "alice@example.com", "email_verified": false, "groups": ["a", "b"]}`)
	check(t, r.browser().open("/"), "a user").status(http.StatusOK)
	holdHeaders(t, r, map[string]string{"X-Authentik-Username": "alice", "X-Authentik-Name": "Alice", "X-Authentik-Email": "alice@example.com",
		"X-Authentik-Groups": "a,b", "X-Authentik-Uid": op.Issued().Subject})
}

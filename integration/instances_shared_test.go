package integration_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// No client can send a header to an application that another instance of the site uses to
// tell its own application who the user is.
func TestInstancesOfASiteShareIdentityHeaders(t *testing.T) {
	t.Parallel()
	r := newHarnessAt(t, storageDir(t), strings.ReplaceAll(`
http://rp.test {
	oidc_rp endpoints {
		PROVIDER
	}
	handle /account/* {
		oidc_rp {
			PROVIDER
			upstream {
				header X-User {http.auth.user.id}
				header X-Mail email
			}
		}
		reverse_proxy {upstream}
	}
	handle /uncovered/* {
		oidc_rp /never {
			PROVIDER
		}
		reverse_proxy {upstream}
	}
	handle /bare/* {
		reverse_proxy {upstream}
	}
	handle {
		oidc_rp public {
			PROVIDER
			upstream {
				header X-Name name
			}
		}
		reverse_proxy {upstream}
	}
}
http://rp.test/other* {
	oidc_rp public {
		PROVIDER
	}
	reverse_proxy {upstream}
}
http://elsewhere.test {
	oidc_rp public {
		PROVIDER
	}
	reverse_proxy {upstream}
}`, "PROVIDER", options(newOP(t))))
	b := r.browser()
	forged := map[string]string{"X-User": "admin", "x_mail": "admin", "X-Name": "admin", "X-Other": "kept"}
	for _, path := range []string{"/x", "/uncovered/x", "/bare/x", "/other/x"} {
		b.send("GET", path, forged)
		header, _ := r.upstream.got()
		equal(t, path+": the identity at the application", header.Get("X-User")+strings.Join(header["X_mail"], "")+header.Get("X-Name"), "")
		equal(t, path+": X-Other", header.Get("X-Other"), "kept")
	}
	b.send("GET", "https://elsewhere.test/x", forged)
	if header, _ := r.upstream.got(); header.Get("X-User") != "admin" {
		t.Errorf("at another site the application gets %v", header)
	}
	check(t, b.open("/account/x")).status(http.StatusOK)
	if header, _ := r.upstream.got(); header.Get("X-User") != "alice" {
		t.Errorf("a user's application gets %v", header)
	}
}

// No application receives a cookie of any instance of the configuration.
func TestInstancesShareCookieNames(t *testing.T) {
	t.Parallel()
	r := newHarnessAt(t, storageDir(t), strings.ReplaceAll(`
http://rp.test {
	oidc_rp public {
		PROVIDER
		session {
			cookie one
		}
	}
	reverse_proxy {upstream}
}
http://rp.test:8443 {
	oidc_rp public {
		PROVIDER
		session {
			cookie two
		}
	}
	reverse_proxy {upstream}
}`, "PROVIDER", options(newOP(t))))
	b := r.browser()
	for _, name := range []string{"one", "two"} {
		for _, prefix := range []string{"__Host-", "__Secure-", ""} {
			for _, suffix := range []string{"", "_1", "_3", "_hint", "_again", "_tx_abcdefgh"} {
				b.send("GET", "/x", map[string]string{"Cookie": "theme=dark; " + prefix + name + suffix + "=1x; one_more=1"})
				if header, _ := r.upstream.got(); header.Get("Cookie") != "theme=dark; one_more=1" {
					t.Errorf("%s%s%s: the application gets %q", prefix, name, suffix, header.Get("Cookie"))
				}
			}
		}
	}
}

// A cookie named app_1 that belongs to another instance is not taken for a chunk of app.
func TestACookieThatLooksLikeAChunkIsLeftAlone(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), strings.ReplaceAll(`
http://rp.test {
	handle /one/* {
		oidc_rp public {
			PROVIDER
			session {
				cookie app_1
			}
		}
		reverse_proxy {upstream}
	}
	handle {
		oidc_rp {
			PROVIDER
			endpoints /auth
			session {
				cookie app
				max_chunks 4
			}
		}
		reverse_proxy {upstream}
	}
}`, "PROVIDER", options(op)))
	op.Register(rpURL + "/auth/default/code")
	b := r.browser()
	b.open("/@app/auth/default/login?returnto=/one/x")
	one := b.cookies()["__Host-app_1"]
	if one == "" {
		t.Fatalf("the first instance has set %v", b.cookies())
	}
	check(required{t}, b.open("/x")).status(http.StatusOK)
	for _, cookies := range []string{"__Host-app_1=" + one, "__Host-app=1broken; __Host-app_1=" + one, "__Host-app=2broken; __Host-app_1=" + one} {
		p := r.browser().send("GET", "/x", map[string]string{"Cookie": cookies})
		if slices.ContainsFunc(p.Header["Set-Cookie"], func(c string) bool { return strings.HasPrefix(c, "__Host-app_1=") }) {
			t.Errorf("the other instance's cookie becomes %q", p.Header["Set-Cookie"])
		}
	}
	if !strings.Contains(r.logs(), "cannot be split further") {
		t.Error("nothing is said about the names")
	}
}

// Cookie names that would be taken for a helper cookie of another instance, such as its
// logins in progress, are refused at load.
func TestCookieNamesThatCollideAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"app_tx_1", "app_hint", "app_again", "app_tx_"} {
		for _, order := range [][2]string{{"app", name}, {name, "app"}} {
			site := func(port, cookie string) string {
				return `
http://localhost:` + port + ` {
	oidc_rp {
		issuer https://idp.test
		client_id rp
		session {
			cookie ` + cookie + `
		}
	}
}
`
			}
			config, err := adapt(`
{
	admin off
	storage file_system ` + storageDir(t) + `
}
` + site("8001", order[0]) + site("8002", order[1]))
			if err == nil {
				err = tryProvision(config)
			}
			failsWith(t, fmt.Sprintf("%v", order), err, "cookie", name)
		}
	}
}

// Some applications obey headers that name another address or method. The guard removes
// them where its decision depends on the address or method.
func TestHeadersThatNameAnotherAddressAreRemoved(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		site    string
		removed bool
	}{
		"routes": {`
			oidc_rp {
				PROVIDER
				public /x
			}
		`, true},
		"private routes": {`
			oidc_rp public {
				PROVIDER
				private /y /y/*
			}
		`, true},
		"a matcher": {`
			oidc_rp /y/* {
				PROVIDER
			}
		`, true},
		"handle blocks": {`
			oidc_rp endpoints {
				PROVIDER
			}
			handle /y/* {
				oidc_rp {
					PROVIDER
				}
			}
		`, true},
		"two guards": {`
			handle /y* {
				oidc_rp {
					PROVIDER
				}
			}
			handle {
				oidc_rp public {
					PROVIDER
				}
				reverse_proxy {upstream}
			}
		`, true},
		"other hosts": {`
			@a host a.test
			handle @a {
				oidc_rp {
					PROVIDER
				}
			}
			@rp host rp.test
			handle @rp {
				oidc_rp public {
					PROVIDER
				}
				reverse_proxy {upstream}
			}
		`, false},
		"an expression about the path": {`
			oidc_rp public {
				PROVIDER
				deny expression path('/admin/*')
			}
		`, true},
		"an expression about the session": {`
			oidc_rp public {
				PROVIDER
				deny expression user == "mallory"
			}
		`, false},
		"no routes": {`
			oidc_rp public {
				PROVIDER
			}
		`, false},
	} {
		op := newOP(t)
		r := newHarness(t, strings.ReplaceAll(row.site, "PROVIDER", options(op)))
		sent := []string{"X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X_Original_URL", "x_rewrite_url", "X_HTTP_METHOD_OVERRIDE", "X.Original.URL"}
		lines := []string{"X-Kept: 1"}
		for _, header := range sent {
			lines = append(lines, header+": /y/z")
		}
		r.rawGet("/x", lines...)
		header, _ := r.upstream.got()
		for _, key := range sent {
			if !row.removed && strings.Count(key, "-") == 0 {
				continue // Caddy itself removes it
			}
			equal(t, name+": "+key+" is removed", header[http.CanonicalHeaderKey(key)] == nil, row.removed)
			equal(t, name+": X-Kept", header.Get("X-Kept"), "1")
		}
	}
}

// Instances in handle_errors are part of the site as well.
func TestInstancesForErrorsShareWhatNoClientMaySend(t *testing.T) {
	t.Parallel()
	for _, site := range []string{"http://rp.test", ":80"} {
		op := newOP(t)
		r := newHarnessAt(t, storageDir(t), site+strings.ReplaceAll(` {
	route {
		error /broken 500
		oidc_rp {
			PROVIDER
			upstream {
				header X-User {http.auth.user.id}
			}
		}
		reverse_proxy {upstream}
	}
	handle_errors {
		oidc_rp public {
			PROVIDER
		}
		reverse_proxy {upstream}
	}
}`, "PROVIDER", options(op)))
		r.browser().send("GET", "/broken", map[string]string{"X-User": "admin"})
		header, at := r.upstream.got()
		differs(t, site+": the address at the application", at, "")
		equal(t, site+": X-User", header.Get("X-User"), "")
	}
}

func TestInstancesThatClearEachOthersCookiesAreWarnedOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, one, two string
		want           bool
	}{
		{"the same", "", "", false},
		{"another store", `
			session {
				store memory
			}
		`, "", true},
		{"another store, and a name of its own", `
			session {
				store memory
				cookie other
			}
		`, "", false},
		{"another secret", `
			session {
				secret ` + strings.Repeat("s", 32) + `
			}
		`, "", true},
		{"cookie, and cookie by name", `
			session {
				store cookie
			}
		`, "", false},
		{"another lifetime", `
			session {
				lifetime 1h
			}
		`, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			instance := func(id, lines string) string {
				return `
oidc_rp {
	provider ` + id + ` {
		issuer https://` + id + `.test
		client_id rp
	}
	` + lines + `
}
`
			}
			r := newHarness(t, `
route /one/* {
	`+instance("one", tc.one)+`
}
route /two/* {
	`+instance("two", tc.two)+`
}
`)
			if got := strings.Contains(r.logs(), "two instances on this site have cookies of the same name"); got != tc.want {
				t.Errorf("it received: %v", got)
			}
		})
	}
}

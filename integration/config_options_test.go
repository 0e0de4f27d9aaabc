package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestPlainHTTPBeginsNoLoginUnlessItIsSafeOrAllowed(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, row := range []struct {
		name, host, config string
		begins             bool
	}{
		{"any host", "rp.test", "", false},
		{"loopback", "127.0.0.1:8080", "", true},
		{"localhost", "localhost", "", true},
		{"allowed", "rp.test", `
			session {
				cookie {
					insecure
				}
			}
		`, true},
		{"an https base_url", "rp.test", "base_url https://rp.test", true},
		{"an http base_url", "rp.test", "base_url http://rp.test", false},
	} {
		r := newHarnessAt(t, storageDir(t), `
:80 {
	oidc_rp {
		`+options(op)+`
		`+row.config+`
	}
	reverse_proxy {upstream}
}
`)
		plain := httptest.NewServer(r.server.Config.Handler)
		request, err := http.NewRequest(http.MethodGet, plain.URL+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = row.host
		request.Header.Set("Accept", "text/html")
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		plain.Close()
		if begins := response.StatusCode == http.StatusFound; begins != row.begins {
			t.Errorf("%s: status %d", row.name, response.StatusCode)
		}
		if !row.begins {
			equal(t, row.name+": the status", response.StatusCode, http.StatusForbidden)
			contains(t, row.name+": the page", string(body), "plain HTTP")
			contains(t, row.name+": the log", r.logs(), "set base_url")
		}
	}
}

func TestTheClientSecretFileIsReadAtEachUse(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	file := filepath.Join(t.TempDir(), "secret")
	write := func(secret string) {
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("an old secret")
	r := newHarness(t, fmt.Sprintf(`
oidc_rp {
	issuer %s
	client_id rp
	client_secret {file.%s}
}
`, op.Issuer(), file))
	check(required{t}, r.browser().open("/")).shows("token_exchange_failed")
	contains(required{t}, "the log", r.logs(), "client_secret_basic")
	op.TakeViolations()
	write(op.Client().Secret)
	check(t, r.browser().open("/"), "after the file was changed").status(http.StatusOK)
}

func TestProviderBehindItsOwnAuthorityOrAProxy(t *testing.T) {
	t.Parallel()
	secure := newOP(t, oidctest.TLS())
	r := newHarness(t, `
oidc_rp {
	`+options(secure)+`
	tls {
		ca `+secure.CAFile()+`
	}
}
`)
	p := r.browser().get("/x")
	check(t, p, "with its authority").status(http.StatusFound)
	r = newHarness(t, protectedBy(secure))
	check(t, r.browser().get("/x"), "without").status(http.StatusServiceUnavailable)
	contains(t, "without: the log", r.logs(), "tls { ca")
	op := newOP(t)
	var proxied atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied.Add(1)
		target, _ := url.Parse(op.Issuer())
		httputil.NewSingleHostReverseProxy(target).ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	r = newHarness(t, `
oidc_rp {
	`+options(op)+`
	proxy `+proxy.URL+`
}
`)
	check(t, r.browser().open("/"), "by a proxy").status(http.StatusOK)
	atLeast(t, "the number of requests by the proxy", int(proxied.Load()), 3)
}

func TestSmallProviderOptions(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.NoPKCE())
	user := op.User("alice")
	user.Claims["https://example.com/team"], user.Claims["org.unit"] = "red", "sales"
	user.Claims["deep"] = map[string]any{"a.b": map[string]any{"c": 7}}
	op.SetUser("alice", user)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		pkce off
		authorization_params {
			prompt login
		}
		forward_params login_hint ui_locales
		claims {
			team https://example.com/team
			number deep.a\.b.c
		}
	}
	respond "{http.auth.user.claims.team} {http.auth.user.claims.number} {http.auth.user.claims.org.unit} {http.oidc_rp.expires}"
}
`)
	b := r.browser()
	p := b.get("/@app/auth/default/login?login_hint=al&ui_locales=fr&prompt=none&scope=admin&display=touch")
	u, _ := url.Parse(p.location())
	q := u.Query()
	equal(t, "login_hint", q.Get("login_hint"), "al")
	equal(t, "ui_locales", q.Get("ui_locales"), "fr")
	equal(t, "prompt", q.Get("prompt"), "login")
	equal(t, "scope", q.Get("scope"), "openid profile email")
	equal(t, "the presence of display", q.Has("display"), false)
	equal(t, "the presence of code_challenge", q.Has("code_challenge"), false)
	p = b.open(p.location())
	if !strings.HasPrefix(p.body, "red 7 sales ") {
		t.Errorf("the page shows %q", p.body)
	}
	if _, err := time.Parse(time.RFC3339, strings.Fields(p.body)[3]); err != nil {
		t.Error(err)
	}
}

func TestSymmetricSignaturesOnlyWhereTheyAreNamed(t *testing.T) {
	t.Parallel()
	client := newOP(t).Client()
	client.Secret = strings.Repeat("a long secret ", 3) // the key must be at least as long as the hash (RFC 7518 section 3.2)
	op := newOP(t, oidctest.Alg("HS256"), oidctest.WithClient(client))
	if p := newHarness(t, protectedBy(op)).browser().open("/"); !strings.Contains(p.body, "token_invalid") {
		t.Errorf("not named: status %d: %s", p.StatusCode, p.body)
	}
	check(t, newHarness(t, `
oidc_rp {
	`+options(op)+`
	id_token_algs HS256
}
`).browser().open("/"), "named").status(http.StatusOK)
}

func TestUnauthenticatedWords(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp public {
	`+options(op)+`
	private /redirect/* {
		unauthenticated redirect
	}
	private /deny/* {
		unauthenticated deny
	}
	private /auto/*
}
`)
	script := map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
	for path, want := range map[string][2]int{"/redirect/x": {302, 302}, "/deny/x": {401, 401}, "/auto/x": {302, 401}} {
		check(t, r.browser().get(path), "a page").status(want[0])
		check(t, r.browser().send("GET", path, script), "a script").status(want[1])
	}
}

func TestOwnPagesTakeThePlaceOfTheBuiltInOnes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "signed_out.html"), []byte(`{{define "content"}}Good bye from {{.Host}}{{end}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newHarness(t, `
oidc_rp {
	`+options(newOP(t))+`
	pages `+folder+`
}
`)
	check(t, r.browser().get("/Special:UserLogout")).shows("Good bye from rp.test", "<style nonce=")
}

func TestTheGuardIsPartOfWhateverRouteItStandsIn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register(rpURL + "/@app/auth/corp/code")
	guard := `
oidc_rp {
	` + options(op) + `
}
`
	app := `
reverse_proxy {upstream} {
	header_up X-User {http.auth.user.id}
}
`
	global := `
oidc_rp {
	provider corp {
		` + options(op) + `
	}
}
`
	for name, sites := range map[string]string{
		"a route": `
			http://rp.test {
				route {
					` + guard + `
					` + app + `
				}
			}
		`,
		// Caddy 2.11.9 keeps only the first of several directives in a named route.
		"a named route": `
			&(guarded) {
				oidc_rp
			}
			http://rp.test {
				invoke guarded
				` + app + `
			}
		`,
		"a whole named route": `
			&(guarded) {
				route {
					oidc_rp
					` + app + `
				}
			}
			http://rp.test {
				invoke guarded
			}
		`,
		"a snippet": `
			(guarded) {
				oidc_rp
				` + app + `
			}
			http://rp.test {
				import guarded
			}
		`,
		"try_files": `
			http://rp.test {
				root /nowhere
				try_files {path} /page
				oidc_rp
				` + app + `
			}
		`,
	} {
		r := newHarnessAt(t, storageDir(t), sites, global)
		check(t, r.browser().open("/page?a=b"), "in "+name).body("application sees alice").endsAt("/page?a=b")
	}
}

func TestASiteForAnyHostIsWarnedAbout(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for config, warned := range map[string]bool{
		`
			:80 {
				oidc_rp {
					` + options(op) + `
				}
			}
		`: true,
		`
			:80 {
				oidc_rp {
					` + options(op) + `
					base_url https://rp.test
				}
			}
		`: false,
		`
			http://rp.test {
				oidc_rp {
					` + options(op) + `
				}
			}
		`: false,
		`
			:80 {
				@h host rp.test
				handle @h {
					oidc_rp {
						` + options(op) + `
					}
				}
			}
		`: false,
	} {
		r := newHarnessAt(t, storageDir(t), config)
		if got := strings.Contains(r.logs(), "answers to any host name"); got != warned {
			t.Errorf("%s\nwarned: %v", config, got)
		}
	}
}

func TestAccessLogNamesTheUser(t *testing.T) {
	t.Parallel()
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	log
	oidc_rp {
		`+options(newOP(t))+`
	}
	reverse_proxy {upstream}
}
`)
	signedIn(t, r)
	for line := range strings.Lines(r.logs()) {
		var entry struct {
			Logger string
			User   string `json:"user_id"`
			Status int
		}
		if json.Unmarshal([]byte(line), &entry) == nil && strings.HasPrefix(entry.Logger, "http.log.access") && entry.Status == 200 {
			if entry.User != "alice" {
				t.Errorf("user_id is %q", entry.User)
			}
			return
		}
	}
	t.Error("no line about the page")
}

package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASiteMayGuardOnlyWhatAMatcherNames(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{mode: "/app/*"})
	b := w.newBrowser()
	b.open("/elsewhere").isFor("", "/elsewhere")
	b.signIn("/app/x", "alice").isFor("alice", "/app/x")
	b.open(logoutPath).signOut() // the whole site serves the endpoints
}

// A site with guards in several handle blocks serves the endpoints once.
func TestHandleBlocksShareTheirEndpoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zitadel, site{})
	w.op.start(t)
	shared := fmt.Sprintf(`	oidc_rp {
		provider op {
			issuer %s
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
		}
	}`, w.op.issuer)
	up := fmt.Sprintf(`reverse_proxy %s {
		header_up X-User {http.auth.user.id}
	}`, w.app.addr())
	w.caddy.start(w.caddy.caddyfile(shared, fmt.Sprintf(`
%s {
	bind 127.0.0.1
	oidc_rp endpoints
	handle_path /one/* {
		oidc_rp
		%s
	}
	handle /two/* {
		oidc_rp public {
			private /two/secret
		}
		%s
	}
	handle {
		respond "nothing here" 404
	}
}`, w.base, up, up)))
	b := w.newBrowser()
	// handle_path strips its prefix before the guard. Users still see the original path.
	b.signIn("/one/x?y=1", "alice").isFor("alice", "/x?y=1")
	b.open("/two/open").isFor("alice", "/two/open")
	b.open(logoutPath).signOut()
	b.open("/two/open").isFor("", "/two/open")
	b.signIn("/two/secret", "bob").isFor("bob", "/two/secret")
}

func TestTwoProvidersOnOneSiteAreTwoInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zitadel, site{})
	w.op.start(t)
	one := func(id, path string) string {
		return fmt.Sprintf(`
	oidc_rp %s {
		provider %s {
			issuer %s
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
		}
	}`, path, id, w.op.issuer)
	}
	w.caddy.start(w.caddy.caddyfile("", fmt.Sprintf(`
%s {
	bind 127.0.0.1
	%s
	%s
	reverse_proxy %s {
		header_up X-User {http.auth.user.id}
	}
}`, w.base, one("a", "/a/*"), one("b", "/b/*"), w.app.addr())))
	for _, id := range []string{"a", "b"} {
		form := w.newBrowser().open("/" + id + "/x").asks(w)
		if got := form.authorization().Get("redirect_uri"); got != w.base+"/@app/auth/"+id+"/code" {
			t.Errorf("redirect URI %q", got)
		}
		form.signIn("alice").isFor("alice", "/"+id+"/x")
	}
}

// The test configures a provider without discovery: every endpoint by hand, the keys from
// a file.
func TestAProviderMayBeConfiguredByHand(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := newWorld(t, kind, site{})
		w.op.start(t)
		var found map[string]any
		w.op.ask(t, "/.well-known/openid-configuration", &found)
		var keys json.RawMessage
		w.op.ask(t, strings.TrimPrefix(found["jwks_uri"].(string), w.op.issuer), &keys)
		file := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(file, keys, 0o600); err != nil {
			t.Fatal(err)
		}
		var options []string
		for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "end_session_endpoint"} {
			if found[name] != nil {
				options = append(options, fmt.Sprintf("%s %s", name, found[name]))
			}
		}
		asked := w.op.hits(t, "/.well-known/openid-configuration")
		w.startCaddy(site{options: strings.Join(append(options, "jwks {file."+file+"}"), "\n")})
		b := w.newBrowser()
		b.signIn("/hand", "alice").isFor("alice", "/hand")
		b.open(logoutPath).signOut()
		if n := w.op.hits(t, "/.well-known/openid-configuration") - asked; n != 0 {
			t.Errorf("discovery was asked for %d times", n)
		}
	})
}

func TestAConfigurationURLIsEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zitadel, site{})
	w.op.start(t)
	w.startCaddy(site{client: "-", secret: "-", options: fmt.Sprintf(`configuration_url %s/.well-known/openid-configuration
		client_id rp
		client_secret {env.OIDC_CLIENT_SECRET}`, w.op.issuer)})
	w.newBrowser().signIn("/x", "alice").isFor("alice", "/x")
}

func TestASecretOpensWhatItSealedAlsoAsTheSecondOne(t *testing.T) {
	t.Parallel()
	old, fresh := strings.Repeat("old-secret-", 4), strings.Repeat("new-secret-", 4)
	secret := func(keys string) site {
		return site{options: fmt.Sprintf(`session {
			secret %s
		}`, keys)}
	}
	w := start(t, zitadel, secret(old))
	b, away := w.newBrowser(), w.newBrowser()
	b.signIn("/x", "alice").isFor("alice", "/x")
	away.signIn("/x", "bob").isFor("bob", "/x")
	if err := w.caddy.reload(w.config(secret(fresh + " " + old))); err != nil {
		t.Fatal(err)
	}
	b.open("/x").isFor("alice", "/x") // this seals the session again, with the new secret
	if err := w.caddy.reload(w.config(secret(fresh))); err != nil {
		t.Fatal(err)
	}
	b.open("/x").isFor("alice", "/x")
	away.open("/x").asks(w)
}

func TestALoginPassesOnOnlyTheParametersItShould(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{options: `forward_params ui_locales login_hint
	authorization_params {
		prompt login
	}`})
	q := w.newBrowser().open("/@app/auth/default/login?login_hint=bob&ui_locales=fr&scope=openid+admin&client_id=other&prompt=none").asks(w).authorization()
	for name, want := range map[string]string{"login_hint": "bob", "ui_locales": "fr", "prompt": "login", "client_id": "rp", "scope": "openid profile email"} {
		if got := q[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: expected %q, seen %q", name, want, got)
		}
	}
}

func TestARedirectPathOfOnesOwnIsServed(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{options: "redirect_path /old/callback"})
	b := w.newBrowser()
	form := b.open("/x").asks(w)
	if got := form.authorization().Get("redirect_uri"); got != w.base+"/old/callback" {
		t.Errorf("redirect_uri is %q", got)
	}
	form.signIn("alice").isFor("alice", "/x")
}

func TestErrorsMayGoToCaddysOwnErrorPages(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{options: "error_pages caddy", before: `handle_errors {
		respond "ours: {err.status_code}" {err.status_code}
	}`})
	b := w.newBrowser()
	form := b.open("/wanted").asks(w)
	p := form.follow(form.links("cancel")[0])
	if p.status != 403 {
		t.Errorf("expected status 403, seen %d:%s", p.status, p)
	}
	if p.body != "ours: 403" {
		t.Errorf("expected the site's own error page, seen:%s", p)
	}
}

// A login leads back only to an address that no browser reads as another site.
func TestAReturnAddressElsewhereCountsAsNone(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{})
	for _, address := range []string{
		"https://evil.test/", "//evil.test/", `/\evil.test`, `\/evil.test`, `/./\evil.test`, "/\t/evil.test", "javascript:alert(1)", "http:evil.test", "https:/evil.test",
		"http://127.0.0.1@evil.test/", w.base + "@evil.test/", "/%0d%0aSet-Cookie:%20a=b", "/x\r\nSet-Cookie: a=b", "http://localhost/", " //evil.test", "/\x00/evil.test",
	} {
		p := w.newBrowser().signIn("/@app/auth/default/login?returnto="+url.QueryEscape(address), "alice")
		if !w.isSite(p.url) {
			t.Errorf("returnto=%q: expected a page of the site, seen %s", address, p.url)
		}
		if got := p.header.Get("Set-Cookie"); got != "" {
			t.Errorf("returnto=%q: expected no cookie of the address, seen %q", address, got)
		}
		p.isFor("alice", p.url.RequestURI())
	}
	var random strings.Builder // random, because the cookie's compression would shrink a regular text
	for random.Len() < 6000 {
		random.WriteString(rand.Text())
	}
	long := "/long?" + random.String()
	p := w.newBrowser().signIn("/@app/auth/default/login?returnto="+url.QueryEscape(long), "alice")
	p.isFor("alice", "/long") // the cookie has no room for the query
}

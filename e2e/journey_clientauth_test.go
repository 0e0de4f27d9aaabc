package e2e

import (
	"crypto/x509"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// The site authenticates to a provider that allows each client one method and one
// algorithm.
func TestAnAssertionOfEveryKindSignsIn(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	w := newWorld(t, oidcProvider, site{})
	w.op.env = []string{"RP_JWKS=" + keys.public}
	w.op.start(t)
	for _, secret := range keys.secrets {
		w.secrets.add("private key", secret)
	}
	running := false
	for _, tc := range []struct{ client, lines string }{
		{"rp-post", `client_secret {env.OIDC_CLIENT_SECRET}
			client_auth client_secret_post`},
		{"rp-jwt", `client_secret {env.OIDC_CLIENT_SECRET}
			client_auth client_secret_jwt`},
		{"rp-jwt", `client_secret {env.OIDC_CLIENT_SECRET}
			client_auth client_secret_jwt {
				audience token_endpoint
			}`},
		{"rp-pkjwt", "client_auth private_key_jwt " + keys.pkcs1},
		{"rp-pkjwt-ps256", "client_auth private_key_jwt " + keys.psJWK},
		{"rp-pkjwt-es256", "client_auth private_key_jwt {file." + keys.sec1 + "}"},
		{"rp-pkjwt-es256", fmt.Sprintf(`client_auth private_key_jwt %s {
				audience token_endpoint
			}`, keys.sec1)},
		{"rp-pkjwt-eddsa", "client_auth private_key_jwt " + keys.ed25519 + " " + keys.sec1},
		{"rp-jwks-uri", "client_auth private_key_jwt " + keys.sec1 + " " + keys.psJWK},
	} {
		s := site{client: tc.client, secret: "-", options: tc.lines}
		if !running {
			w.startCaddy(s)
			running = true
		} else if err := w.caddy.reload(w.config(s)); err != nil {
			t.Fatal(err)
		}
		b := w.newBrowser()
		b.signIn("/"+tc.client, "alice").isFor("alice", "/"+tc.client)
		b.open(logoutPath).signOut()
	}
}

// A key is replaced without losing a login: the next key is first published beside the
// current one, and then signs. The provider reads the keys from the site's published
// JWKS.
func TestAKeyIsRotated(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	config := func(files ...string) site {
		return site{client: "rp-jwks-uri", secret: "-", options: "client_auth private_key_jwt " + strings.Join(files, " ")}
	}
	w := start(t, oidcProvider, config(keys.sec1, keys.ed25519))
	w.newBrowser().signIn("/old", "alice").isFor("alice", "/old")
	if err := w.caddy.reload(w.config(config(keys.ed25519, keys.sec1))); err != nil {
		t.Fatal(err)
	}
	w.newBrowser().signIn("/new", "alice").isFor("alice", "/new")
	p := w.newBrowser().open("/@app/auth/default/jwks")
	if p.status != 200 {
		t.Errorf("our keys: expected status 200:%s", p)
	}
	if n := strings.Count(p.body, `"kid"`); n != 2 {
		t.Errorf("our keys: expected two, seen %d:%s", n, p)
	}
	if strings.Contains(p.body, `"d":`) {
		t.Errorf("our keys: expected public ones, seen a private one:%s", p)
	}
}

func TestAPushedRequestSignsIn(t *testing.T) {
	t.Parallel()
	s := site{client: "rp-par"}
	w := newWorld(t, oidcProvider, s)
	w.op.start(t)
	s.options = "pushed_authorization_request_endpoint " + w.op.issuer + "/request"
	w.startCaddy(s)
	b := w.newBrowser()
	form := b.open("/x").asks(w)
	for _, h := range form.hops {
		u := mustParse(h.url)
		if !strings.HasPrefix(h.url, w.op.issuer+"/auth?") {
			continue
		}
		if got, want := slices.Sorted(maps.Keys(u.Query())), []string{"client_id", "request_uri"}; !slices.Equal(got, want) {
			t.Errorf("expected the browser to carry %q, seen %q", want, got)
		}
		if got := u.Query().Get("client_id"); got != "rp-par" {
			t.Errorf("client_id: expected rp-par, seen %q", got)
		}
	}
	form.signIn("alice").isFor("alice", "/x")
	if n := w.op.hits(t, "/request"); n != 1 {
		t.Errorf("%d requests were pushed", n)
	}
	b.open(logoutPath).signOut()
}

// The provider refuses an authorization request that this client did not push.
func TestARequestThatWasNotPushedIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{client: "rp-par"})
	w.newBrowser().open("/x").is(403)
}

func TestACertificateSignsIn(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	serverCertificate, serverKey := a.issue(t, "localhost", x509.ExtKeyUsageServerAuth)
	certificate, key := a.issue(t, "rp-mtls", x509.ExtKeyUsageClientAuth)
	_, other := a.issue(t, "somebody-else", x509.ExtKeyUsageClientAuth)
	w := newWorld(t, oidcProvider, site{})
	w.op.tls, w.op.issuer = a, strings.Replace(w.op.issuer, "http:", "https:", 1)
	w.op.env = []string{"TLS_CERT=" + serverCertificate, "TLS_KEY=" + serverKey, "TLS_CA=" + a.file, "RP_CERT_CN=rp-mtls"}
	w.op.start(t)
	config := func(certificate, key string) site {
		return site{client: "rp-mtls", secret: "-", options: fmt.Sprintf(`client_auth tls_client_auth %s %s
			tls {
				ca %s
			}`, certificate, key, a.file)}
	}
	w.startCaddy(config(certificate, key))
	b := w.newBrowser()
	b.signIn("/x", "alice").isFor("alice", "/x")
	b.open(logoutPath).signOut()
	if err := w.caddy.reload(w.config(config(certificate, other))); err == nil {
		t.Error("a certificate with another's key is taken")
	}
	stranger, strangersKey := newAuthority(t).issue(t, "rp-mtls", x509.ExtKeyUsageClientAuth)
	if err := w.caddy.reload(w.config(config(stranger, strangersKey))); err != nil {
		t.Fatal(err)
	}
	w.newBrowser().signIn("/y", "alice").is(403)
	// For this client, the provider checks a self-signed certificate against the
	// published JWKS.
	s := config(stranger, strangersKey)
	s.client = "rp-mtls-self"
	if err := w.caddy.reload(w.config(s)); err != nil {
		t.Fatal(err)
	}
	w.newBrowser().signIn("/z", "alice").isFor("alice", "/z")
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	w.secrets.add("private key", string(text[40:80]))
}

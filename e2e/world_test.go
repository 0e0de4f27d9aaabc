package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A world is the environment of one journey: a provider, an application, a Caddy in front
// of it, and the secrets that must not leak.
type world struct {
	t       testing.TB
	op      *provider
	app     *upstream
	caddy   *node
	base    string // the site's origin
	root    []byte // with TLS: the certificate of Caddy's own authority
	storage string
	secrets *canaries
	// proxied says that browsers connect to another proxy, which redirects them to the
	// login itself.
	proxied bool
	// posted says that responses are posted from the provider's site, so the cookies of a
	// pending login must be sent with them.
	posted bool
	kept   int64 // how much of Caddy's memory a session may take
}

// A site holds what differs from the smallest configuration that works (the first example
// in the README): a private site with one provider.
type site struct {
	mode    string // "", "public", "endpoints"
	client  string // default "rp"
	secret  string // Caddyfile value; default {env.OIDC_CLIENT_SECRET}, "-" for none
	options string // more lines of the directive's block
	global  string // more lines of the global options
	before  string // more lines of the site, before the directive
	tls     bool   // https://rp.localhost instead of http://127.0.0.1
}

// newWorld reserves the ports. Start the provider first, and then Caddy.
func newWorld(t testing.TB, kind string, s site) *world {
	t.Helper()
	w := &world{t: t, app: newUpstream(t), secrets: &canaries{}, storage: t.TempDir()}
	w.base = fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	if s.tls {
		w.base = fmt.Sprintf("https://rp.localhost:%d", freePort(t))
	}
	w.op = newProvider(t, kind, w.base)
	records(t, kind)
	w.caddy = w.newNode()
	w.secrets.add("client secret", rpSecret)
	return w
}

// start creates a world and starts the provider and Caddy.
func start(t testing.TB, kind string, s site) *world {
	t.Helper()
	w := newWorld(t, kind, s)
	w.op.start(t)
	w.startCaddy(s)
	return w
}

// newNode returns another Caddy on the same storage. After the test, its logs are
// searched for secrets.
func (w *world) newNode() *node {
	n := newNode(w.t, w.storage, "OIDC_CLIENT_SECRET="+rpSecret)
	w.t.Cleanup(func() { // runs after the processes have ended
		for _, token := range w.op.tokens {
			w.secrets.add(token.Name, token.Value)
		}
		w.secrets.checkLogs(w.t, n)
	})
	return n
}

func (w *world) startCaddy(s site) {
	w.t.Helper()
	w.startCaddyWith(s, w.site(w.base, s))
}

// startCaddyWith starts Caddy with these sites, one of which is the world's.
func (w *world) startCaddyWith(s site, sites string) {
	w.t.Helper()
	w.caddy.start(w.caddy.caddyfile(s.global, sites))
	if s.tls {
		file := filepath.Join(w.storage, "pki/authorities/local/root.crt")
		eventually(w.t, 20*time.Second, "Caddy has made its authority and a certificate", func() bool {
			w.root, _ = os.ReadFile(file)
			conn, err := tls.Dial("tcp", "127.0.0.1:"+mustParse(w.base).Port(), &tls.Config{RootCAs: w.roots(), ServerName: "rp.localhost"})
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
	}
	w.t.Cleanup(func() { w.secrets.checkAdmin(w.t, w.caddy) })
}

// roots returns the authorities that the world's browsers trust.
func (w *world) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.root)
	if w.op.tls != nil {
		pool.AddCert(w.op.tls.certificate)
	}
	return pool
}

// config returns the world's Caddyfile.
func (w *world) config(s site) string { return w.caddy.caddyfile(s.global, w.site(w.base, s)) }

func (w *world) site(address string, s site) string {
	client, secret, certificate := "rp", "client_secret {env.OIDC_CLIENT_SECRET}", ""
	if s.client != "" {
		client = s.client
	}
	if s.secret != "" {
		secret = "client_secret " + s.secret
	}
	if s.secret == "-" {
		secret = ""
	}
	if s.tls {
		certificate = "tls internal"
	}
	shorthand := fmt.Sprintf(`issuer %s
		client_id %s
		%s`, w.op.issuer, client, secret)
	if !strings.Contains(s.options, "username_claim") {
		shorthand += `
		` + habits[w.op.kind].options
	}
	if s.client == "-" { // the options name providers themselves
		shorthand = ""
	}
	return fmt.Sprintf(`
%s {
	bind 127.0.0.1
	%s
	log
%s
	oidc_rp %s {
		%s
%s
	}
	reverse_proxy %s {
		header_up X-User {http.auth.user.id}
		header_up X-Name {http.auth.user.name}
		header_up X-Email {http.auth.user.email}
		header_up X-Authenticated {http.oidc_rp.authenticated}
		header_up X-Provider {http.oidc_rp.provider}
		header_up X-Error {http.oidc_rp.error.code}
	}
}
`, address, certificate, s.before, s.mode, shorthand, s.options, w.app.addr())
}

// isSite reports whether a URL is the site's and not the provider's.
func (w *world) isSite(u *url.URL) bool { return u.Scheme+"://"+u.Host == w.base }

// peer returns the same site on another Caddy that shares the storage. Only the port
// differs, which cookies ignore.
func (w *world) peer(s site) *world {
	w.t.Helper()
	p := *w
	p.base = fmt.Sprintf("http://127.0.0.1:%d", freePort(w.t))
	p.caddy = p.newNode()
	p.startCaddy(s)
	return &p
}

func mustParse(address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	return u
}

package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// atClock returns a harness whose clock a test moves, because files are checked again after a
// while. The provider uses the same clock.
func atClock(t *testing.T, clock *stopped, site string) *harness {
	t.Helper()
	r := newHarness(t, site)
	r.at(clock.now)
	return r
}

// kids returns the key IDs that a site publishes.
func (r *harness) kids() string {
	r.t.Helper()
	p := r.browser().send(http.MethodGet, "/@app/auth/default/jwks", nil)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(p.body), &set); err != nil {
		r.t.Fatalf("%d %s: %v", p.StatusCode, p.body, err)
	}
	var all []string
	for _, key := range set.Keys {
		all = append(all, key.KeyID)
	}
	return strings.Join(all, " ")
}

// A file with the provider's keys is reread without a reload. If it is broken, the last good
// content is kept.
func TestKeySetFileIsReadAgain(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	file := fileOf(t, op.KeySet())
	r := atClock(t, clock, fmt.Sprintf(`
		oidc_rp {
			%s
			jwks {file.%s}
		}`, options(op), file))
	r.signsIn()
	rewrite(t, file, `{"keys":[`)
	clock.advance(livefile.Every)
	r.signsIn()
	clock.advance(livefile.Every)
	r.signsIn()
	equal(t, "log lines about the broken file", strings.Count(r.logs(), "cannot be used; keeping the last good content"), 1)
	op.SetKeys(1, 1)
	if p := r.browser().open("/page"); p.StatusCode != http.StatusForbidden {
		t.Errorf("a token by a key that is not in the file: status %d", p.StatusCode)
	}
	rewrite(t, file, string(op.KeySet()))
	clock.advance(livefile.Every)
	r.signsIn()
	asked(t, op, oidctest.JWKS, 0)
}

// The key files of the client are reread as well, whether the option has a path or a
// placeholder.
func TestClientKeyFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a path", "a placeholder"} {
		first, second := ecKey(), ecKey()
		clock := stop(t)
		op := newOP(t, oidctest.Now(clock.now), oidctest.WithClient(oidctest.Client{ID: "rp", Auth: "private_key_jwt", Key: first.Public()}))
		file := keyFile(t, first)
		written := file
		if name == "a placeholder" {
			written = "{file." + file + "}"
		}
		r := provesAs(t, op, "client_auth private_key_jwt "+written)
		r.at(clock.now)
		r.signsIn()
		before := r.kids()

		content, err := os.ReadFile(keyFile(t, second))
		if err != nil {
			t.Fatal(err)
		}
		rewrite(t, file, string(content))
		op.SetClient(func(c *oidctest.Client) { c.Key = second.Public() })
		clock.advance(livefile.Every)
		if after := r.kids(); after == before {
			t.Errorf("%s: the key that is published is still %s", name, after)
		}
		r.signsIn()
	}
}

// The file of a decryption key is reread as well.
func TestDecryptionKeyFileIsReadAgain(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	file, _ := decryptionKey(t)
	next, encrypt := decryptionKey(t)
	r := atClock(t, clock, fmt.Sprintf(`
oidc_rp {
	%s
	decryption_key %s
}
`, options(op), file))
	op.Lie(func(l *oidctest.Faults) { l.IDToken.Compact = encrypt })
	check(t, r.browser().open("/page"), "a token for another key").status(http.StatusForbidden)
	content, err := os.ReadFile(next)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, file, string(content))
	clock.advance(livefile.Every)
	r.signsIn()
}

// The file of a certificate authority is reread as well.
func TestCAFileIsReadAgain(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now), oidctest.TLS())
	_, stranger, _ := selfSigned(t)
	r := atClock(t, clock, fmt.Sprintf(`
oidc_rp {
	%s
	tls {
		ca %s
	}
}
`, options(op), stranger))
	check(t, r.browser().get("/page"), "a provider by an unknown certificate").status(http.StatusServiceUnavailable)
	rewrite(t, stranger, string(oidctest.CAPEM()))
	clock.advance(time.Minute) // the pause after the failure
	r.signsIn()
	rewrite(t, stranger, "no certificate")
	clock.advance(2 * time.Hour) // the metadata is fetched again
	r.signsIn()
	if !strings.Contains(r.logs(), "tls ca: a file holds no certificate") {
		t.Error("the log does not say that the file is broken")
	}
}

// Connections use the new client certificate once both files are new.
func TestClientCertificateFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	der, certificate, key := selfSigned(t)
	op := newOP(t, oidctest.Now(clock.now), oidctest.TLS(), oidctest.WithClient(oidctest.Client{ID: "rp", Auth: "tls_client_auth", Certificate: der}))
	r := provesAs(t, op, fmt.Sprintf(`
client_auth tls_client_auth %s %s
tls {
	ca %s
}
`, certificate, key, op.CAFile()))
	r.at(clock.now)
	r.signsIn()
	before := r.kids()
	der, nextCertificate, nextKey := selfSigned(t)
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(nextCertificate, certificate)
	clock.advance(livefile.Every)
	r.signsIn() // the old pair, since the new certificate has no key yet
	move(nextKey, key)
	op.SetClient(func(c *oidctest.Client) { c.Certificate = der })
	clock.advance(livefile.Every)
	r.signsIn()
	if after := r.kids(); after == before {
		t.Error("the certificate that is published is still the old one")
	}
}

// Custom pages are reread as well. If one is broken, the last good one is kept.
func TestPagesAreReadAgain(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	page := filepath.Join(folder, "signed_out.html")
	clock := stop(t)
	r := atClock(t, clock, `
oidc_rp {
	`+options(newOP(t))+`
	pages `+folder+`
}
`)
	shows := func(when, text string, want bool) {
		t.Helper()
		clock.advance(livefile.Every)
		if p := r.browser().get("/Special:UserLogout"); strings.Contains(p.body, text) != want {
			t.Errorf("%s: the page shows %q: %v\n%s", when, text, !want, p.body)
		}
	}
	shows("no page", "Good bye", false)
	rewrite(t, page, `{{define "content"}}Good bye{{end}}`)
	shows("a page", "Good bye", true)
	rewrite(t, page, `{{define "content"}}Farewell{{end}}`)
	shows("another page", "Farewell", true)
	rewrite(t, page, `{{define "content"}}{{.Nothing}}{{end}}`)
	shows("a broken page", "Farewell", true)
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	shows("no page any more", "Farewell", false)
	rewrite(t, filepath.Join(folder, "layout.html"), `<html><main>ours: {{template "content" .}}</main></html>`)
	shows("another layout", "ours: ", true)
}

// A file that every user can write to is logged once.
func TestFileThatAnybodyCanWriteIsInTheLog(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	file := fileOf(t, op.KeySet())
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	r := atClock(t, clock, fmt.Sprintf(`
oidc_rp {
	%s
	jwks {file.%s}
}
`, options(op), file))
	for range 3 {
		clock.advance(livefile.Every)
		r.signsIn()
	}
	equal(t, "the number of warnings", strings.Count(r.logs(), "every user of this machine can write"), 1)
}

// A configuration with a broken file is refused. The running one keeps the last good content.
func TestBrokenFileIsAnErrorAtLoad(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	file := fileOf(t, op.KeySet())
	site := fmt.Sprintf(`
oidc_rp {
	%s
	jwks {file.%s}
}
`, options(op), file)
	r := atClock(t, clock, site)
	rewrite(t, file, "{}")
	config, err := adapt(`
http://rp.test {
	` + site + `
}
`)
	if err != nil {
		t.Fatal(err)
	}
	err = tryProvision(config)
	failsWith(t, "a broken file at load", err, "jwks")
	clock.advance(livefile.Every)
	r.signsIn()
}

// A secret that is the name of an existing file is almost certainly a mistake.
func TestFileNameInThePlaceOfASecret(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	file := fileOf(t, []byte(op.Client().Secret))
	absent := filepath.ToSlash(filepath.Join(t.TempDir(), "a-secret-that-begins-with-a-slash-and-is-no-file"))
	site := func(secret, session string) string {
		return fmt.Sprintf(`
oidc_rp {
	issuer %s
	client_id rp
	client_secret %s
	session {
		secret %s
	}
}
`, op.Issuer(), secret, session)
	}
	for _, tc := range []struct {
		secret, session string
		options         []string // that the log warns about
	}{
		{file, strings.Repeat("s", 32), []string{"client_secret"}},
		{"{file." + file + "}", absent, nil},
		{absent, file, []string{"session: secret"}},
		{"/", "{file." + fileOf(t, []byte(strings.Repeat("k", 32))) + "}", nil},
		{"/etc", strings.Repeat("s", 32), nil},
		{"./main_test.go", strings.Repeat("s", 32), []string{"client_secret"}},
		{"../integration/main_test.go", strings.Repeat("s", 32), []string{"client_secret"}},
		{"main_test.go", strings.Repeat("s", 32), nil}, // may be a word
	} {
		logs := newHarness(t, site(tc.secret, tc.session)).logs()
		equal(t, "warnings about client_secret "+tc.secret+", secret "+tc.session, strings.Count(logs, "looks like a file name"), len(tc.options))
		for _, option := range tc.options {
			contains(t, "the log", logs, `"option":"`+option+`"`)
			if !strings.Contains(logs, "{file."+file+"}") && !strings.Contains(logs, "{file."+tc.secret+"}") {
				t.Errorf("%s: expected a warning that names the placeholder, seen %s", option, logs)
			}
		}
	}
	for option, text := range map[string]string{
		"jwks": "jwks " + file,
		"secret": `
			session {
				secret /etc/passwd
			}
		`,
	} {
		config, err := adapt(fmt.Sprintf(`
http://rp.test {
	oidc_rp {
		%s
		%s
	}
}
`, options(op), text))
		if err == nil {
			err = tryProvision(config)
		}
		failsWith(t, option, err, "write {file./")
	}
}

package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

var caddyfileBlock = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")

// example returns the first Caddyfile after a headline of a page in docs, adapted to these
// tests: its global options and its site.
func example(t *testing.T, page, after string, op *oidctest.Provider) (global, site string) {
	t.Helper()
	text, err := os.ReadFile("../docs/" + page)
	succeeds(required{t}, "reading "+page, err)
	_, rest, found := strings.Cut(string(text), after)
	equal(required{t}, fmt.Sprintf("docs/%s has %q", page, after), found, true)
	block := caddyfileBlock.FindStringSubmatch(rest)
	atLeast(required{t}, fmt.Sprintf("the number of Caddyfiles in docs/%s after %q", page, after), len(block), 1)
	site = regexp.MustCompile(`issuer https://\S+\s+client_id \S+\s+client_secret \S+\n`).ReplaceAllLiteralString(block[1], options(op))
	if strings.HasPrefix(site, "{\n") {
		global, site, _ = strings.Cut(site[2:], "\n}\n")
	}
	site = regexp.MustCompile(`(?m)^[a-z]+\.example\.com \{`).ReplaceAllLiteralString(site, "http://rp.test {")
	return global, regexp.MustCompile(`127\.0\.0\.1:([34]000|8080|8123)`).ReplaceAllLiteralString(site, "{upstream}")
}

// newExample returns a harness of an example. replace has pairs of a text on the page and its
// replacement, such as the path of a file.
func newExample(t *testing.T, page, after string, op *oidctest.Provider, replace ...string) *harness {
	t.Helper()
	global, site := example(t, page, after, op)
	return newHarnessAt(t, storageDir(t), strings.NewReplacer(replace...).Replace(site), global)
}

// odd returns spellings of paths to a folder, and into it, that some applications treat as the
// same path.
func odd(name string) []string {
	first, rest := name[:1], name[1:]
	return []string{
		"/" + name, "/" + name + "/", "/" + name + "/x", "/" + name + ";x/y", "/" + name + ";x", "/%25" + hexOf(first) + rest + "/x", "/%" + hexOf(first) + rest + "/x",
		"/x/..%5c" + name + "/y", "/x/../" + name + "/y", "/" + name + "./x", "//" + name + "/x", "/./" + name + "/x", "/" + name + "%00/x", "/" + name + "%2fx",
	}
}

func hexOf(letter string) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[letter[0]>>4], digits[letter[0]&15]})
}

// A user who is not in the group gets no page, however the path is spelled.
func TestGroupRecipesHold(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newExample(t, "recipes/handle-blocks.md", "\n## One rule for all blocks\n", op)
	op.SignIn("bob")
	bob := r.browser()
	bob.open("/", "never")
	targets := append(odd("static"), odd("reports")...)
	for _, target := range append(targets, "/", "/static/x") {
		p := r.rawGet(target, "Accept: text/html", "Cookie: "+bob.cookieHeader())
		if p.StatusCode != http.StatusForbidden && p.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: a user who is not in the group gets %d", target, p.StatusCode)
		}
	}
	equal(t, "the number of requests at the application", r.upstream.count(), 0)
	op.SignIn("alice")
	check(t, r.browser().open("/reports/x"), "a member").status(http.StatusOK).shows("application")
}

// The example in docs/caddyfile.md protects the private folders, however the path is spelled.
func TestPrivateRoutesOfTheDocumentsHold(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp public {
	`+options(op)+`
	private /account /account/* /admin /admin/*
}
`)
	for _, name := range []string{"account", "admin"} {
		for _, target := range odd(name) {
			p := r.rawGet(target, "Accept: text/html")
			if p.StatusCode == http.StatusOK {
				t.Errorf("%s is open", target)
			}
		}
	}
	equal(t, "the number of requests at the application", r.upstream.count(), 0)
	check(t, r.browser().get("/other"), "for a public page").status(http.StatusOK)
}

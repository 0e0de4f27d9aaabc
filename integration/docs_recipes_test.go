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

// example is the Caddyfile of a page in docs after a headline, as a site of these
// tests: what its global option says of oidc_rp, and the site.
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

// newExample is a harness of an example. What the test has in other places, such
// as files, is replaced: pairs of the text on the page and the test's own.
func newExample(t *testing.T, page, after string, op *oidctest.Provider, replace ...string) *harness {
	t.Helper()
	global, site := example(t, page, after, op)
	return newHarnessAt(t, storageDir(t), strings.NewReplacer(replace...).Replace(site), global)
}

// odd are spellings of a folder and what is in it that some applications read
// alike.
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

// Fault A7. A user who is not in the group gets no page, by whatever address.
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

// Fault A8. The example of docs/caddyfile.md leaves no private folder open.
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

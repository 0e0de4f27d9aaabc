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

// recipe is the n-th Caddyfile of docs/recipes.md after a headline, as a site of
// these tests.
func recipe(t *testing.T, after string, n int, op *oidctest.Provider) string {
	t.Helper()
	recipes, err := os.ReadFile("../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(recipes), after)
	blocks := caddyfileBlock.FindAllStringSubmatch(rest, n+1)
	equal(required{t}, fmt.Sprintf("docs/recipes.md has %q", after), found, true)
	atLeast(required{t}, fmt.Sprintf("the number of Caddyfiles in docs/recipes.md after %q", after), len(blocks), n+1)
	text := regexp.MustCompile(`issuer https://\S+\s+client_id \S+\s+client_secret \S+\n`).ReplaceAllLiteralString(blocks[n][1], options(op))
	text = regexp.MustCompile(`(?m)^[a-z]+\.example\.com \{`).ReplaceAllLiteralString(text, "http://rp.test {")
	return strings.ReplaceAll(text, "127.0.0.1:3000", "{upstream}")
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
	for n, name := range []string{"a whole site", "handle blocks"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarnessAt(t, storageDir(t), recipe(t, "\n## Members of a group only\n", n, op))
			op.SignIn("bob")
			bob := r.browser()
			bob.open("/", "never")
			targets := append(odd("admin"), odd("reports")...)
			for _, target := range append(targets, "/", "/static/x") {
				p := r.rawGet(target, "Accept: text/html", "Cookie: "+bob.cookieHeader())
				if p.StatusCode != http.StatusForbidden && p.StatusCode != http.StatusBadRequest {
					t.Errorf("%s: a user who is not in the group gets %d", target, p.StatusCode)
				}
			}
			equal(t, "the number of requests at the application", r.upstream.count(), 0)
			op.SignIn("alice")
			check(t, r.browser().open("/reports/x"), "a member").status(http.StatusOK).shows("application")
		})
	}
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

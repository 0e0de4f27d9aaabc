package e2e

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// pagesProgram serves the identity provider's built-in pages with made-up contents.
var pagesProgram = &program{name: "idp-pages", dir: "../idp", pkg: "./internal/pages/preview"}

// axe-core finds no barrier on a built-in page, by the rules of WCAG 2.2 AA and by its
// best practices, on a phone and on a desktop, in light and in dark.
func TestPagesOfTheIdentityProviderAreAccessible(t *testing.T) {
	t.Parallel()
	needFile(t, "/usr/bin/chromium")
	needFile(t, "browser/node_modules/axe-core/axe.min.js")
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	server := spawn(t, "pages", nil, pagesProgram.path(t))
	site := ""
	eventually(t, 30*time.Second, "the pages are served", func() bool {
		site, _, _ = strings.Cut(server.log.String(), "\n")
		answer, err := http.Get(site)
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	var saw struct {
		Steps       []string
		Looked      int
		Wide, Found []string
		Error       string
	}
	script := spawn(t, "axe", nil, node, "browser/axe.mjs", string(must(json.Marshal(object{"site": site}))))
	awaitSteps(t, script, 10*time.Minute, &saw)
	if saw.Error != "" {
		t.Fatalf("the journey ended early: %s", saw.Error)
	}
	if saw.Looked < 4*60 {
		t.Errorf("expected each page to be looked at four times, seen %d", saw.Looked)
	}
	for _, found := range saw.Found {
		t.Errorf("axe-core: %s", found)
	}
	for _, wide := range saw.Wide {
		t.Errorf("wider than the screen: %s", wide)
	}
}

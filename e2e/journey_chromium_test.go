package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// chromiumSaw is what browser/journey.mjs reports.
type chromiumSaw struct {
	Steps      []chromiumStep
	Violations []string
	Shots      []struct {
		File, Name, Scheme, Width, Lang, Title string
		Overflow                               float64
		Background, Text, Smallest             float64
		Headings                               int
	}
	Error string
}

// A chromiumStep describes one page.
type chromiumStep struct {
	Name, URL, Text string
	Form, Status    int
	Cookies         json.RawMessage
	Stops           []tabStop
	// Tree is the accessibility tree, Focus the text of the focused element, and Hint the
	// name already filled in at the provider's form.
	Tree, Focus, Hint string

	// At the identity provider: how many recovery codes the page shows, the seed of an
	// authenticator app, the passkeys on a device, and after how many milliseconds a
	// session ended.
	Codes       int
	Seed        string
	Credentials []struct {
		RPID                 string
		IsResidentCredential bool
	}
	Ended, After int
}

// A tabStop is an element that Tab reached, and whether the page shows the focus.
type tabStop struct {
	Text    string
	Visible bool
}

// The same journey in a real browser, which enforces what the tests' own client only
// imitates: SameSite, Secure, Content-Security-Policy, and redirects after a form.
func TestChromiumSignsInAndOut(t *testing.T) {
	t.Parallel()
	t.Run("oidc-provider over tls", func(t *testing.T) {
		t.Parallel()
		chromiumJourney(t, oidcProvider, true, "__Host-oidc_rp")
	})
	t.Run("zitadel over plain http", func(t *testing.T) {
		t.Parallel()
		chromiumJourney(t, zitadel, false, "oidc_rp")
	})
}

func chromiumJourney(t *testing.T, kind string, tls bool, cookieName string) {
	w := start(t, kind, site{tls: tls})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, `<!doctype html><title>Another site</title><a href="%s%s">Sign out there</a>`, w.base, logoutPath)
	}))
	t.Cleanup(elsewhere.Close)
	const path = "/docs/page?x=1&y=%20z"
	saw := inChromium(t, "journey", map[string]any{
		"site": w.base, "page": path, "question": kind == oidcProvider, "shots": shotsOf(t, kind),
		"elsewhere": strings.Replace(elsewhere.URL, "127.0.0.1", "elsewhere.localhost", 1),
	})
	for _, s := range saw.Steps {
		wrong := func(what string) {
			t.Helper()
			t.Errorf("%s: %s: %s %d %.300s %s", s.Name, what, s.URL, s.Status, s.Text, s.Cookies)
		}
		switch s.Name {
		case "asked", "asked again":
			if s.Form != 1 {
				wrong("no login form")
			}
			if !strings.HasPrefix(s.URL, w.op.issuer) {
				wrong("not a page of the provider")
			}
		case "back":
			var was seen
			if err := json.Unmarshal([]byte(s.Text), &was); err != nil {
				wrong("not the application's page: " + err.Error())
			}
			if was.URI != path {
				wrong("not the requested page: " + was.URI)
			}
			if user := was.Headers.Get("X-User"); user != "alice" {
				wrong("not alice's page: " + user)
			}
			var cookies []struct {
				Name, SameSite, Path string
				HTTPOnly, Secure     bool
			}
			_ = json.Unmarshal(s.Cookies, &cookies)
			found := false
			for _, c := range cookies {
				if c.Name == cookieName {
					found = c.HTTPOnly && c.Secure == tls && c.SameSite == "Lax" && c.Path == "/"
				}
			}
			if !found {
				wrong("no proper session cookie")
			}
		case "refused":
			if s.Status != 403 {
				wrong("not refused")
			}
		case "fresh start":
			if !strings.HasPrefix(s.URL, w.op.issuer) {
				wrong("no new login")
			}
		case "signed out":
			if !strings.Contains(strings.ToLower(s.Text), "signed out") {
				wrong("the page does not say so")
			}
			if strings.Contains(string(s.Cookies), `"`+cookieName+`"`) {
				wrong("the session cookie is still there")
			}
		}
	}
	checkLooks(t, saw, 3)
}

// shotsOf returns the folder for a journey's screenshots.
func shotsOf(t *testing.T, journey string) string {
	t.Helper()
	shots := os.Getenv("E2E_SHOTS")
	if shots == "" {
		return t.TempDir()
	}
	shots += "/" + journey
	if err := os.MkdirAll(shots, 0o755); err != nil {
		t.Fatal(err)
	}
	return shots
}

// inChromium runs a script from the folder browser and decodes its report.
func inChromium(t *testing.T, name string, order map[string]any) (saw chromiumSaw) {
	t.Helper()
	needFile(t, "/usr/bin/chromium")
	needFile(t, "browser/node_modules/playwright-core/package.json")
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	script := spawn(t, "chromium "+name, nil, node, "browser/"+name+".mjs", string(must(json.Marshal(order))))
	awaitSteps(t, script, 3*time.Minute, &saw)
	if saw.Error != "" {
		t.Errorf("the journey ended early: %s\n%s", saw.Error, script.log.tail(10))
	}
	if len(saw.Steps) == 0 {
		t.Errorf("expected steps, seen none\n%s", script.log.tail(10))
	}
	for _, v := range saw.Violations {
		t.Errorf("a page of the site broke its own policy: %s", v)
	}
	return saw
}

// checkLooks checks the measurements of this many pages of the plugin.
func checkLooks(t *testing.T, saw chromiumSaw, pages int) {
	t.Helper()
	if len(saw.Shots) != pages*2*2 {
		t.Errorf("expected screenshots of %d pages in two schemes and two widths, seen %d", pages, len(saw.Shots))
	}
	for _, s := range saw.Shots {
		name := fmt.Sprintf("%s in %s on a %s", s.Name, s.Scheme, s.Width)
		if s.Overflow > 0 {
			t.Errorf("%s: %g pixels wider than the screen", name, s.Overflow)
		}
		if dark := s.Background < 0.5; dark != (s.Scheme == "dark") {
			t.Errorf("%s: background lightness %.2f", name, s.Background)
		}
		if d := s.Background - s.Text; d > -0.4 && d < 0.4 {
			t.Errorf("%s: text %.2f on %.2f is hard to read", name, s.Text, s.Background)
		}
		if s.Smallest < 12 {
			t.Errorf("%s: a text of %g pixels", name, s.Smallest)
		}
		if s.Lang == "" {
			t.Errorf("%s: expected a language, seen none", name)
		}
		if s.Title == "" {
			t.Errorf("%s: expected a title, seen none", name)
		}
		if s.Headings != 1 {
			t.Errorf("%s: expected one heading, seen %d", name, s.Headings)
		}
	}
}

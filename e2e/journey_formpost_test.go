package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// formPostSaw is what browser/form_post.mjs reports.
type formPostSaw struct {
	Steps []struct {
		Name, URL, Text string
		Cookies         []struct {
			Name, SameSite string
			Secure         bool
		}
	}
	Answers []struct {
		Method, URL, From string
		Cookies           []string
	}
	Error string
}

// Only a real browser shows which cookies it sends with a form from another site.
func TestChromiumAnswersByPost(t *testing.T) {
	t.Parallel()
	for name, tls := range map[string]bool{"over tls": true, "on loopback": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			formPostJourney(t, tls)
		})
	}
}

func formPostJourney(t *testing.T, tls bool) {
	w := start(t, oidcProvider, site{tls: tls, options: "response_mode form_post"})
	needFile(t, "/usr/bin/chromium")
	needFile(t, "browser/node_modules/playwright-core/package.json")
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprint(rw, "<!doctype html><title>Another site</title><body>")
	}))
	t.Cleanup(elsewhere.Close)
	const path, code = "/docs/page?x=1", "/@app/auth/default/code"
	order, _ := json.Marshal(map[string]string{
		"site": w.base, "page": path, "code": code,
		"elsewhere": strings.Replace(elsewhere.URL, "127.0.0.1", "elsewhere.localhost", 1),
	})
	script := spawn(t, "chromium form_post", nil, node, "browser/form_post.mjs", string(order))
	var saw formPostSaw
	awaitSteps(t, script, 2*time.Minute, &saw)
	if saw.Error != "" {
		t.Errorf("the journey ended early: %s\n%s", saw.Error, script.log.tail(10))
	}
	if len(saw.Steps) != 4 {
		t.Errorf("expected four steps, seen %d\n%s", len(saw.Steps), script.log.tail(10))
	}
	session, transaction := "oidc_rp", "oidc_rp_tx_"
	if tls {
		session, transaction = "__Host-oidc_rp", "__Host-oidc_rp_tx_"
	}
	for _, s := range saw.Steps {
		wrong := func(what string) {
			t.Helper()
			t.Errorf("%s: %s: %s %.300s %v", s.Name, what, s.URL, s.Text, s.Cookies)
		}
		var application seen
		isAlice := json.Unmarshal([]byte(s.Text), &application) == nil && application.URI == path && application.Headers.Get("X-User") == "alice"
		switch s.Name {
		case "asked":
			if len(s.Cookies) != 1 {
				wrong("not one cookie, of the transaction")
				break
			}
			c := s.Cookies[0]
			if !strings.HasPrefix(c.Name, transaction) {
				wrong("not a cookie of the transaction")
			}
			if c.SameSite != "None" {
				wrong("a cookie that a POST from another site does not carry")
			}
			if !c.Secure {
				wrong("a cookie without Secure")
			}
		case "back", "again":
			if !isAlice {
				wrong("not alice's page")
			}
			for _, c := range s.Cookies {
				if c.Name == session && c.SameSite != "Lax" {
					wrong("a session cookie that is not Lax")
				}
				if strings.HasPrefix(c.Name, transaction) {
					wrong("a transaction that is not over")
				}
			}
		case "stranger":
			if !strings.Contains(s.Text, "took too long or was already used") {
				wrong("not refused")
			}
		}
	}
	// The provider's POST, the site's GET, and both again.
	if len(saw.Answers) != 6 {
		t.Fatalf("%d requests of the redirect URI: %+v", len(saw.Answers), saw.Answers)
	}
	for i, a := range saw.Answers {
		if want := []string{"POST", "GET"}[i%2]; a.Method != want {
			t.Errorf("request %d: expected a %s, seen a %s", i, want, a.Method)
		}
		if strings.Contains(a.URL, "code=") {
			t.Errorf("request %d: expected no code in the URL, seen %s", i, a.URL)
		}
		if a.From != "cross-site" {
			t.Errorf("request %d: expected it from another site, seen %s", i, a.From)
		}
		if a.Method == "POST" && slices.Contains(a.Cookies, session) {
			t.Errorf("request %d carries the session", i)
		}
	}
	first := saw.Answers[0].Cookies
	if len(first) != 1 {
		t.Fatalf("the answer: expected one cookie, seen %q", first)
	}
	if !strings.HasPrefix(first[0], transaction) {
		t.Errorf("the answer: expected the cookie of the transaction, seen %q", first[0])
	}
}

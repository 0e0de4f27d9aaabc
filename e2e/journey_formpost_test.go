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

// What browser/form_post.mjs tells.
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

// Only a real browser knows which cookies go along with a form of another site.
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
	eventually(t, 2*time.Minute, "the journey is over", func() bool { return !script.running() })
	var saw formPostSaw
	for _, line := range strings.Split(script.log.String(), "\n") {
		if strings.HasPrefix(line, `{"steps"`) {
			if err := json.Unmarshal([]byte(line), &saw); err != nil {
				t.Fatal(err)
			}
		}
	}
	if saw.Error != "" || len(saw.Steps) != 4 {
		t.Errorf("the journey ended early: %s\n%s", saw.Error, script.log.tail(10))
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
			if len(s.Cookies) != 1 || !strings.HasPrefix(s.Cookies[0].Name, transaction) || s.Cookies[0].SameSite != "None" || !s.Cookies[0].Secure {
				wrong("the transaction is not for a POST from elsewhere")
			}
		case "back", "again":
			if !isAlice {
				wrong("not alice's page")
			}
			for _, c := range s.Cookies {
				if c.Name == session && c.SameSite != "Lax" || strings.HasPrefix(c.Name, transaction) {
					wrong("a cookie that should be otherwise")
				}
			}
		case "stranger":
			if !strings.Contains(s.Text, "took too long or was already used") {
				wrong("not refused")
			}
		}
	}
	// The provider's POST, our GET, and the same twice again.
	if len(saw.Answers) != 6 {
		t.Fatalf("%d requests of the redirect URI: %+v", len(saw.Answers), saw.Answers)
	}
	for i, a := range saw.Answers {
		if want := []string{"POST", "GET"}[i%2]; a.Method != want || strings.Contains(a.URL, "code=") || a.From != "cross-site" {
			t.Errorf("request %d is %s %s from %s", i, a.Method, a.URL, a.From)
		}
		if a.Method == "POST" && slices.Contains(a.Cookies, session) {
			t.Errorf("request %d carries the session", i)
		}
	}
	if first := saw.Answers[0].Cookies; len(first) != 1 || !strings.HasPrefix(first[0], transaction) {
		t.Errorf("the answer carries the cookies %q", first)
	}
}

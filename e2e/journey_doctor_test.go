package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// An operator whose site does not work runs the doctor while Caddy runs. The provider
// zitadel checks codes before secrets, so the doctor cannot detect a wrong secret without
// a user.
func TestTheDoctorFindsAWrongSecret(t *testing.T) {
	eachOf(t, []string{oidcProvider, keycloak, zitadel}, func(t *testing.T, kind string) {
		w := start(t, kind, site{tls: true})
		right := w.caddy.running()

		found, exit := w.caddy.check(right)
		if exit != 0 {
			t.Errorf("the right secret: expected exit code 0, seen %d: %v", exit, found)
		}
		status, code := "ok", 2
		if kind == zitadel {
			status, code = "info", 0
		}
		if seen := found["credentials"]; seen.Status != status {
			t.Errorf("the right secret: expected credentials that are %s, seen %+v", status, seen)
		}
		if p := w.newBrowser().signIn("/page", "alice"); p.status != 200 {
			t.Errorf("expected that users sign in after the doctor, seen:%s", p)
		}

		found, exit = w.caddy.check(strings.Replace(right, "{env.OIDC_CLIENT_SECRET}", "not-the-secret", 1))
		if exit != code {
			t.Errorf("a wrong secret: expected exit code %d, seen %d: %v", code, exit, found)
		}
		if seen := found["credentials"]; kind != zitadel && (seen.Status != "failed" || !strings.Contains(seen.Remedy, "secret")) {
			t.Errorf("a wrong secret: expected a remedy that names the secret, seen %+v", seen)
		}

		found, exit = w.caddy.check(strings.Replace(right, "issuer "+w.op.issuer, "issuer "+w.op.issuer+"/", 1))
		if exit != 2 {
			t.Errorf("a slash too many: expected exit code 2, seen %d: %v", exit, found)
		}
		if seen := found["discovery"]; seen.Status != "failed" || !strings.Contains(seen.Remedy, w.op.issuer) {
			t.Errorf("a slash too many: expected a remedy with the issuer, seen %+v", seen)
		}

		if w.op.process.whole == nil {
			w.op.process.stop(t, syscall.SIGKILL)
			if found, _ = w.caddy.check(right); found["connection"].Status != "failed" {
				t.Errorf("the provider is down: expected a connection that failed, seen %v", found)
			}
		}
	})
}

// checked is the doctor's result for one check of a provider.
type checked struct{ Status, Message, Remedy string }

// check runs the doctor on a Caddyfile, with the node's storage.
func (n *node) check(caddyfile string) (found map[string]checked, exit int) {
	n.t.Helper()
	file := filepath.Join(n.t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command(n.program.path(n.t), "oidc-rp", "check", "--json", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), n.env...)
	log := &logBuffer{}
	cmd.Stderr = log
	text, err := cmd.Output()
	_, _ = log.Write(text)
	n.logs = append(n.logs, log)
	if cmd.ProcessState == nil {
		n.t.Fatal(err)
	}
	var report struct {
		Sites []struct {
			Providers []struct {
				Checks []struct {
					Check string
					checked
				}
			}
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		n.t.Fatalf("expected a report, seen %v: %s", err, log)
	}
	found = map[string]checked{}
	for _, site := range report.Sites {
		for _, p := range site.Providers {
			for _, c := range p.Checks {
				found[c.Check] = c.checked
			}
		}
	}
	return found, cmd.ProcessState.ExitCode()
}

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// packagedUnit is caddy.service from Caddy's packages.
const packagedUnit = `[Unit]
Description=Caddy
Documentation=https://caddyserver.com/docs/
After=network.target network-online.target
Requires=network-online.target

[Service]
Type=notify
User=caddy
Group=caddy
ExecStart=/usr/bin/caddy run --environ --config /etc/caddy/Caddyfile
ExecReload=/usr/bin/caddy reload --config /etc/caddy/Caddyfile --force
TimeoutStopSec=5s
LimitNOFILE=1048576
PrivateTmp=true
ProtectSystem=full
AmbientCapabilities=CAP_NET_ADMIN CAP_NET_BIND_SERVICE

[Install]
WantedBy=multi-user.target
`

const dropIn = "deploy/systemd/oidc-rp.conf"

// unit writes the unit and the drop-in, with the path of an existing Caddy.
func unit(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "caddy.service.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"caddy.service": packagedUnit, "caddy.service.d/oidc-rp.conf": file(t, dropIn)} {
		text = strings.ReplaceAll(text, "/usr/bin/caddy", "/bin/true")
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "caddy.service")
}

// TestSystemdUnderstandsTheDropIn checks that systemd has no complaints about the drop-in
// and rates the service's exposure as low.
func TestSystemdUnderstandsTheDropIn(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("expected systemd-analyze, of Debian's package systemd: %v", err)
	}
	path := unit(t)
	text, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	if said := strings.TrimSpace(string(text)); said != "" {
		t.Errorf("expected no complaint, seen\n%s", said)
	}
	if text, err := exec.Command(analyze, "security", "--offline=true", "--threshold=20", path).CombinedOutput(); err != nil {
		t.Errorf("expected an exposure of 2.0 at most, seen %v\n%s", err, text)
	}
}

// TestTheDropInKeepsSecretsOutOfTheJournal checks that the drop-in replaces the unit's
// own command, which writes the environment to the journal.
func TestTheDropInKeepsSecretsOutOfTheJournal(t *testing.T) {
	t.Parallel()
	var commands []string
	for line := range strings.Lines(packagedUnit + file(t, dropIn)) {
		if value, is := strings.CutPrefix(strings.TrimSpace(line), "ExecStart="); is {
			if value == "" {
				commands = nil
				continue
			}
			commands = append(commands, value)
		}
	}
	if len(commands) != 1 || strings.Contains(commands[0], "--environ") {
		t.Errorf("expected one command without --environ, seen %q", commands)
	}
}

// TestTheDropInHasTheCredentialsThatTheDocumentsRead compares the credentials in the
// drop-in with the placeholders in it and in docs/deploy.md.
func TestTheDropInHasTheCredentialsThatTheDocumentsRead(t *testing.T) {
	t.Parallel()
	for option, name := range map[string]string{"client_id": "oidc-client-id", "client_secret": "oidc-client-secret"} {
		line := option + " {file./run/credentials/caddy.service/" + name + "}"
		for _, page := range []string{dropIn, "docs/deploy.md"} {
			if !strings.Contains(file(t, page), line) {
				t.Errorf("%s: expected %q", page, line)
			}
		}
		if !strings.Contains(file(t, dropIn), "\nLoadCredential="+name+":/etc/caddy/oidc/") {
			t.Errorf("expected a credential %s", name)
		}
	}
}

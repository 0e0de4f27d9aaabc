package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A node is one Caddy: one process, or several in succession with the same admin
// endpoint. Nodes may share a storage.
type node struct {
	t        testing.TB
	program  *program
	admin    int
	storage  string
	env      []string
	file     string // the Caddyfile it runs with
	level    string // log level; default DEBUG
	shell    string // a line of sh that starts Caddy and ends in exec "$0" "$@"
	process  *process
	logs     []*logBuffer // of every process of this node
	balances bool         // it is a load balancer: Caddy's logs of the requests it proxies contain secrets
}

func newNode(t testing.TB, storage string, env ...string) *node {
	t.Helper()
	dir := t.TempDir()
	// Caddy's own folders are in the test's folder, whatever the user's home directory
	// contains.
	env = append(env, "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	markStorageClean(t, storage)
	return &node{t: t, program: caddyProgram, admin: freePort(t), storage: storage, env: env, file: filepath.Join(dir, "Caddyfile")}
}

// markStorageClean makes Caddy skip the storage cleaning when it starts. The cleaning
// deletes empty site folders, including one that was just created for the certificate
// being obtained; Caddy then retries that certificate only after a minute.
func markStorageClean(t testing.TB, storage string) {
	t.Helper()
	text := fmt.Sprintf(`{"tls":{"timestamp":%q}}`, time.Now().Format(time.RFC3339))
	if err := os.MkdirAll(storage, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(storage, "last_clean.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// caddyfile puts the global options that every test needs before the sites. It logs
// everything, so that the canaries would be found.
func (n *node) caddyfile(global, sites string) string {
	return fmt.Sprintf(`{
	admin 127.0.0.1:%d
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	grace_period 2s
	storage file_system %s
	log {
		output stderr
		format json
		level %s
	}
%s
}
%s`, n.admin, n.storage, cmp.Or(n.level, "DEBUG"), global, sites)
}

// start runs Caddy until stop or the end of the test. It returns once Caddy serves
// requests.
func (n *node) start(caddyfile string) {
	n.t.Helper()
	n.write(caddyfile)
	command := []string{n.program.path(n.t), "run", "--config", n.file, "--adapter", "caddyfile"}
	if n.shell != "" {
		command = append([]string{"/bin/sh", "-c", n.shell}, command...)
	}
	n.process = spawn(n.t, "caddy", n.env, command[0], command[1:]...)
	n.logs = append(n.logs, n.process.log)
	eventually(n.t, 30*time.Second, "Caddy serves", func() bool {
		if !n.process.running() {
			n.t.Fatalf("Caddy has ended:\n%s\nits Caddyfile:\n%s", n.process.log.tail(20), caddyfile)
		}
		status, config := n.config()
		return status == http.StatusOK && config != "null"
	})
}

// running returns the Caddyfile that Caddy was last given.
func (n *node) running() string {
	n.t.Helper()
	caddyfile, err := os.ReadFile(n.file)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(caddyfile)
}

// restart stops Caddy with the signal and starts it again with the same Caddyfile.
func (n *node) restart(signal syscall.Signal) {
	n.t.Helper()
	n.process.stop(n.t, signal)
	n.start(n.running())
}

// reload gives the running Caddy another configuration. It returns an error if Caddy
// refuses it.
func (n *node) reload(caddyfile string) error {
	n.t.Helper()
	n.write(caddyfile)
	return n.command("reload", "--force", "--config", n.file, "--adapter", "caddyfile", "--address", fmt.Sprintf("127.0.0.1:%d", n.admin))
}

func (n *node) validate(caddyfile string) error {
	n.t.Helper()
	n.write(caddyfile)
	return n.command("validate", "--config", n.file, "--adapter", "caddyfile")
}

func (n *node) command(args ...string) error {
	n.t.Helper()
	cmd := exec.Command(n.program.path(n.t), args...)
	cmd.Env = append(os.Environ(), n.env...)
	log := &logBuffer{}
	n.logs = append(n.logs, log)
	text, err := cmd.CombinedOutput()
	_, _ = log.Write(text)
	if err != nil {
		return fmt.Errorf("caddy %s: %w\n%s", args[0], err, log.tail(5))
	}
	return nil
}

func (n *node) write(caddyfile string) {
	n.t.Helper()
	if err := os.WriteFile(n.file, []byte(caddyfile), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// config returns the running configuration as the admin endpoint shows it.
func (n *node) config() (status int, body string) {
	return n.get("/config/")
}

func (n *node) get(path string) (status int, body string) {
	r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", n.admin, path))
	if err != nil {
		return 0, ""
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(bytes.TrimSpace(text))
}

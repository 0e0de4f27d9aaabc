package oidcrp_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// inOwnProcess runs a test in its own process, so that Caddy can run there.
func inOwnProcess(t *testing.T, env, test string) {
	t.Helper()
	process := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	process.Env = append(os.Environ(), env+"=1", "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	if out, err := process.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// adminSocket returns an admin API address that needs no port and has a short path.
func adminSocket(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return "unix/" + filepath.Join(folder, "s")
}

// takenPort returns an address that is in use.
func takenPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func loadWithAdmin(t *testing.T, address, globals, sites string) error {
	t.Helper()
	config, err := adapt(fmt.Sprintf(`
{
	admin %s
	auto_https off
	persist_config off
	log {
		output discard
	}
	%s
}
%s
`, address, globals, sites))
	if err != nil {
		t.Fatal(err)
	}
	return caddy.Load(config, true)
}

// command runs `caddy oidc-rp …` in this process. Each new configuration replaces
// Caddy's admin API and may cut off connections that the previous one accepted.
func command(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if out, err = execute(t, args...); err == nil || !strings.HasSuffix(err.Error(), ": EOF") && !strings.HasSuffix(err.Error(), "reset by peer") {
			break
		}
	}
	return out, err
}

func execute(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	registered, found := caddycmd.Commands()["oidc-rp"]
	if !found {
		t.Fatal("the command is not registered")
	}
	caddyItself := &cobra.Command{Use: "caddy", SilenceErrors: true, SilenceUsage: true}
	cmd := &cobra.Command{Use: registered.Name, Long: registered.Long}
	registered.CobraFunc(cmd)
	caddyItself.AddCommand(cmd)
	var printed bytes.Buffer
	caddyItself.SetOut(&printed)
	caddyItself.SetErr(&printed)
	caddyItself.SetArgs(append([]string{registered.Name}, args...))
	err = caddyItself.Execute()
	return printed.String(), err
}

// TestKeyCommand creates a key and shows the file that contains its line.
func TestKeyCommand(t *testing.T) {
	t.Parallel()
	out, err := execute(t, "key", "new", "ci", "--groups", "deploy,ops", "--expires", "365d")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ci:[0-9a-f]{64}:deploy,ops:20.*Z$`).FindString(out)
	if line == "" {
		t.Fatalf("expected the line of a key, seen\n%s", out)
	}
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = execute(t, "key", "list", file)
	if err != nil {
		t.Errorf("expected no error, seen %v", err)
	}
	if !strings.Contains(out, "deploy,ops") {
		t.Errorf("expected the groups of the key, seen\n%s", out)
	}
	for _, args := range [][]string{{"key", "make"}, {"key", "new"}, {"key", "new", "a", "b"}, {"key", "new", "a/b"}, {"key", "check", file, "orp_ci_x"}, {"key", "list", file + ".none"}} {
		if _, err := execute(t, args...); err == nil {
			t.Errorf("%q: expected an error", args)
		}
	}
}

const commandEnv = "OIDC_RP_COMMAND"

// TestCommandAsksARunningCaddy runs the commands against a Caddy that has loaded its
// configuration.
func TestCommandAsksARunningCaddy(t *testing.T) {
	t.Parallel()
	inOwnProcess(t, commandEnv, "TestCommandHelper")
}

// TestCommandHelper is the process of TestCommandAsksARunningCaddy.
func TestCommandHelper(t *testing.T) {
	if os.Getenv(commandEnv) == "" {
		return
	}
	address := adminSocket(t)
	globals := `
	storage file_system ` + storageDir(t) + `
	oidc_rp {
		provider corp {
			issuer http://127.0.0.1:1/corp
			client_id rp
		}
	}`
	sites := `
http://one.test:0 {
	oidc_rp
}
http://two.test:0 {
	oidc_rp {
		session {
			secret 0123456789abcdef0123456789abcdef
		}
	}
}
`
	if err := loadWithAdmin(t, address, globals, sites); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args  string
		fails bool
		says  []string
	}{
		{"providers", false, []string{"corp", "unknown", "one.test,two.test", "http://127.0.0.1:1/corp"}},
		{"providers --json", false, []string{`"id":"corp"`}},
		// The command does not know whether this subject exists, and says so.
		{"revoke --subject alice", false, []string{"REVOKED", "subject", "corp", "http://127.0.0.1:1/corp", "Sessions of this subject that began before now end", "Whether there were any is not known"}},
		{"revoke --subject alice --provider corp --issuer http://127.0.0.1:1/corp", false, []string{"corp"}},
		{"revoke --sid s --json", false, []string{`"kind":"sid"`}},
		{"revoke --all", false, []string{"all", "All sessions that began before now end"}},
		{"revoke", true, []string{"one of subject, sid and all"}},
		{"revoke --all --provider corp", true, []string{"400", "provider: all"}},
		{"revoke --subject alice --provider x", true, []string{"there is none"}},
		{"revoke alice", true, []string{"unknown command"}},
		{"keys", false, []string{"sealing", "one.test", "storage", "168h0m0s", "two.test", "secret"}},
		{"keys list --json", false, []string{`"rings":[`}},
		{"keys rotate", false, []string{"a new key was made for one.test", "waiting", "keys of the option secret"}},
		{"keys rotate", false, []string{"about to seal already"}},
		{"keys rotate --compromised", false, []string{"a new key was made for one.test"}},
		{"keys mend", true, []string{"unknown command"}},
		{"mend", true, []string{`no command "mend"`}},
		{"", false, []string{"providers", "revoke", "keys", "--address"}},
		{"revoke --help", false, []string{"--subject", "--sid", "--all", "--provider", "--issuer", "sign in again"}},
		{"keys rotate --help", false, []string{"--compromised", "within about a minute"}},
	} {
		out, err := command(t, append(strings.Fields(tc.args), "--address", address)...)
		if err != nil {
			out += err.Error()
		}
		if (err != nil) != tc.fails {
			t.Errorf("%s: %v\n%s", tc.args, err, out)
		}
		for _, text := range tc.says {
			if !strings.Contains(out, text) {
				t.Errorf("%s does not say %q:\n%s", tc.args, text, out)
			}
		}
	}

	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, fmt.Appendf(nil, `{
	admin %s
}
`, address), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, "providers", "--config", file, "--adapter", "caddyfile")
	if err != nil {
		t.Errorf("with a configuration file that has the address: %v\n%s", err, out)
	}
	if !strings.Contains(out, "corp") {
		t.Errorf("with a configuration file that has the address: expected the provider corp, seen\n%s", out)
	}
	if _, err := command(t, "providers", "--address", "127.0.0.1:1"); err == nil {
		t.Error("no Caddy is running there, and there is no error")
	}

	if err := loadWithAdmin(t, address, globals, `
http://two.test:0 {
	oidc_rp {
		session {
			secret 0123456789abcdef0123456789abcdef
		}
	}
}
`); err != nil {
		t.Fatal(err)
	}
	if _, err := command(t, "keys", "rotate", "--address", address); err == nil || !strings.Contains(err.Error(), "409") {
		t.Errorf("only keys of the configuration: expected an error with status 409, seen %v", err)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
}

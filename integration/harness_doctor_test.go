package integration_test

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

var update = flag.Bool("update", false, "write the golden files of the command check again")

// ownProcess runs a test in its own process, because commands load configurations as Caddy does,
// with logs that belong to the process. It returns true in that process. In the original
// process, it waits for the other one and returns false.
func ownProcess(t *testing.T) bool {
	t.Helper()
	const env = "OIDC_RP_OWN_PROCESS"
	if os.Getenv(env) == t.Name() {
		return true
	}
	args := []string{"-test.run=^" + t.Name() + "$"}
	if *update {
		args = append(args, "-update")
	}
	process := exec.Command(os.Args[0], args...)
	process.Env = append(os.Environ(), env+"="+t.Name(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	if out, err := process.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// diagnosis is what the command check reports about a configuration.
type diagnosis struct {
	t    *testing.T
	text string
	code int
}

// diagnose runs the command check on sites in the folder of the test. The storage is the folder
// "data" in it.
func diagnose(t *testing.T, sites string, args ...string) diagnosis {
	t.Helper()
	return diagnoseWith(t, "", sites, args...)
}

// diagnoseWith is like diagnose, with more global options.
func diagnoseWith(t *testing.T, globals, sites string, args ...string) diagnosis {
	t.Helper()
	if err := os.WriteFile("Caddyfile", []byte(`{
	admin off
	storage file_system data
`+globals+`}
`+sites), 0o600); err != nil {
		t.Fatal(err)
	}
	registered := caddycmd.Commands()["oidc-rp"]
	caddyItself := &cobra.Command{Use: "caddy", SilenceErrors: true, SilenceUsage: true}
	cmd := &cobra.Command{Use: registered.Name, Long: registered.Long}
	registered.CobraFunc(cmd)
	caddyItself.AddCommand(cmd)
	var printed bytes.Buffer
	caddyItself.SetOut(&printed)
	caddyItself.SetErr(&printed)
	caddyItself.SetArgs(append([]string{registered.Name, "check", "--config", "Caddyfile"}, args...))
	d := diagnosis{t: t}
	if err := caddyItself.Execute(); err != nil {
		d.code = 1
		if code, found := strings.CutPrefix(err.Error(), "exiting with status "); found {
			d.code, _ = strconv.Atoi(code)
		} else if printed.Len() == 0 {
			printed.WriteString(err.Error())
		}
	}
	d.text = printed.String()
	return d
}

// inFolder changes the working directory of a test to a new folder.
func inFolder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.Mkdir("data", 0o700); err != nil {
		t.Fatal(err)
	}
}

// exits expects an exit code.
func (d diagnosis) exits(code int) diagnosis {
	d.t.Helper()
	if d.code != code {
		d.t.Errorf("the exit code: expected %d, seen %d\n%s", code, d.code, d.text)
	}
	return d
}

// says expects parts of the report, regardless of line breaks.
func (d diagnosis) says(parts ...string) diagnosis {
	d.t.Helper()
	text := strings.Join(strings.Fields(d.text), " ")
	for _, part := range parts {
		if !strings.Contains(text, part) {
			d.t.Errorf("expected %q, seen\n%s", part, d.text)
		}
	}
	return d
}

// isGolden expects the complete report. In the golden file, the provider has the name
// op.example:8080, which has the same length.
func (d diagnosis) isGolden(folder, name string, op *oidctest.Provider) {
	d.t.Helper()
	text := d.text
	if op != nil {
		text = strings.ReplaceAll(strings.ReplaceAll(text, op.Issuer(), "http://op.example:8080"), op.Addr(), "op.example:8080")
	}
	file := filepath.Join(folder, name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			d.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		d.t.Fatal(err)
	}
	if text != string(want) {
		d.t.Errorf("%s: expected\n%s\nseen\n%s", name, want, text)
	}
}

// dated returns a function that sets the Date header of a provider whose clock is ahead.
func dated(ahead time.Duration) func(http.Header) {
	return func(h http.Header) { h.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat)) }
}

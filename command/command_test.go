package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The help of a command names what it uses: the admin API, a configuration, or neither.
func TestHelpNamesWhatACommandUses(t *testing.T) {
	t.Parallel()
	const (
		running = "Address of the admin API"
		reads   = "Configuration file to read (default: Caddyfile in the current directory)"
	)
	for _, row := range []struct {
		command     string
		says, hides []string
	}{
		{command: "providers", says: []string{running, "--config", "--json"}, hides: []string{reads}},
		{command: "check", says: []string{reads, "--adapter", "--json"}, hides: []string{"admin API (", "--address"}},
		{command: "key list", says: []string{"--json"}, hides: []string{"--address", "--config", "--adapter"}},
	} {
		t.Run(row.command, func(t *testing.T) {
			t.Parallel()
			root := &cobra.Command{Use: "oidc-rp"}
			AddTo(root, &cobra.Command{Use: "check", Run: func(*cobra.Command, []string) {}})
			var printed bytes.Buffer
			root.SetOut(&printed)
			root.SetArgs(append(strings.Fields(row.command), "--help"))
			if err := root.Execute(); err != nil {
				t.Fatal(err)
			}
			for _, text := range row.says {
				if !strings.Contains(printed.String(), text) {
					t.Errorf("expected %q, seen\n%s", text, &printed)
				}
			}
			for _, text := range row.hides {
				if strings.Contains(printed.String(), text) {
					t.Errorf("expected no %q, seen\n%s", text, &printed)
				}
			}
		})
	}
}

// A command that reads a configuration gets the flags given before and after its name.
func TestConfigurationToRead(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"after the command":  {"check", "--config", "a.json", "-a", "json"},
		"before the command": {"-c", "a.json", "--adapter", "json", "check"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, seen := &cobra.Command{Use: "oidc-rp"}, ""
			AddTo(root, &cobra.Command{Use: "check", Run: func(cmd *cobra.Command, _ []string) {
				seen = cmd.Flag("config").Value.String() + " " + cmd.Flag("adapter").Value.String()
			}})
			root.SetArgs(args)
			if err := root.Execute(); err != nil {
				t.Fatal(err)
			}
			if seen != "a.json json" {
				t.Errorf("expected a.json json, seen %q", seen)
			}
		})
	}
}

// A command that finds no configuration says how to name one.
func TestNoConfiguration(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := Load("", ""); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("expected an error that names --config, seen %v", err)
	}
}

// A command for a running Caddy says so if none is running.
func TestNoRunningCaddy(t *testing.T) {
	t.Parallel()
	root := &cobra.Command{Use: "oidc-rp", SilenceErrors: true, SilenceUsage: true}
	AddTo(root)
	root.SetArgs([]string{"providers", "--address", "127.0.0.1:1"})
	if err := root.Execute(); err == nil || !strings.Contains(err.Error(), "is Caddy running, with its admin API at 127.0.0.1:1?") {
		t.Errorf("expected an error that asks whether Caddy is running, seen %v", err)
	}
}

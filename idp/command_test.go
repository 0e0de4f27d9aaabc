package oidcidp

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/operator"
)

func TestEveryOperationHasACommand(t *testing.T) {
	t.Parallel()
	used := []string{"first-user"}
	for _, n := range nouns {
		for _, verb := range n.verbs {
			if !operator.Exists(verb.operation) {
				t.Errorf("%s %s: there is no operation %s", n.name, verb.use, verb.operation)
			}
			used = append(used, verb.operation)
		}
	}
	for _, name := range operator.Names() {
		if !slices.Contains(used, name) {
			t.Errorf("no command is the operation %s", name)
		}
	}
}

func commandRoot() (*cobra.Command, *bytes.Buffer) {
	root, out := &cobra.Command{Use: "oidc-idp", SilenceErrors: true}, new(bytes.Buffer)
	addCommands(root)
	root.SetOut(out)
	root.SetErr(out)
	return root, out
}

func TestEveryCommandHasAHelp(t *testing.T) {
	t.Parallel()
	root, _ := commandRoot()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || cmd.Long == "" {
			t.Errorf("%s: expected a short help without a full stop, and a long one, seen %q and %q", cmd.CommandPath(), cmd.Short, cmd.Long)
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	for _, sub := range root.Commands() {
		walk(sub)
	}
}

func TestCommandsWithWrongArguments(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ args, want string }{
		{"user add", "usage: add <name>"},
		{"user add a b", "usage: add <name>"},
		{"user sho", `user: there is no command "sho"`},
		{"key remove robot", "usage: remove <application> <id>"},
		{"sessions end a b c", "usage: end <user> [<id>]"},
		{"restore file", "all accounts are replaced, and all sessions end; add --yes"},
		{"key add robot --expires soon", "--expires: "},
		{"user import", "usage: import <file>"},
		{"user list", "is Caddy running, with its admin API at localhost:1?"},
	} {
		root, _ := commandRoot()
		root.SetArgs(append([]string{"--address", "localhost:1"}, strings.Fields(row.args)...))
		err := root.Execute()
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: expected an error with %q, seen %v", row.args, row.want, err)
		}
	}
}

func TestResponsesAreForTerminals(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := subcommand{shows: []string{"name", "groups", "locked", "created", "factors"}}
	err := s.print(&out, map[string]any{
		"name": "a\x1b[31m\u202eb", "groups": []any{"x", "y"}, "locked": true, "count": 3.0, "created": nil,
		"factors": []any{map[string]any{"kind": "totp", "label": ""}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen := out.String(); strings.ContainsAny(seen, "\x1b\u202e") {
		t.Errorf("expected no control characters, seen %q", seen)
	}
	for _, want := range []string{"groups  x, y\n", "locked  yes\n", "\nfactors\nKIND  LABEL\ntotp  -\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("expected %q, seen\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "created") {
		t.Errorf("expected nothing of what is not known, seen\n%s", out.String())
	}
}

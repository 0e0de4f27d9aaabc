package command

import (
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/keycommand"
)

// This file has the subcommand key, which does not need a running Caddy.

func keyCommand() *cobra.Command {
	key := &cobra.Command{
		Use:   "key (new <name> | list <file> | check <file>)",
		Short: "Create access keys for programs, and check key files",
		Long: `
Creates access keys for programs, and shows the content of an access_keys file. Needs
no running Caddy.`,
	}
	group(key)
	hide(key, "address", "config", "adapter")
	create := &cobra.Command{
		Use:   "new <name> [--groups <groups>] [--expires <time>]",
		Short: "Create an access key and its line for the file",
		Long: `
Creates a random access key for a program, and prints it together with its line for
the access_keys file. The line has a hash of the key: the key itself is not shown
again, and nothing is written to a file.

The name may have letters, digits, and . _ -. Rules know the program as key/<name>.
To replace a key without a gap, create another one with the same name, add its line,
and remove the old line once the program uses the new key.`,
	}
	create.Flags().String("groups", "", "The groups of the program, separated by commas")
	create.Flags().String("expires", "", "When the key stops working: a time as in RFC 3339, or a duration from now, like 90d (default: never)")
	runsKey(create, func(c *keycommand.Command, name string, fl caddycmd.Flags) error {
		return c.New(name, fl.String("groups"), fl.String("expires"))
	})
	list := &cobra.Command{
		Use:   "list <file>",
		Short: "Show the keys of a file",
		Long: `
Shows the keys in an access_keys file: line, name, groups and expiry. Lines that are
ignored are shown with the reason.

Exits 1 if there are such lines, or if the file cannot be read.`,
	}
	runsKey(list, func(c *keycommand.Command, file string, _ caddycmd.Flags) error { return c.List(file) })
	check := &cobra.Command{
		Use:   "check <file>",
		Short: "Check a key, read from standard input, against a file",
		Long: `
Reads an access key from standard input, and shows which line of the file has it, with
name, groups and expiry. The key is not an argument, because other users of the machine
could see it.

Exits 0 if the key is valid, 1 if it is not.`,
	}
	runsKey(check, func(c *keycommand.Command, file string, _ caddycmd.Flags) error { return c.Check(file) })
	key.AddCommand(create, list, check)
	return key
}

// runsKey makes cmd call do with its only argument.
func runsKey(cmd *cobra.Command, do func(c *keycommand.Command, arg string, fl caddycmd.Flags) error) {
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		fl := caddycmd.Flags{FlagSet: cmd.Flags()}
		return do(&keycommand.Command{
			Now: time.Now, ParseDuration: caddy.ParseDuration, In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), JSON: fl.Bool("json"),
		}, args[0], fl)
	}
}

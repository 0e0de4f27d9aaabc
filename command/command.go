// Package command has the subcommands of `caddy oidc-rp` that need no module of this
// plugin: those that speak to the admin API of a running Caddy, and those about access
// keys. For the others it loads a configuration without running it.
//
// It does not know what is in a configuration.
package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

// AddTo adds the flags that all subcommands have to the command, and subcommands: those
// of this package, and more.
func AddTo(root *cobra.Command, more ...*cobra.Command) {
	flags := root.PersistentFlags()
	flags.String("address", "", "Address of the admin API (if --config is not used)")
	flags.StringP("config", "c", "", "Configuration file that has the address (if --address is not used)")
	flags.StringP("adapter", "a", "", "Name of config adapter to apply (if --config is used)")
	flags.Bool("json", false, "Print JSON: the response of the admin API, or what a command found")
	group(root)
	root.AddCommand(providersCommand(), revokeCommand(), keysCommand(), keyCommand())
	root.AddCommand(more...)
}

// group makes a command that does nothing itself print its help.
func group(cmd *cobra.Command) {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("%s: there is no command %q", cmd.Name(), args[0])
		}
		return cmd.Help()
	}
}

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

// AddTo adds the flags that subcommands share to the command, and subcommands: those of
// this package, and readers of a configuration.
func AddTo(root *cobra.Command, readers ...*cobra.Command) {
	flags := root.PersistentFlags()
	flags.String("address", "", "Address of the admin API (if --config is not used)")
	flags.StringP("config", "c", "", "Configuration file that has the address (if --address is not used)")
	flags.StringP("adapter", "a", "", "Name of config adapter to apply (if --config is used)")
	flags.Bool("json", false, "Print JSON: the response of the admin API, or what a command found")
	group(root)
	root.AddCommand(providersCommand(), revokeCommand(), keysCommand(), keyCommand())
	for _, cmd := range readers {
		cmd.Flags().StringP("config", "c", "", "Configuration file to read (default: Caddyfile in the current directory)")
		cmd.Flags().StringP("adapter", "a", "", "Name of config adapter to apply")
		hide(cmd, "address")
	}
	root.AddCommand(readers...)
}

// hide leaves flags that all subcommands have out of the help of one that does not use
// them, and of its subcommands. They are accepted all the same.
func hide(cmd *cobra.Command, names ...string) {
	help := cmd.HelpFunc()
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		for _, name := range names {
			if flag := cmd.InheritedFlags().Lookup(name); flag != nil {
				flag.Hidden = true
			}
		}
		help(cmd, args)
	})
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

// Package command has the subcommands of `caddy oidc-rp` that need none of the
// plugin's modules: those that use the admin API of a running Caddy, and those about
// access keys. For the others, it can load a configuration without running it.
//
// It knows nothing about the content of configurations.
package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

// AddTo adds subcommands to the root command, and the flags that they share. Besides
// the subcommands of this package, it adds readers, which read a configuration.
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

// hide omits shared flags from the help of a command that does not use them, and of
// its subcommands. The flags are still accepted.
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

// group makes a command print its help. It is for commands that only have
// subcommands.
func group(cmd *cobra.Command) {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("%s: there is no command %q", cmd.Name(), args[0])
		}
		return cmd.Help()
	}
}

package oidcidp

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "oidc-idp",
		Short: "Manage the accounts of the identity provider",
		Long: `
Manages users, groups, applications and sessions of the identity provider of a
running Caddy, through its admin API. Changes are recorded in Caddy's log.

The first account: run ` + "`caddy oidc-idp first-user`" + ` and open the link that it prints.

The default address of the admin API is '` + caddy.DefaultAdminListen + `'; use --address or
--config for another one. Anyone who can reach that address can do all of this.

Exits 0 on success, 1 on error.`,
		CobraFunc: addCommands,
	})
}

// addCommands adds all subcommands.
func addCommands(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.String("address", "", "Address of the admin API (if --config is not used)")
	flags.StringP("config", "c", "", "Configuration file that has the address (if --address is not used)")
	flags.StringP("adapter", "a", "", "Name of config adapter to apply (if --config is used)")
	flags.Bool("json", false, "Print the response of the admin API as JSON")
	onlyHelp(root)
	root.AddCommand(subcommand{
		use: "first-user", operation: "first-user", short: "Print a link to create the first account",
		long: `
Prints a link to create the first account. It works once, for 15 minutes, and a new
link replaces the previous one. If there has ever been an account, use "user add"
instead.`,
		shows: []string{"link", "code", "link_expires"},
	}.command())
	for _, noun := range nouns {
		parent := &cobra.Command{Use: noun.name, Short: noun.short, Long: noun.short + "."}
		onlyHelp(parent)
		for _, sub := range noun.verbs {
			parent.AddCommand(sub.command())
		}
		root.AddCommand(parent)
	}
	root.AddCommand(backupCommand(), restoreCommand(), acceptCommand())
}

// onlyHelp makes a command without an action of its own print its help.
func onlyHelp(cmd *cobra.Command) {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("%s: there is no command %q", cmd.Name(), args[0])
		}
		return cmd.Help()
	}
}

package oidcrp

import (
	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/command"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "oidc-rp",
		Short: "Inspect and manage OpenID Connect logins",
		Long: `
Shows the state of identity providers, ends sessions, and rotates the keys that
sessions are sealed with, through the admin API of a running Caddy. Checks a
configuration with its providers, explains how its rules apply to a user, and creates
access keys for programs, without a running Caddy.

The default address of the admin API is '` + caddy.DefaultAdminListen + `'; use --address or
--config for another one.

Exits 0 on success, 1 on error; see also explain --help and check --help.`,
		CobraFunc: func(root *cobra.Command) { command.AddTo(root, explainCommand(), checkCommand()) },
	})
}

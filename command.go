package oidcrp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "oidc-rp",
		Short: "Shows and changes what the OpenID Connect relying party of a running Caddy holds",
		Long: `
Asks a running Caddy, by its admin API, how its identity providers are, ends
sessions, and rotates the keys that sessions are sealed with.

The admin API is looked for at '` + caddy.DefaultAdminListen + `', unless --address or
--config says otherwise. The exit code is 0 when it is done, and 1 when not.`,
		CobraFunc: addSubcommands,
	})
}

// addSubcommands makes the command's tree.
func addSubcommands(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.String("address", "", "Address of the administration API listener (if --config is not used)")
	flags.StringP("config", "c", "", "Configuration file that says the address (if --address is not used)")
	flags.StringP("adapter", "a", "", "Name of config adapter to apply (if --config is used)")
	flags.Bool("json", false, "Print the answer of the admin API")
	group(root)

	providers := &cobra.Command{
		Use:   "providers",
		Short: "Shows every provider of the configuration, and how it answers",
		Long: `
Shows every provider of the running configuration: whether it could be read
when that was tried last, when, and what was wrong. It asks no provider.`,
	}
	runs(providers, func(caddycmd.Flags) adminCall { return adminCall{path: adminProviders, show: showProviders} })

	revoke := &cobra.Command{
		Use:   "revoke (--subject <sub> | --sid <sid>) [--provider <id>] [--issuer <url>] | --all",
		Short: "Ends sessions, on all instances",
		Long: `
Ends the sessions of a user (--subject), of one session at a provider (--sid),
or all there are (--all), at all sites and on all instances that share the
storage, or the session store. It asks nothing and prints what was revoked.

Sessions that began before end within five seconds; later ones are not touched.
Whether there were any is not known, since browsers keep sessions in cookies:
an unknown name is revoked as well, and the exit code is 0.

Who was signed out can sign in again: disable the account at the provider
first where that is not meant to be.`,
	}
	revoke.Flags().String("subject", "", "The user's sub at the provider")
	revoke.Flags().String("sid", "", "The provider's name of its session")
	revoke.Flags().Bool("all", false, "End every session that began until now")
	revoke.Flags().String("provider", "", "The id of the provider (default: each)")
	revoke.Flags().String("issuer", "", "The issuer; needed for a provider with many tenants")
	runs(revoke, func(fl caddycmd.Flags) adminCall {
		return adminCall{path: adminRevoke, show: showEnded, body: revokeRequest{
			Subject: fl.String("subject"), SID: fl.String("sid"), All: fl.Bool("all"),
			Provider: fl.String("provider"), Issuer: fl.String("issuer"),
		}}
	})

	list := func(caddycmd.Flags) adminCall { return adminCall{path: adminKeys, show: showKeys} }
	keys := &cobra.Command{
		Use:   "keys [list | rotate [--compromised]]",
		Short: "Shows or rotates the keys that sessions are sealed with",
		Long: `
Shows the keys that sessions are sealed with: their ids and times, never the
keys themselves. With rotate, makes a new one.`,
	}
	runs(keys, list)
	listKeys := &cobra.Command{Use: "list", Short: "Shows the keys that sessions are sealed with", Long: keys.Long}
	runs(listKeys, list)
	rotate := &cobra.Command{
		Use:   "rotate [--compromised]",
		Short: "Makes a new key, and keeps all sessions",
		Long: `
Makes a new key in Caddy's storage. It seals three minutes later, when all
instances know it; the old ones open what they had sealed for as long as
sessions last, so that nobody is signed out.

With --compromised the old keys are withdrawn: what they had sealed opens no
longer, on this instance at once and on others within about a minute, so that
everybody has to sign in again. That is for keys that somebody else has seen.
While the storage can still be read by them, they see the new one as well.`,
	}
	rotate.Flags().Bool("compromised", false, "Withdraw the old keys: everybody has to sign in again")
	runs(rotate, func(fl caddycmd.Flags) adminCall {
		return adminCall{path: adminRotate, show: showKeys, body: rotation{Compromised: fl.Bool("compromised")}}
	})
	keys.AddCommand(listKeys, rotate)
	root.AddCommand(providers, revoke, keys)
}

// group has a command that does nothing by itself tell what it has.
func group(cmd *cobra.Command) {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("%s: there is no command %q", cmd.Name(), args[0])
		}
		return cmd.Help()
	}
}

// adminCall is one request to the admin API.
type adminCall struct {
	path string
	body any // nil for a GET
	show func(out io.Writer, answer []byte) error
}

// runs has a command make a call.
func runs(cmd *cobra.Command, call func(caddycmd.Flags) adminCall) {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			if err := call(fl).do(cmd.OutOrStdout(), fl); err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			return caddy.ExitCodeSuccess, nil
		})(cmd, args)
	}
}

// do asks the Caddy that the flags point to, and prints its answer.
func (c adminCall) do(out io.Writer, fl caddycmd.Flags) error {
	address, err := caddycmd.DetermineAdminAPIAddress(fl.String("address"), nil, fl.String("config"), fl.String("adapter"))
	if err != nil {
		return fmt.Errorf("couldn't determine admin API address: %w", err)
	}
	method, body := http.MethodGet, io.Reader(nil)
	if c.body != nil {
		data, err := json.Marshal(c.body)
		if err != nil {
			return err
		}
		method, body = http.MethodPost, bytes.NewReader(data)
	}
	response, err := caddycmd.AdminAPIRequest(address, method, c.path, nil, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if !json.Valid(answer) {
		return errors.New("the answer is not JSON: is it Caddy's admin API that is at this address?")
	}
	if fl.Bool("json") {
		_, err = out.Write(answer)
		return err
	}
	return c.show(out, answer)
}

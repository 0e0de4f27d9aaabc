package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/adminapi"
)

// This file has the subcommands that use the admin API of a running Caddy.

func providersCommand() *cobra.Command {
	providers := &cobra.Command{
		Use:   "providers",
		Short: "Show the state of every provider",
		Long: `
Shows every provider of the running configuration: whether its metadata and keys
could be read at the last attempt, when that was, and the error if there was one.
Does not contact any provider.`,
	}
	runs(providers, func(caddycmd.Flags) adminCall {
		return adminCall{path: adminapi.ProvidersPath, print: adminapi.PrintProviders}
	})
	return providers
}

func revokeCommand() *cobra.Command {
	revoke := &cobra.Command{
		Use:   "revoke (--subject <sub> | --sid <sid>) [--provider <id>] [--issuer <url>] | --all",
		Short: "End sessions on all instances",
		Long: `
Ends the sessions of a user (--subject), of one session at a provider (--sid), or
all sessions (--all), at all sites and on all instances that share the storage or
the session store. Prints what was revoked, without asking for confirmation.

Sessions that exist now end within five seconds; later ones are not affected. The
command cannot tell whether there were any, because browsers keep sessions in
cookies: revoking an unknown name succeeds as well.

Users can sign in again. To prevent that, disable the account at the provider
first.`,
	}
	revoke.Flags().String("subject", "", "The user's sub at the provider")
	revoke.Flags().String("sid", "", "The id of a session at the provider")
	revoke.Flags().Bool("all", false, "End all sessions that exist now")
	revoke.Flags().String("provider", "", "The id of the provider (default: every provider)")
	revoke.Flags().String("issuer", "", "The issuer; required for a provider with many tenants")
	runs(revoke, func(fl caddycmd.Flags) adminCall {
		return adminCall{path: adminapi.RevokePath, print: adminapi.PrintRevoked, body: adminapi.RevokeRequest{
			Subject: fl.String("subject"), SID: fl.String("sid"), All: fl.Bool("all"),
			Provider: fl.String("provider"), Issuer: fl.String("issuer"),
		}}
	})
	return revoke
}

func keysCommand() *cobra.Command {
	list := func(caddycmd.Flags) adminCall {
		return adminCall{path: adminapi.KeysPath, print: adminapi.PrintKeys}
	}
	keys := &cobra.Command{
		Use:   "keys [list | rotate [--compromised]]",
		Short: "Show or rotate the keys that sessions are sealed with",
		Long: `
Shows the ids and times of the keys that sessions are sealed with, never the keys
themselves. With rotate, creates a new key.`,
	}
	runs(keys, list)
	listKeys := &cobra.Command{Use: "list", Short: "Show the keys that sessions are sealed with", Long: keys.Long}
	runs(listKeys, list)
	rotate := &cobra.Command{
		Use:   "rotate [--compromised]",
		Short: "Create a new key; all sessions continue",
		Long: `
Creates a new key in Caddy's storage. It is used after three minutes, when all
instances know it. The old keys are kept for as long as their sessions last, so
users stay signed in.

With --compromised, the old keys are withdrawn, immediately on this instance and
within about a minute on others: all users have to sign in again. Use it if
someone else has seen the keys. Anyone who can still read the storage sees the new
key as well.`,
	}
	rotate.Flags().Bool("compromised", false, "Withdraw the old keys: all users have to sign in again")
	runs(rotate, func(fl caddycmd.Flags) adminCall {
		return adminCall{path: adminapi.RotatePath, print: adminapi.PrintKeys, body: adminapi.RotateRequest{Compromised: fl.Bool("compromised")}}
	})
	keys.AddCommand(listKeys, rotate)
	return keys
}

// adminCall is one request to the admin API.
type adminCall struct {
	path  string
	body  any // nil for a GET
	print func(out io.Writer, response []byte) error
}

// runs makes cmd send the request that call returns, and print the response.
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

// do sends the request to the admin API given by the flags, and prints the
// response.
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
		if strings.HasPrefix(err.Error(), "performing request: ") { // Caddy does not wrap the cause
			return fmt.Errorf("%w; is Caddy running, with its admin API at %s?", err, address)
		}
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("reading the response: %w", err)
	}
	if !json.Valid(data) {
		return fmt.Errorf("the response is not JSON; is %s the address of Caddy's admin API?", address)
	}
	if fl.Bool("json") {
		_, err = out.Write(data)
		return err
	}
	return c.print(out, data)
}

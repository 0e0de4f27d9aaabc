package oidcrp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/adminapi"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/keycommand"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "oidc-rp",
		Short: "Inspect and manage OpenID Connect logins",
		Long: `
Shows the state of identity providers, ends sessions, and rotates the keys that
sessions are sealed with, through the admin API of a running Caddy. Explains what
the rules of a configuration make of a user, and makes access keys for programs,
without a running Caddy.

The default address of the admin API is '` + caddy.DefaultAdminListen + `'; use --address or
--config for another one.

Exits 0 on success, 1 on error; see also explain --help.`,
		CobraFunc: addSubcommands,
	})
}

// addSubcommands adds the flags and subcommands of the command.
func addSubcommands(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.String("address", "", "Address of the admin API (if --config is not used)")
	flags.StringP("config", "c", "", "Configuration file that has the address (if --address is not used)")
	flags.StringP("adapter", "a", "", "Name of config adapter to apply (if --config is used)")
	flags.Bool("json", false, "Print JSON: the response of the admin API, or what a command found")
	group(root)

	providers := &cobra.Command{
		Use:   "providers",
		Short: "Show the state of every provider",
		Long: `
Shows every provider of the running configuration: whether its metadata and keys
could be read at the last attempt, when that was, and the error if there was one.
Makes no request to providers.`,
	}
	runs(providers, func(caddycmd.Flags) adminCall {
		return adminCall{path: adminapi.ProvidersPath, print: adminapi.PrintProviders}
	})

	root.AddCommand(providers, revokeCommand(), keysCommand(), keyCommand(), explainCommand())
}

func revokeCommand() *cobra.Command {
	revoke := &cobra.Command{
		Use:   "revoke (--subject <sub> | --sid <sid>) [--provider <id>] [--issuer <url>] | --all",
		Short: "End sessions on all instances",
		Long: `
Ends the sessions of a user (--subject), of one session at a provider (--sid), or
all sessions (--all), at all sites and on all instances that share the storage or
the session store. Prints what was revoked, without asking for confirmation.

Sessions that began before now end within five seconds; later ones are not
touched. Whether there were any is not known, since browsers keep sessions in
cookies: revoking an unknown name succeeds as well.

Users can sign in again. To prevent that, disable the account at the provider
first.`,
	}
	revoke.Flags().String("subject", "", "The user's sub at the provider")
	revoke.Flags().String("sid", "", "The id of a session at the provider")
	revoke.Flags().Bool("all", false, "End all sessions that began before now")
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
themselves. With rotate, makes a new key.`,
	}
	runs(keys, list)
	listKeys := &cobra.Command{Use: "list", Short: "Show the keys that sessions are sealed with", Long: keys.Long}
	runs(listKeys, list)
	rotate := &cobra.Command{
		Use:   "rotate [--compromised]",
		Short: "Make a new key; all sessions continue",
		Long: `
Makes a new key in Caddy's storage. It starts to seal after three minutes, when
all instances know it. The old keys open what they sealed for as long as sessions
last, so users stay signed in.

With --compromised, the old keys are withdrawn, at once on this instance and
within about a minute on others: all users have to sign in again. Use it if
somebody else has seen the keys. As long as they can still read the storage, they
see the new key as well.`,
	}
	rotate.Flags().Bool("compromised", false, "Withdraw the old keys: all users have to sign in again")
	runs(rotate, func(fl caddycmd.Flags) adminCall {
		return adminCall{path: adminapi.RotatePath, print: adminapi.PrintKeys, body: adminapi.RotateRequest{Compromised: fl.Bool("compromised")}}
	})
	keys.AddCommand(listKeys, rotate)
	return keys
}

func keyCommand() *cobra.Command {
	key := &cobra.Command{
		Use:   "key (new <name> | list <file> | check <file>)",
		Short: "Make access keys for programs, and check files of them",
		Long: `
Makes access keys for programs, and shows what a file of access_keys says. Needs no
running Caddy.`,
	}
	group(key)
	create := &cobra.Command{
		Use:   "new <name> [--groups <groups>] [--expires <time>]",
		Short: "Make an access key and its line for the file",
		Long: `
Makes a random access key for a program, and prints it together with the line for
the file of access_keys. The line has a hash of the key: the key itself is not shown
again, and nothing is written to a file.

The name is made of letters, digits, and . _ -. Rules know the program as key/<name>.
To replace a key without a gap, make another one of the same name, add its line, and
remove the old line once the program uses the new key.`,
	}
	create.Flags().String("groups", "", "The groups of the program, separated by commas")
	create.Flags().String("expires", "", "When the key stops to work: a time as in RFC 3339, or a duration from now, like 90d (default: never)")
	runsKey(create, func(c *keycommand.Command, name string, fl caddycmd.Flags) error {
		return c.New(name, fl.String("groups"), fl.String("expires"))
	})
	list := &cobra.Command{
		Use:   "list <file>",
		Short: "Show the keys of a file",
		Long: `
Shows the keys of a file of access_keys: line, name, groups and expiry. Lines that
count as absent are shown with the reason.

Exits 1 if there are such lines, or if the file cannot be read.`,
	}
	runsKey(list, func(c *keycommand.Command, file string, _ caddycmd.Flags) error { return c.List(file) })
	check := &cobra.Command{
		Use:   "check <file>",
		Short: "Check a key, read from standard input, against a file",
		Long: `
Reads an access key from standard input, and shows which line of the file has it, with
name, groups and expiry. A key is never an argument, which other users of the machine
could see.

Exits 0 if the key is valid, 1 if it is not.`,
	}
	runsKey(check, func(c *keycommand.Command, file string, _ caddycmd.Flags) error { return c.Check(file) })
	key.AddCommand(create, list, check)
	return key
}

// runsKey makes a command about access keys do something with its argument.
func runsKey(cmd *cobra.Command, do func(c *keycommand.Command, arg string, fl caddycmd.Flags) error) {
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		fl := caddycmd.Flags{FlagSet: cmd.Flags()}
		return do(&keycommand.Command{
			Now: time.Now, ParseDuration: caddy.ParseDuration, In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), JSON: fl.Bool("json"),
		}, args[0], fl)
	}
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

// adminCall is one request to the admin API.
type adminCall struct {
	path  string
	body  any // nil for a GET
	print func(out io.Writer, response []byte) error
}

// runs makes a command send a request and print the response.
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

// do sends the request to the Caddy that the flags name, and prints the response.
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

package oidcidp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup <file>",
		Short: "Write all accounts to a file, while Caddy runs",
		Long: `
Writes all that lasts to a new file that only its owner can read: users, factors, groups,
applications and signing keys, of one moment. Sessions, tokens and links are not in it.

What is secret is sealed with keys in Caddy's storage, which is to be backed up as well.
With --with-keys, they are in the file: whoever has it can then do what this provider
can.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().Bool("with-keys", false, "Put the keys of Caddy's storage into the file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			cmd.SilenceUsage = true
			if err := writeBackup(fl, args[0]); err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "wrote %s\n", args[0])
			return caddy.ExitCodeSuccess, err
		})(cmd, args)
	}
	return cmd
}

func writeBackup(fl caddycmd.Flags, name string) error {
	path := backupPath
	if fl.Bool("with-keys") {
		path += "?with_keys=true"
	}
	return writePrivate(name, func(w io.Writer) error {
		response, err := open(fl, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(w, response.Body)
		return err
	})
}

// acceptCommand returns the command that opens a provider with passkeys for another
// host.
func acceptCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accept-issuer --yes",
		Short: "Give up the passkeys of another host, after the issuer has changed",
		Long: `
Opens an identity provider that does not open by itself, since the host of its issuer has
changed and there are passkeys for the old one. They do not work any more; their users
sign in by other factors, and add new ones. If the change was a mistake, set the issuer
back instead: the passkeys work again then.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().Bool("yes", false, "Do it: users lose these passkeys")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			cmd.SilenceUsage = true
			path := acceptPath
			if fl.Bool("yes") {
				path += "?yes=true"
			}
			data, err := call(fl, http.MethodPost, path, nil)
			if err == nil {
				_, err = cmd.OutOrStdout().Write(data)
			}
			if err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			return caddy.ExitCodeSuccess, nil
		})(cmd, args)
	}
	return cmd
}

func restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore <file> --yes",
		Short: "Replace all accounts by those of a backup",
		Long: `
Replaces all accounts by those of a backup, or changes nothing. All sessions, tokens,
links and remembered devices end. Users with a token by counter have to resynchronize it,
and recovery codes are gone, unless --latest says that nothing has changed since the
backup, as when the database moves.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().Bool("yes", false, "Do it: what was changed since the backup is lost")
	cmd.Flags().Bool("latest", false, "Nothing has changed since the backup")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			cmd.SilenceUsage = true
			if err := readBackup(fl, args[0], cmd.OutOrStdout()); err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			return caddy.ExitCodeSuccess, nil
		})(cmd, args)
	}
	return cmd
}

func readBackup(fl caddycmd.Flags, name string, out io.Writer) error {
	if !fl.Bool("yes") {
		return errors.New("all accounts are replaced, and all sessions end; add --yes")
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	path := restorePath
	if fl.Bool("latest") {
		path += "?latest=true"
	}
	data, err := call(fl, http.MethodPost, path, f)
	if err != nil {
		return err
	}
	if fl.Bool("json") {
		_, err := out.Write(data)
		return err
	}
	var response map[string]any
	if err := json.Unmarshal(data, &response); err != nil {
		return err
	}
	return subcommand{shows: []string{"users", "created", "keys"}}.print(out, response)
}

package oidcidp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
)

// subcommand is a subcommand that executes one operation.
type subcommand struct {
	use, short, long string
	operation        string
	// params are the members of the request that arguments set. A question mark
	// marks an optional one; dots mark one that takes all remaining arguments.
	params []string
	// files are members of the request that are read from files named by arguments.
	files []string
	flags []flag
	// list is the member of the response to print as a table, with the columns in
	// shows; without it they are printed line by line.
	list  string
	shows []string
	raw   string // the member of the response to print as it is
	pages bool   // whether the response may have a next page
}

// The kinds of flags.
const (
	textFlag = iota
	listFlag
	boolFlag
	durationFlag // in seconds
	numberFlag
	stdinFlag // the first line of the standard input
)

// flag is a flag that sets a member of the request.
type flag struct {
	name, help string
	kind       int
	field      string // default: the name
}

func (f flag) member() string {
	if f.field != "" {
		return f.field
	}
	return strings.ReplaceAll(f.name, "-", "_")
}

func (s subcommand) command() *cobra.Command {
	cmd := &cobra.Command{Use: s.use, Short: s.short, Long: s.long, Args: s.checkArgs}
	if s.long == "" {
		cmd.Long = s.short + "."
	}
	for _, f := range s.flags {
		switch f.kind {
		case listFlag:
			cmd.Flags().StringSlice(f.name, nil, f.help)
		case boolFlag, stdinFlag:
			cmd.Flags().Bool(f.name, false, f.help)
		default:
			cmd.Flags().String(f.name, "", f.help)
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
			cmd.SilenceUsage = true
			if err := s.run(cmd, fl, args); err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			return caddy.ExitCodeSuccess, nil
		})(cmd, args)
	}
	return cmd
}

func (s subcommand) checkArgs(_ *cobra.Command, args []string) error {
	least, most := len(s.files), len(s.files)+len(s.params)
	for _, param := range s.params {
		switch {
		case strings.HasSuffix(param, "..."):
			most = len(args)
		case !strings.HasSuffix(param, "?"):
			least++
		}
	}
	if len(args) < least || len(args) > most {
		return fmt.Errorf("usage: %s", s.use)
	}
	return nil
}

// request builds the request from arguments and flags.
func (s subcommand) request(cmd *cobra.Command, fl caddycmd.Flags, args []string) (map[string]any, error) {
	request := make(map[string]any)
	for i, arg := range args {
		if i < len(s.files) {
			text, err := readInput(cmd, arg)
			if err != nil {
				return nil, err
			}
			request[s.files[i]] = text
			continue
		}
		param := strings.TrimSuffix(s.params[min(i-len(s.files), len(s.params)-1)], "?")
		if name, all := strings.CutSuffix(param, "..."); all {
			list, _ := request[name].([]string)
			request[name] = append(list, arg)
			continue
		}
		request[param] = arg
	}
	for _, f := range s.flags {
		if !cmd.Flags().Changed(f.name) {
			continue
		}
		value, err := f.value(cmd, fl)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", f.name, err)
		}
		request[f.member()] = value
	}
	return request, nil
}

func (f flag) value(cmd *cobra.Command, fl caddycmd.Flags) (any, error) {
	switch f.kind {
	case listFlag:
		list, err := cmd.Flags().GetStringSlice(f.name)
		if list == nil {
			list = []string{}
		}
		return list, err
	case boolFlag:
		return fl.Bool(f.name), nil
	case durationFlag:
		d, err := caddy.ParseDuration(fl.String(f.name))
		return int64(d.Seconds()), err
	case numberFlag:
		n, err := strconv.ParseInt(fl.String(f.name), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("--%s must be a number, got '%s'", f.name, fl.String(f.name))
		}
		return n, nil
	case stdinFlag:
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return nil, fmt.Errorf("the standard input is empty: %w", err)
		}
		return line, nil
	}
	return fl.String(f.name), nil
}

// maxInput is the maximum size in bytes of a file of users.
const maxInput = 32 << 20

func readInput(cmd *cobra.Command, name string) (string, error) {
	if name == "-" {
		text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxInput))
		return string(text), err
	}
	text, err := livefile.ReadUpTo(name, maxInput)
	return string(text), err
}

func (s subcommand) run(cmd *cobra.Command, fl caddycmd.Flags, args []string) error {
	request, err := s.request(cmd, fl, args)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for {
		body, err := json.Marshal(request)
		if err != nil {
			return err
		}
		data, err := call(fl, http.MethodPost, adminPrefix+s.operation, bytes.NewReader(body))
		if err != nil {
			return err
		}
		var response map[string]any
		if err := json.Unmarshal(data, &response); err != nil {
			return fmt.Errorf("the response is not JSON; is the address that of Caddy's admin API?")
		}
		switch {
		case fl.Bool("json"):
			_, err = out.Write(data)
		case s.raw != "":
			_, err = fmt.Fprint(out, response[s.raw])
		default:
			err = s.print(out, response)
		}
		next, _ := response["next"].(string)
		if err != nil || !s.pages || next == "" {
			return err
		}
		request["after"] = next
	}
}

// call sends a request to the Caddy that the flags name, and returns the response.
func call(fl caddycmd.Flags, method, path string, body io.Reader) ([]byte, error) {
	response, err := open(fl, method, path, body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the response: %w", err)
	}
	return data, nil
}

// open sends a request to the Caddy that the flags name.
func open(fl caddycmd.Flags, method, path string, body io.Reader) (*http.Response, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(fl.String("address"), nil, fl.String("config"), fl.String("adapter"))
	if err != nil {
		return nil, fmt.Errorf("couldn't determine admin API address: %w", err)
	}
	response, err := caddycmd.AdminAPIRequest(address, method, path, nil, body)
	if err != nil && strings.HasPrefix(err.Error(), "performing request: ") { // no response; Caddy does not wrap the cause
		return nil, fmt.Errorf("%w; is Caddy running, with its admin API at %s?", err, address)
	}
	return response, err
}

// writePrivate writes a file that only the current user can read. It is written
// completely or not at all.
func writePrivate(name string, write func(io.Writer) error) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(name)
		}
	}()
	if err = write(f); err != nil {
		_ = f.Close()
		return err
	}
	if err = f.Sync(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

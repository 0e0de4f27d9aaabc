// Package keycommand is the command `caddy oidc-rp key`: it makes access keys, and
// shows what a file of them says. It needs no running Caddy.
//
// It knows arguments and what is printed. What keys and lines are, package accesskey
// knows.
package keycommand

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/accesskey"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
)

// maxInput bounds what is read of standard input, in bytes.
const maxInput = 4 << 10

// New returns the command. parseDuration reads the durations of configurations.
func New(now func() time.Time, parseDuration func(string) (time.Duration, error)) *cobra.Command {
	key := &cobra.Command{
		Use:   "key (new <name> | list <file> | check <file>)",
		Short: "Make access keys for programs, and check files of them",
		Long: `
Makes access keys for programs, and shows what a file of access_keys says. Needs no
running Caddy.`,
	}
	tool := tool{now, parseDuration}
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
		Args: cobra.ExactArgs(1),
		RunE: tool.create,
	}
	create.Flags().String("groups", "", "The groups of the program, separated by commas")
	create.Flags().String("expires", "", "When the key stops to work: a time as in RFC 3339, or a duration from now, like 90d (default: never)")
	list := &cobra.Command{
		Use:   "list <file>",
		Short: "Show the keys of a file",
		Long: `
Shows the keys of a file of access_keys: line, name, groups and expiry. Lines that
count as absent are shown with the reason.

Exits 1 if there are such lines, or if the file cannot be read.`,
		Args: cobra.ExactArgs(1),
		RunE: tool.list,
	}
	check := &cobra.Command{
		Use:   "check <file>",
		Short: "Check a key, read from standard input, against a file",
		Long: `
Reads an access key from standard input, and shows which line of the file has it, with
name, groups and expiry. A key is never an argument, which other users of the machine
could see.

Exits 0 if the key is valid, 1 if it is not.`,
		Args: cobra.ExactArgs(1),
		RunE: tool.check,
	}
	key.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("key: there is no command %q", args[0])
		}
		return cmd.Help()
	}
	key.AddCommand(create, list, check)
	return key
}

// tool has what the commands need of their surroundings.
type tool struct {
	now           func() time.Time
	parseDuration func(string) (time.Duration, error)
}

func (t tool) create(cmd *cobra.Command, args []string) error {
	key, err := accesskey.New(args[0])
	if err != nil {
		return err
	}
	line := accesskey.Line{Name: args[0], Hash: accesskey.HashOf(key)}
	groups, _ := cmd.Flags().GetString("groups")
	if line.Groups, err = accesskey.ParseGroups(groups); err != nil {
		return fmt.Errorf("--groups: %w", err)
	}
	expires, _ := cmd.Flags().GetString("expires")
	if line.Expires, err = t.expiry(expires); err != nil {
		return fmt.Errorf("--expires: %w", err)
	}
	out := cmd.OutOrStdout()
	if wantsJSON(cmd) {
		return json.NewEncoder(out).Encode(map[string]string{"key": key, "line": line.String()})
	}
	_, err = fmt.Fprintf(out, "The access key, which is not shown again:\n\n%s\n\nThe line for the file of access_keys:\n\n%s\n", key, line.String())
	return err
}

// expiry reads a time, or a duration from now. Empty is never, the zero time.
func (t tool) expiry(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		duration, err := t.parseDuration(text)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is neither a time as in RFC 3339, such as 2030-01-31T12:00:00Z, nor a duration, like 90d", text)
		}
		at = t.now().Add(duration).UTC().Truncate(time.Second)
	}
	if !at.After(t.now()) {
		return time.Time{}, fmt.Errorf("%s is not in the future", at.Format(time.RFC3339))
	}
	return at, nil
}

// read reads a file of keys.
func read(name string) ([]accesskey.Line, []accesskey.BadLine, error) {
	text, err := livefile.ReadUpTo(name, accesskey.MaxFile)
	if err != nil {
		return nil, nil, err
	}
	lines, bad := accesskey.Parse(string(text))
	return lines, bad, nil
}

// entry is what is shown of a line.
type entry struct {
	Line    int      `json:"line"`
	Name    string   `json:"name,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	Expires string   `json:"expires,omitempty"`
	State   string   `json:"state"`
}

func (t tool) entryOf(l *accesskey.Line) entry {
	e := entry{Line: l.Number, Name: l.Name, Groups: l.Groups, State: "valid"}
	if !l.Expires.IsZero() {
		e.Expires = l.Expires.Format(time.RFC3339)
	}
	if l.IsExpired(t.now()) {
		e.State = "expired"
	}
	return e
}

func (t tool) list(cmd *cobra.Command, args []string) error {
	lines, bad, err := read(args[0])
	if err != nil {
		return err
	}
	entries := []entry{}
	for i := range lines {
		entries = append(entries, t.entryOf(&lines[i]))
	}
	for _, line := range bad {
		entries = append(entries, entry{Line: line.Number, State: "counts as absent: " + line.Reason})
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.Line - b.Line })
	if err := printEntries(cmd, entries); err != nil {
		return err
	}
	if len(bad) > 0 {
		return fmt.Errorf("%s: %d of the lines count as absent", args[0], len(bad))
	}
	return nil
}

// printEntries writes entries as a table, or as JSON.
func printEntries(cmd *cobra.Command, entries []entry) error {
	if wantsJSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(entries)
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LINE\tNAME\tGROUPS\tEXPIRES\tSTATE")
	for _, e := range entries {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", e.Line, orDash(e.Name), orDash(strings.Join(e.Groups, ",")), orDash(e.Expires), e.State)
	}
	return table.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (t tool) check(cmd *cobra.Command, args []string) error {
	input, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxInput+1))
	if err != nil {
		return fmt.Errorf("reading the key from standard input: %w", err)
	}
	lines, bad, err := read(args[0])
	if err != nil {
		return err
	}
	key := strings.TrimSpace(string(input))
	if key == "" {
		return errors.New("there is no key on standard input")
	}
	name, err := accesskey.NameIn(key)
	if err != nil {
		return fmt.Errorf("the key is not valid: %w", err)
	}
	hash := accesskey.HashOf(key)
	at := slices.IndexFunc(lines, func(l accesskey.Line) bool { return l.Hash == hash })
	switch {
	case at < 0 && len(bad) > 0:
		return fmt.Errorf("the key of %s is not valid: no line of the file has it; %d of the lines count as absent, see key list", name, len(bad))
	case at < 0:
		return fmt.Errorf("the key of %s is not valid: no line of the file has it", name)
	case lines[at].Name != name:
		return fmt.Errorf("the key of %s is not valid: line %d has it under another name", name, lines[at].Number)
	}
	found := t.entryOf(&lines[at])
	if err := printEntries(cmd, []entry{found}); err != nil {
		return err
	}
	if found.State != "valid" {
		return fmt.Errorf("the key of %s is not valid: it expired at %s", name, found.Expires)
	}
	return nil
}

// wantsJSON reports whether the flag of the whole command is set.
func wantsJSON(cmd *cobra.Command) bool {
	wants, _ := cmd.Flags().GetBool("json")
	return wants
}

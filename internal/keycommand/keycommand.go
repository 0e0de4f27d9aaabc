// Package keycommand is what the command `caddy oidc-rp key` does: it makes access keys,
// and shows what a file of them says.
//
// It knows what is printed, and what is an error. What keys and lines are, package
// accesskey knows; flags and help are the root package's.
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

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/accesskey"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
)

// maxInput bounds what is read of standard input, in bytes.
const maxInput = 4 << 10

// Command is one call of the command.
type Command struct {
	Now func() time.Time
	// ParseDuration reads the durations of configurations.
	ParseDuration func(string) (time.Duration, error)
	In            io.Reader
	Out           io.Writer
	// JSON reports whether the output is JSON.
	JSON bool
}

// New makes an access key, and prints it and its line for the file.
func (c *Command) New(name, groups, expires string) error {
	key, err := accesskey.New(name)
	if err != nil {
		return err
	}
	line := accesskey.Line{Name: name, Hash: accesskey.HashOf(key)}
	if line.Groups, err = accesskey.ParseGroups(groups); err != nil {
		return fmt.Errorf("--groups: %w", err)
	}
	if line.Expires, err = c.expiry(expires); err != nil {
		return fmt.Errorf("--expires: %w", err)
	}
	if c.JSON {
		return json.NewEncoder(c.Out).Encode(map[string]string{"key": key, "line": line.String()})
	}
	_, err = fmt.Fprintf(c.Out, "The access key, which is not shown again:\n\n%s\n\nThe line for the file of access_keys:\n\n%s\n", key, line.String())
	return err
}

// expiry reads a time, or a duration from now. Empty is never, the zero time.
func (c *Command) expiry(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		duration, err := c.ParseDuration(text)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is neither a time as in RFC 3339, such as 2030-01-31T12:00:00Z, nor a duration, like 90d", text)
		}
		at = c.Now().Add(duration).UTC().Truncate(time.Second)
	}
	if !at.After(c.Now()) {
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

func (c *Command) entryOf(l *accesskey.Line) entry {
	e := entry{Line: l.Number, Name: l.Name, Groups: l.Groups, State: "valid"}
	if !l.Expires.IsZero() {
		e.Expires = l.Expires.Format(time.RFC3339)
	}
	if l.IsExpired(c.Now()) {
		e.State = "expired"
	}
	return e
}

// List shows the keys of a file, and the lines that count as absent: those are an error.
func (c *Command) List(file string) error {
	lines, bad, err := read(file)
	if err != nil {
		return err
	}
	entries := []entry{}
	for i := range lines {
		entries = append(entries, c.entryOf(&lines[i]))
	}
	for _, line := range bad {
		entries = append(entries, entry{Line: line.Number, State: "ignored: " + line.Reason})
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.Line - b.Line })
	if err := c.print(entries); err != nil {
		return err
	}
	if len(bad) > 0 {
		return fmt.Errorf("%s: %d of the lines are ignored", file, len(bad))
	}
	return nil
}

// print writes entries as a table, or as JSON.
func (c *Command) print(entries []entry) error {
	if c.JSON {
		return json.NewEncoder(c.Out).Encode(entries)
	}
	table := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
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

// Check reads a key from In, and shows which line of a file has it. A key that is not
// valid is an error.
func (c *Command) Check(file string) error {
	input, err := io.ReadAll(io.LimitReader(c.In, maxInput+1))
	if err != nil {
		return fmt.Errorf("reading the key from standard input: %w", err)
	}
	lines, bad, err := read(file)
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
		return fmt.Errorf("the key of %s is not valid: no line of the file has it; %d of the lines are ignored, see key list", name, len(bad))
	case at < 0:
		return fmt.Errorf("the key of %s is not valid: no line of the file has it", name)
	case lines[at].Name != name:
		return fmt.Errorf("the key of %s is not valid: line %d has it under another name", name, lines[at].Number)
	}
	found := c.entryOf(&lines[at])
	if err := c.print([]entry{found}); err != nil {
		return err
	}
	if found.State != "valid" {
		return fmt.Errorf("the key of %s is not valid: it expired at %s", name, found.Expires)
	}
	return nil
}

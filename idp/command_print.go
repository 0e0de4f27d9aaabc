package oidcidp

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// print prints a response for people: as a table, or one line per member.
func (s subcommand) print(out io.Writer, response map[string]any) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if s.list != "" {
		rows, _ := response[s.list].([]any)
		printTable(w, rows, s.shows)
		return w.Flush()
	}
	var nested []string
	for _, name := range s.shows {
		value, ok := response[name]
		if rows, is := value.([]any); is && len(rows) > 0 {
			if _, objects := rows[0].(map[string]any); objects {
				nested = append(nested, name)
				continue
			}
		}
		if text := textOf(value); ok && text != "" {
			fmt.Fprintf(w, "%s\t%s\n", title(name), text)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, name := range nested {
		rows := response[name].([]any)
		fmt.Fprintf(out, "\n%s\n", title(name))
		printTable(w, rows, membersOf(rows))
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func printTable(w io.Writer, rows []any, columns []string) {
	titles := make([]string, len(columns))
	for i, column := range columns {
		titles[i] = strings.ToUpper(title(column))
	}
	fmt.Fprintln(w, strings.Join(titles, "\t"))
	for _, row := range rows {
		members, _ := row.(map[string]any)
		cells := make([]string, len(columns))
		for i, column := range columns {
			if cells[i] = textOf(members[column]); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
}

// membersOf returns the names of all members of objects.
func membersOf(rows []any) (names []string) {
	for _, row := range rows {
		members, _ := row.(map[string]any)
		for name := range members {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func title(name string) string { return strings.ReplaceAll(name, "_", " ") }

// textOf formats a JSON value. It escapes control characters, because users choose
// names.
func textOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case float64:
		return fmt.Sprint(int64(v))
	case []any:
		texts := make([]string, len(v))
		for i, element := range v {
			texts[i] = textOf(element)
		}
		return strings.Join(texts, ", ")
	case string:
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			return t.Local().Format("2006-01-02 15:04:05 MST")
		}
		return logtext.Clean(v, 4*logtext.MaxName)
	}
	return fmt.Sprint(value)
}

package adminapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// PrintProviders prints the JSON of a ProvidersResponse as a table, with the
// errors of failing providers below.
func PrintProviders(out io.Writer, data []byte) error {
	response, err := decode[ProvidersResponse](data)
	if err != nil {
		return err
	}
	rows := [][]string{{"PROVIDER", "METADATA", "READ", "KEYS", "READ", "COUNT", "SITES", "ISSUER"}}
	var notes []string
	for _, p := range response.Providers {
		id := p.ID
		if p.Disabled {
			id += " (disabled)"
		}
		rows = append(rows, []string{
			id, string(p.Metadata.State), formatTime(p.Metadata.Read),
			string(p.Keys.State), formatTime(p.Keys.Read), fmt.Sprint(p.Keys.Usable), strings.Join(p.Sites, ","), p.Issuer,
		})
		for _, health := range []struct {
			what string
			Health
		}{{"metadata", p.Metadata}, {"keys", p.Keys.Health}} {
			if health.State == op.Failing {
				notes = append(notes, fmt.Sprintf("%s: %s failed at %s: %s", p.ID, health.what, formatTime(health.Failed), health.Error))
			}
		}
	}
	return printTable(out, notes, rows...)
}

// PrintRevoked prints the JSON of a RevokeResponse as a table, followed by an
// explanation.
func PrintRevoked(out io.Writer, data []byte) error {
	response, err := decode[RevokeResponse](data)
	if err != nil {
		return err
	}
	rows := [][]string{{"REVOKED", "PROVIDERS", "ISSUER"}}
	about := "All sessions"
	for _, r := range response.Revoked {
		rows = append(rows, []string{r.Kind, strings.Join(r.Providers, ","), r.Issuer})
		switch r.Kind {
		case kindSubject:
			about = "Sessions of this subject"
		case kindSID:
			about = "Sessions of this provider session"
		}
	}
	return printTable(out, []string{about + " that began before now end, on all instances within five seconds.",
		"Whether there were any is not known: browsers keep sessions in cookies, which cannot be counted."}, rows...)
}

// PrintKeys prints the JSON of a KeysResponse as a table, with notes below.
func PrintKeys(out io.Writer, data []byte) error {
	response, err := decode[KeysResponse](data)
	if err != nil {
		return err
	}
	rows := [][]string{{"KEY", "FROM", "STATE", "CREATED", "SEALS FROM", "OPENS UNTIL", "ROTATES", "SITES"}}
	var notes []string
	for _, ring := range response.Rings {
		sites := strings.Join(ring.Sites, ",")
		for _, key := range ring.Keys {
			rows = append(rows, []string{
				key.ID, ring.From, key.State, formatTime(key.Created), formatTime(key.SealsFrom), formatTime(key.OpensUntil), ring.Rotate, sites,
			})
		}
		if ring.Made {
			notes = append(notes, "a new key was made for "+sites)
		}
		if ring.Note != "" {
			notes = append(notes, ring.Note)
		}
	}
	return printTable(out, notes, rows...)
}

// decode decodes a response.
func decode[T any](data []byte) (response T, err error) {
	if err = json.Unmarshal(data, &response); err != nil {
		err = fmt.Errorf("unexpected response of the admin API: %w", err)
	}
	return response, err
}

// printTable prints rows in columns, and notes below. Cells and notes are
// sanitized, because providers may choose names and errors.
func printTable(out io.Writer, notes []string, rows ...[]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cmp.Or(cell, "-"))
		}
		if _, err := fmt.Fprintln(w, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, note := range notes {
		if _, err := fmt.Fprintln(out, printable(note)); err != nil {
			return err
		}
	}
	return nil
}

// printable replaces control characters, which a terminal could interpret, by
// spaces.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || 0x7f <= r && r <= 0x9f {
			return ' '
		}
		return r
	}, text)
}

// formatTime formats a time as RFC 3339; "" for the zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

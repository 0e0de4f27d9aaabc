package oidcrp

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// table prints rows in columns, and notes below. What is in a cell or a note
// cannot leave it: names and errors may be a provider's choice.
func writeTable(out io.Writer, notes []string, rows ...[]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(orDefault(cell, "-"))
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

// printable takes from a text what a terminal could obey.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || 0x7f <= r && r <= 0x9f {
			return ' '
		}
		return r
	}, text)
}

// when is a time for people; zero is none.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// as reads an answer for one of the functions below.
func decodeAs[T any](data []byte) (answer T, err error) {
	if err = json.Unmarshal(data, &answer); err != nil {
		err = fmt.Errorf("the answer is not what was asked for: %w", err)
	}
	return answer, err
}

func showProviders(out io.Writer, data []byte) error {
	answer, err := decodeAs[providersAnswer](data)
	if err != nil {
		return err
	}
	rows := [][]string{{"PROVIDER", "METADATA", "READ", "KEYS", "READ", "COUNT", "SITES", "ISSUER"}}
	var notes []string
	for _, p := range answer.Providers {
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
			healthStatus
		}{{"metadata", p.Metadata}, {"keys", p.Keys.healthStatus}} {
			if health.State == op.Failing {
				notes = append(notes, fmt.Sprintf("%s: %s failed at %s: %s", p.ID, health.what, formatTime(health.Failed), health.Error))
			}
		}
	}
	return writeTable(out, notes, rows...)
}

func showEnded(out io.Writer, data []byte) error {
	answer, err := decodeAs[revocationAnswer](data)
	if err != nil {
		return err
	}
	rows := [][]string{{"REVOKED", "PROVIDERS", "ISSUER"}}
	about := "All sessions"
	for _, e := range answer.Ended {
		rows = append(rows, []string{e.Kind, strings.Join(e.Providers, ","), e.Issuer})
		switch e.Kind {
		case "subject":
			about = "Sessions of this subject"
		case "sid":
			about = "Sessions of this provider session"
		}
	}
	return writeTable(out, []string{about + " that began before now end, on all instances within five seconds.",
		"Whether there were any is not known: browsers keep sessions in cookies, which cannot be counted."}, rows...)
}

func showKeys(out io.Writer, data []byte) error {
	answer, err := decodeAs[keysAnswer](data)
	if err != nil {
		return err
	}
	rows := [][]string{{"KEY", "FROM", "STATE", "CREATED", "SEALS FROM", "OPENS UNTIL", "ROTATES", "SITES"}}
	var notes []string
	for _, ring := range answer.Rings {
		for _, key := range ring.Keys {
			rows = append(rows, []string{
				key.ID, ring.From, key.State, formatTime(key.Created), formatTime(key.SealsFrom), formatTime(key.OpensUntil), ring.Rotate, strings.Join(ring.Sites, ","),
			})
		}
		if ring.Made {
			notes = append(notes, "a new key was made for "+strings.Join(ring.Sites, ","))
		}
		if ring.Note != "" {
			notes = append(notes, ring.Note)
		}
	}
	return writeTable(out, notes, rows...)
}

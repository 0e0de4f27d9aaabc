package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// maxText limits each text of a report for people, in bytes. A provider may
// list thousands of scopes.
const maxText = 2000

// width is the width of the text in characters.
const width = 80

// marks precede checks, in these colors.
var (
	marks  = map[Status]string{OK: "✔", Failed: "✘", Warning: "!", Info: "·"}
	colors = map[Status]string{OK: "\x1b[32m", Failed: "\x1b[31m", Warning: "\x1b[33m", Info: "\x1b[2m"}
)

const (
	bold  = "\x1b[1m"
	plain = "\x1b[0m"
)

// WriteJSON writes the report as JSON. It escapes characters that are not printable,
// because texts of providers may contain control sequences for terminals.
func (r *Report) WriteJSON(out io.Writer) error {
	var text, visible bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return err
	}
	for _, c := range text.String() {
		if c == '\n' || unicode.IsPrint(c) {
			visible.WriteRune(c)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, c) {
			fmt.Fprintf(&visible, `\u%04x`, unit)
		}
	}
	_, err := visible.WriteTo(out)
	return err
}

// WriteText writes the report for people, with colors if color is set. It escapes
// control characters in the texts of providers.
func (r *Report) WriteText(out io.Writer, color bool) error {
	w := &writer{color: color}
	for _, site := range r.Sites {
		w.heading("", site.Name)
		for _, p := range site.Providers {
			w.provider(p)
		}
		w.checks("  ", site.Checks)
		w.line("")
	}
	if len(r.Checks) > 0 {
		w.heading("", "configuration")
		w.checks("  ", r.Checks)
		w.line("")
	}
	w.line(r.summary())
	_, err := io.WriteString(out, w.text.String())
	return err
}

// summary returns the number of failures and warnings in words.
func (r *Report) summary() string {
	if r.Failures+r.Warnings == 0 {
		return "Nothing is wrong."
	}
	return count(r.Failures, "failure") + ", " + count(r.Warnings, "warning")
}

// count returns a number with its noun in the singular or plural.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

type writer struct {
	text  strings.Builder
	color bool
}

// line writes a line without trailing spaces, and does not escape it.
func (w *writer) line(text string) { w.text.WriteString(strings.TrimRight(text, " ") + "\n") }

// shown returns a text with control characters escaped, of at most maxText
// bytes.
func shown(text string) string { return logtext.Clean(text, maxText) }

func (w *writer) colored(code, text string) string {
	if !w.color {
		return text
	}
	return code + text + plain
}

func (w *writer) heading(indent, text string) { w.line(indent + w.colored(bold, shown(text))) }

func (w *writer) provider(p Provider) {
	w.heading("  ", fmt.Sprintf("provider %s (%s)", p.ID, p.Issuer))
	if p.As != "" {
		w.line("    as at " + shown(p.As))
	} else {
		w.checks("    ", p.Checks)
	}
	if len(p.Register) == 0 {
		return
	}
	w.line("    register at the provider")
	for _, address := range p.Register {
		w.line("      " + shown(address.Name))
		w.line("        " + shown(address.URL))
	}
}

func (w *writer) checks(indent string, checks []Check) {
	inner := indent + "  "
	for _, check := range checks {
		mark := w.colored(colors[check.Status], marks[check.Status])
		for n, text := range wrap(check.Name+": "+check.Message, width-len(inner)) {
			if n == 0 {
				w.line(indent + mark + " " + text)
			} else {
				w.line(inner + text)
			}
		}
		for _, detail := range check.Details {
			w.line(inner + "  " + shown(detail))
		}
		for n, text := range wrap(check.Remedy, width-len(inner)-2) {
			if n == 0 {
				w.line(inner + "→ " + text)
			} else {
				w.line(inner + "  " + text)
			}
		}
	}
}

// wrap breaks a text between words into lines of at most the given number of
// characters.
func wrap(text string, most int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(shown(strings.Join(strings.Fields(text), " "))) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > most {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

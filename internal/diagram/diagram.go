// Package diagram draws the sequence diagrams of the documentation from text that has
// one line per message.
//
// It parses the text and returns an SVG. It does not read or write files.
package diagram

import (
	"fmt"
	"slices"
	"strings"
)

// Diagram is a parsed text.
type Diagram struct {
	Title string
	Lanes []string
	Steps []Step
}

// Step is a message, or the title of a part if Part is set.
type Step struct {
	Part     string
	From, To int // indexes into Lanes
	Text     string
}

// Parse parses a text. It ignores blank lines and lines that begin with #.
//
//	title How it works
//	lanes Browser | Caddy
//	part The first page
//	Browser -> Caddy: opens a page
func Parse(text string) (*Diagram, error) {
	d := new(Diagram)
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := d.read(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if d.Title == "" || len(d.Steps) == 0 {
		return nil, fmt.Errorf("there is no title, or no message")
	}
	return d, nil
}

func (d *Diagram) read(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "title":
		d.Title = rest
		return nil
	case "lanes":
		for name := range strings.SplitSeq(rest, "|") {
			d.Lanes = append(d.Lanes, strings.TrimSpace(name))
		}
		return nil
	case "part":
		d.Steps = append(d.Steps, Step{Part: rest})
		return nil
	}
	ends, text, hasText := strings.Cut(line, ": ")
	from, to, hasArrow := strings.Cut(ends, " -> ")
	step := Step{From: slices.Index(d.Lanes, from), To: slices.Index(d.Lanes, to), Text: text}
	switch {
	case !hasText || !hasArrow:
		return fmt.Errorf("%q is no message: <lane> -> <lane>: <text>", line)
	case step.From < 0 || step.To < 0 || step.From == step.To:
		return fmt.Errorf("%q is not between two of the lanes %s", ends, strings.Join(d.Lanes, ", "))
	}
	d.Steps = append(d.Steps, step)
	return nil
}

// wrap breaks a text between words into lines of at most width characters. Longer
// words get a line of their own.
func wrap(text string, width int) (lines []string) {
	for word := range strings.FieldsSeq(text) {
		last := len(lines) - 1
		if last >= 0 && len([]rune(lines[last]))+1+len([]rune(word)) <= width {
			lines[last] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}

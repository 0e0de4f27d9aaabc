package expression

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// This file replaces Caddy's shorthand {name} for a placeholder by a call of the
// function ph, as Caddy's own expression matcher does, with the same regular
// expressions: a backslash before the brace makes it text.

var shorthands = []struct {
	expression *regexp.Regexp
	expansion  string
}{
	{regexp.MustCompile(`([^\\]|^){([a-zA-Z][\w.-]+)}`), `${1}ph(req, "${2}")`},
	{regexp.MustCompile(`\\{([a-zA-Z][\w.-]+)}`), `{${1}}`},
}

// expanded is a text without shorthands, with the original positions of its parts.
type expanded struct {
	text, original string
	pieces         []piece // in order
}

// piece maps an offset of the text, in bytes, to one of the original.
type piece struct{ at, original int }

func expandPlaceholders(original string) expanded {
	e := expanded{text: original, original: original, pieces: []piece{{0, 0}}}
	for _, s := range shorthands {
		e = e.replace(s.expression, s.expansion)
	}
	return e
}

// replace replaces all matches. Each replacement gets the position of its match.
func (e expanded) replace(expression *regexp.Regexp, expansion string) expanded {
	matches := expression.FindAllStringSubmatchIndex(e.text, -1)
	if len(matches) == 0 {
		return e
	}
	var made []byte
	pieces := []piece{{0, 0}}
	from := 0
	copyTo := func(end int) {
		for _, p := range e.pieces {
			if from < p.at && p.at < end {
				pieces = append(pieces, piece{len(made) + p.at - from, p.original})
			}
		}
		made = append(made, e.text[from:end]...)
	}
	for _, match := range matches {
		copyTo(match[0])
		pieces = append(pieces, piece{len(made), e.offset(match[0])})
		made = expression.ExpandString(made, expansion, e.text, match)
		from = match[1]
		pieces = append(pieces, piece{len(made), e.offset(from)})
	}
	copyTo(len(e.text))
	return expanded{string(made), e.original, pieces}
}

// offset returns the original offset of a position in the text.
func (e expanded) offset(at int) int {
	found := 0
	for i, p := range e.pieces {
		if p.at > at {
			break
		}
		found = p.original + at - p.at
		if i+1 < len(e.pieces) {
			found = min(found, max(p.original, e.pieces[i+1].original))
		}
	}
	return min(found, len(e.original))
}

// position returns the line and column in the original, counted from 1 and in
// characters, for a line (from 1) and column (from 0) of the text.
func (e expanded) position(line, column int) (originalLine, originalColumn int) {
	at := 0
	for range line - 1 {
		i := strings.IndexByte(e.text[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	for ; column > 0 && at < len(e.text); column-- {
		_, size := utf8.DecodeRuneInString(e.text[at:])
		at += size
	}
	before := e.original[:e.offset(at)]
	begin := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[begin:]) + 1
}

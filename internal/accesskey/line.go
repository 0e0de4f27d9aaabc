package accesskey

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// This file reads and writes the file of keys: one key a line, as
// name:hash[:groups[:expires]].

const (
	// maxLine bounds a line, in bytes, and maxGroups how many groups one has.
	maxLine   = 8 << 10
	maxGroups = 200
)

// Line is what a file says about one key.
type Line struct {
	Number int // in the file, from 1
	Name   string
	Hash   Hash
	Groups []string
	// Expires is when the key stops to count; zero for never.
	Expires time.Time
}

// String returns the line as it is written.
func (l *Line) String() string {
	text := l.Name + ":" + hex.EncodeToString(l.Hash[:])
	if len(l.Groups) > 0 || !l.Expires.IsZero() {
		text += ":" + strings.Join(l.Groups, ",")
	}
	if !l.Expires.IsZero() {
		text += ":" + l.Expires.Format(time.RFC3339)
	}
	return text
}

// IsExpired reports whether the key does not count any more.
func (l *Line) IsExpired(now time.Time) bool { return !l.Expires.IsZero() && !now.Before(l.Expires) }

// BadLine is a line that counts as absent, and why. The reason repeats nothing of it.
type BadLine struct {
	Number int
	Reason string
}

// Parse reads a file. What is wrong with a line is not wrong with the others.
func Parse(text string) (lines []Line, bad []BadLine) {
	seen := make(map[Hash]int)
	number := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		number++
		line = strings.Trim(line, " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		parsed, err := parseLine(line)
		if err == nil && seen[parsed.Hash] > 0 {
			err = fmt.Errorf("the same key is on line %d", seen[parsed.Hash])
		}
		if err != nil {
			bad = append(bad, BadLine{number, err.Error()})
			continue
		}
		parsed.Number, seen[parsed.Hash] = number, number
		lines = append(lines, parsed)
	}
	return lines, bad
}

func parseLine(text string) (l Line, err error) {
	if len(text) > maxLine {
		return l, fmt.Errorf("it has more than %d bytes", maxLine)
	}
	name, rest, ok := strings.Cut(text, ":")
	if !ok {
		return l, errors.New("it is not name:hash[:groups[:expires]]")
	}
	if err := CheckName(name); err != nil {
		return l, err
	}
	hash, rest, hasGroups := strings.Cut(rest, ":")
	if sum, err := hex.DecodeString(hash); err != nil || copy(l.Hash[:], sum) != len(sum) || len(sum) != len(l.Hash) {
		return l, errors.New("the hash is not the SHA-256 of a key, 64 hexadecimal digits")
	}
	l.Name = name
	if !hasGroups {
		return l, nil
	}
	groups, expires, hasExpires := strings.Cut(rest, ":") // it has colons itself
	if l.Groups, err = ParseGroups(groups); err != nil {
		return l, err
	}
	if hasExpires {
		if l.Expires, err = time.Parse(time.RFC3339, expires); err != nil || l.Expires.Unix() <= 0 { // the zero time would be never
			return l, errors.New("expires is not a time as in RFC 3339, such as 2030-01-31T12:00:00Z; groups have no colons")
		}
	}
	return l, nil
}

// ParseGroups reads the names of groups, separated by commas.
func ParseGroups(text string) (groups []string, err error) {
	if text == "" {
		return nil, nil
	}
	for group := range strings.SplitSeq(text, ",") {
		group = strings.Trim(group, " \t")
		switch {
		case group == "":
			return nil, errors.New("the name of a group is empty")
		case !utf8.ValidString(group) || strings.ContainsFunc(group, unicode.IsControl):
			return nil, errors.New("the name of a group has characters that do not print")
		case strings.Contains(group, ":"):
			return nil, errors.New("the name of a group has a colon")
		case slices.Contains(groups, group):
			return nil, errors.New("a group appears twice")
		case len(groups) == maxGroups:
			return nil, fmt.Errorf("there are more than %d groups", maxGroups)
		}
		groups = append(groups, group)
	}
	return groups, nil
}

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

// This file parses and formats the file of keys, which has one key per line:
// name:hash[:groups[:expires]].

const (
	// maxLine is the maximum length of a line in bytes, and maxGroups the maximum
	// number of groups in one.
	maxLine   = 8 << 10
	maxGroups = 200
)

// Line is a line of a file.
type Line struct {
	Number int // in the file, from 1
	Name   string
	Hash   Hash
	Groups []string
	// Expires is when the key expires; zero for never.
	Expires time.Time
}

// String returns the formatted line.
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

// IsExpired reports whether the key has expired.
func (l *Line) IsExpired(now time.Time) bool { return !l.Expires.IsZero() && !now.Before(l.Expires) }

// BadLine is a line that is ignored because it is not valid, and the reason, which
// does not repeat its content.
type BadLine struct {
	Number int
	Reason string
}

// Parse parses a file. Invalid lines do not affect others.
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
	groups, expires, hasExpires := strings.Cut(rest, ":") // expires contains colons
	if l.Groups, err = ParseGroups(groups); err != nil {
		return l, err
	}
	if hasExpires {
		if l.Expires, err = time.Parse(time.RFC3339, expires); err != nil || l.Expires.Unix() <= 0 { // the zero time would mean never
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
			return nil, errors.New("a group is there twice")
		case len(groups) == maxGroups:
			return nil, fmt.Errorf("there are more than %d groups", maxGroups)
		}
		groups = append(groups, group)
	}
	return groups, nil
}

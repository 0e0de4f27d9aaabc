package file

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// users has the names in a file.
type users map[string]bool

// badLine is an invalid line, which is ignored.
type badLine struct {
	number int
	reason string
}

// The columns of a CSV file.
const (
	nameColumn   = "userName"
	activeColumn = "active"
)

// parse parses a file: one name per line, or CSV with a header that has the
// column userName. It ignores blank lines and lines that begin with #. It returns
// the active users and the invalid lines.
func parse(text string) (users, []badLine) {
	p := &parser{users: make(users), inactive: make(map[string]bool)}
	text = strings.TrimPrefix(text, "\ufeff")
	if p.readHeader(text) {
		p.readTable(text)
	} else {
		p.readLines(text)
	}
	for name := range p.inactive {
		delete(p.users, name) // even if another line has the user as active
	}
	return p.users, p.bad
}

type parser struct {
	users    users
	inactive map[string]bool
	bad      []badLine

	// The indexes of the columns; active is -1 if there is no such column. header
	// is the line number of the header.
	name, active, header int
}

func (p *parser) refuse(line int, reason string) { p.bad = append(p.bad, badLine{line, reason}) }

// readHeader reports whether the first line that is not silent is a header. A
// header has the column userName: exactly that if it is the only column, and in
// any letter case otherwise.
func (p *parser) readHeader(text string) bool {
	number := 0
	for line := range strings.Lines(text) {
		number++
		if isSilent(line) {
			continue
		}
		fields, err := newReader(line).Read()
		if err != nil {
			return false
		}
		p.header, p.name, p.active = number, -1, -1
		for i, field := range fields {
			field = strings.TrimSpace(field)
			switch {
			case field == nameColumn, len(fields) > 1 && strings.EqualFold(field, nameColumn):
				p.name = i
			case strings.EqualFold(field, activeColumn):
				p.active = i
			}
		}
		return p.name >= 0
	}
	return false
}

// isSilent reports whether a line is blank or a comment.
func isSilent(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#'
}

// readLines reads one name per line.
func (p *parser) readLines(text string) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		if isSilent(line) {
			continue
		}
		p.add(number, strings.TrimSpace(line), "")
	}
}

// readTable reads the records after the header. If a record is malformed, for
// example because of a stray quotation mark, only its first line is ignored, and
// reading continues with the next line.
func (p *parser) readTable(text string) {
	done := p.header
	text = afterLines(text, done)
	for text != "" {
		failed := p.readRecords(text, done)
		if failed == 0 {
			return
		}
		text = afterLines(text, failed)
		done += failed
	}
}

// readRecords reads records up to the first malformed one, and returns the number
// of its first line in text, or zero if there is none. done is the number of
// lines of the file before text.
func (p *parser) readRecords(text string, done int) (failed int) {
	r := newReader(text)
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return 0
		}
		if err != nil {
			failed = 1
			var where *csv.ParseError
			if errors.As(err, &where) {
				failed, err = where.StartLine, where.Err
			}
			p.refuse(done+failed, err.Error())
			return failed
		}
		if strings.TrimSpace(strings.Join(record, "")) == "" {
			continue
		}
		line, _ := r.FieldPos(0)
		p.add(done+line, column(record, p.name), column(record, p.active))
	}
}

// newReader returns a CSV reader for records of any length.
func newReader(text string) *csv.Reader {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment = -1, true, '#'
	return r
}

// afterLines returns text without its first count lines.
func afterLines(text string, count int) string {
	for range count {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

// column returns a field of a record, or "" if the record is too short.
func column(record []string, i int) string {
	if i < 0 || i >= len(record) {
		return ""
	}
	return strings.TrimSpace(record[i])
}

// add adds the user of a line. Users count as active if active is empty or
// true.
func (p *parser) add(line int, name, active string) {
	switch {
	case name == "":
		p.refuse(line, "the name is missing")
	case !utf8.ValidString(name):
		p.refuse(line, "the name is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		p.refuse(line, "the name has control characters")
	case active == "", strings.EqualFold(active, "true"):
		p.users[name] = true
	case strings.EqualFold(active, "false"):
		p.inactive[name] = true
	default:
		p.refuse(line, "active is neither true nor false")
		p.inactive[name] = true
	}
}

package locale

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// file is a parsed file with texts.
type file struct {
	name    string
	entries []entry
}

// entry is one text.
type entry struct {
	key, text string
	line      int
}

// byKey returns the texts by key. A nil file has none.
func (f *file) byKey() map[string]string {
	if f == nil {
		return nil
	}
	texts := make(map[string]string, len(f.entries))
	for _, e := range f.entries {
		texts[e.key] = e.text
	}
	return texts
}

// errorAt adds the file name and the line to an error.
func (f *file) errorAt(line int, err error) error {
	return fmt.Errorf("%s:%d: %w", f.name, line, err)
}

var (
	errNotObject = errors.New(`a file of texts is a JSON object: {"key": "text", …}`)
	errNotUTF8   = errors.New("the text is not UTF-8")
	errEnd       = errors.New("the file ends before the object does")
	errRest      = errors.New("there is something after the object")
)

// parse parses a file: a JSON object of texts. Unlike encoding/json it records
// lines and rejects duplicate keys.
func parse(name string, text []byte) (*file, error) {
	f := &file{name: name}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	lineAt := func(offset int64) int {
		return 1 + bytes.Count(text[:min(offset, int64(len(text)))], []byte("\n"))
	}
	if !utf8.Valid(text) {
		return nil, f.errorAt(1, errNotUTF8)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	fail := func(err error) (*file, error) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errEnd
		}
		return nil, f.errorAt(lineAt(d.InputOffset()), err)
	}
	if begin, err := d.Token(); err != nil {
		return fail(err)
	} else if begin != json.Delim('{') {
		return fail(errNotObject)
	}
	seen := make(map[string]int)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fail(err)
		}
		value, err := d.Token()
		if err != nil {
			return fail(err)
		}
		e := entry{key: key.(string), line: lineAt(d.InputOffset())} // Token allows no other keys
		var ok bool
		if e.text, ok = value.(string); !ok {
			return nil, f.errorAt(e.line, fmt.Errorf("the value of %q is not a text", e.key))
		}
		if before := seen[e.key]; before != 0 {
			return nil, f.errorAt(e.line, fmt.Errorf("the text %q is in line %d already", e.key, before))
		}
		seen[e.key] = e.line
		if err := checkText(e.text); err != nil {
			return nil, f.errorAt(e.line, fmt.Errorf("the text %q %w", e.key, err))
		}
		f.entries = append(f.entries, e)
	}
	if _, err := d.Token(); err != nil {
		return fail(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, f.errorAt(lineAt(d.InputOffset()), errRest)
	}
	return f, nil
}

// checkText checks the rules that every text has to satisfy.
func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("is empty")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("has a line break or another control character")
	case strings.ContainsAny(placeholder.ReplaceAllString(text, ""), "{}"):
		return errors.New("has a brace that is not that of a placeholder, such as {host}")
	}
	return nil
}

package claims

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// List is a claim of several texts. As text it is comma-separated, with commas
// and percent signs inside its values percent-encoded; as a list it can be
// searched by an expression.
type List []string

// String joins the list so that no value can pretend to be two.
func (l List) String() string {
	var b strings.Builder
	for i, value := range l {
		if i > 0 {
			b.WriteByte(',')
		}
		writeEncoded(&b, value, ",%")
	}
	return b.String()
}

// Clean percent-encodes the control characters of a text, so that it can be a
// header's value or part of a log line.
func Clean(s string) string {
	return Encoded(s, "")
}

// Encoded percent-encodes the control characters of a text and the given ASCII
// characters.
func Encoded(s, set string) string {
	if !needsEncoding(s, set) {
		return s
	}
	var b strings.Builder
	writeEncoded(&b, s, set)
	return b.String()
}

func needsEncoding(s, set string) bool {
	for i, r := range s {
		if special(s, i, r, set) {
			return true
		}
	}
	return false
}

// special says whether the rune at i is encoded: control characters, what is
// not UTF-8, and the characters of the set.
func special(s string, i int, r rune, set string) bool {
	if r < utf8.RuneSelf {
		return r < 0x20 || r == 0x7f || strings.IndexByte(set, byte(r)) >= 0
	}
	if r == utf8.RuneError {
		_, size := utf8.DecodeRuneInString(s[i:])
		return size == 1
	}
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

func writeEncoded(b *strings.Builder, s, set string) {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if special(s, i, r, set) {
			for _, c := range []byte(s[i : i+size]) {
				b.WriteByte('%')
				b.WriteByte(hex[c>>4])
				b.WriteByte(hex[c&15])
			}
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
}

// Text is the value for people and headers: lists are joined, control
// characters are percent-encoded, null is empty, objects are JSON.
func (v Value) Text() string {
	if v.kind == kindString {
		return Clean(v.data)
	}
	switch v.data {
	case "null", "":
		return ""
	}
	if v.data[0] == '[' {
		if list, ok := v.List(); ok {
			return list.String()
		}
	}
	return Clean(v.compact())
}

func (v Value) compact() string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(v.data)) != nil {
		return ""
	}
	return b.String()
}

// Plain is the text of a string or a number: what can name somebody. Other
// values have none.
func (v Value) Plain() string {
	if v.kind == kindString {
		return v.data
	}
	if v.data != "" && (v.data[0] == '-' || v.data[0] >= '0' && v.data[0] <= '9') {
		return v.data
	}
	return ""
}

// JSON is the value as JSON text.
func (v Value) JSON() json.RawMessage {
	if v.kind == kindJSON {
		return json.RawMessage(v.data)
	}
	text, err := json.Marshal(v.data)
	if err != nil {
		return json.RawMessage(`""`) // a string always marshals
	}
	return text
}

// True says whether the value is true: as JSON, or as the text that some
// providers send for it.
func (v Value) True() bool { return v.data == "true" }

// List returns the value as a list of texts: a list's members, or a single
// text as a list of one. It is not ok for null, objects, and lists that hold
// objects or lists.
func (v Value) List() (List, bool) {
	if v.kind == kindString {
		return List{v.data}, true
	}
	var members []any
	decoder := json.NewDecoder(strings.NewReader(v.data))
	decoder.UseNumber()
	if decoder.Decode(&members) != nil || members == nil {
		return nil, false
	}
	list := make(List, 0, len(members))
	for _, member := range members {
		switch m := member.(type) {
		case string:
			list = append(list, m)
		case json.Number:
			list = append(list, m.String())
		case bool:
			if m {
				list = append(list, "true")
			} else {
				list = append(list, "false")
			}
		default:
			return nil, false
		}
	}
	return list, true
}

// Typed returns the value for expressions: a string, bool, int64, float64, List or
// map, or an empty string for null. Texts are cleaned of control characters; a
// List cleans its own when it becomes text.
func (v Value) Typed() any {
	if v.kind == kindString {
		return Clean(v.data)
	}
	if v.data != "" && v.data[0] == '[' {
		if list, ok := v.List(); ok {
			return list
		}
	}
	var decoded any
	decoder := json.NewDecoder(strings.NewReader(v.data))
	decoder.UseNumber()
	if decoder.Decode(&decoded) != nil {
		return ""
	}
	return typed(decoded)
}

func typed(decoded any) any {
	switch d := decoded.(type) {
	case nil:
		return ""
	case string:
		return Clean(d)
	case json.Number:
		if n, err := d.Int64(); err == nil {
			return n
		}
		if f, err := d.Float64(); err == nil && !math.IsInf(f, 0) {
			return f
		}
		return d.String()
	case []any:
		for i := range d {
			d[i] = typed(d[i])
		}
		return d
	case map[string]any:
		cleaned := make(map[string]any, len(d))
		for name, member := range d {
			// What had to be cleaned takes the place of nothing.
			if clean := Clean(name); clean == name || !has(d, clean) {
				cleaned[clean] = typed(member)
			}
		}
		return cleaned
	}
	return decoded
}

func has(members map[string]any, name string) bool {
	_, ok := members[name]
	return ok
}

func (v Value) member(name string) (Value, bool) {
	if v.kind != kindJSON || v.data == "" || v.data[0] != '{' {
		return Value{}, false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(v.data), &members) != nil {
		return Value{}, false
	}
	raw, ok := members[name]
	if !ok {
		return Value{}, false
	}
	value, err := FromJSON(raw)
	return value, err == nil
}

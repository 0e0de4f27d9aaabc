package claims

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
)

// List is a claim of several strings. Its text is comma-separated, with commas and
// percent signs in values percent-encoded. Expressions can use it as a list.
type List []string

// String joins the list unambiguously.
func (l List) String() string {
	var b strings.Builder
	for i, value := range l {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(Encoded(value, ",%"))
	}
	return b.String()
}

// Value returns the list as the value of a claim.
func (l List) Value() Value {
	text, err := json.Marshal([]string(l))
	if err != nil {
		return Value{kindJSON, "[]"} // strings always marshal
	}
	return Value{kindJSON, string(text)}
}

// Text returns the value for display and headers: strings as returned by Clean,
// lists joined, numbers as they were sent, null as "", and other values as JSON.
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
	return Printable(v.compact())
}

func (v Value) compact() string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(v.data)) != nil {
		return ""
	}
	return b.String()
}

// Plain returns a string or a number as text; "" for other values. It is for names.
func (v Value) Plain() string {
	if v.kind == kindString {
		return v.data
	}
	if v.data != "" && (v.data[0] == '-' || v.data[0] >= '0' && v.data[0] <= '9') {
		return v.data
	}
	return ""
}

// JSON returns the value as JSON text.
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

// True reports whether the value is true: as JSON, or as the text that some
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

// Typed returns the value for expressions: a string, bool, int64, float64, List,
// slice or map, or an empty string for null. An integer beyond 64 bits is a
// float64, and what is beyond that a string. Texts are cleaned; a List cleans its
// own when it becomes text.
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
		return Printable(d)
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
			// A name that had to be encoded must not replace an existing one.
			if clean := Printable(name); clean == name || !has(d, clean) {
				cleaned[clean] = typed(member)
			}
		}
		return cleaned
	}
	return decoded
}

// Native returns the value as it was sent: a string, bool, int64, float64, slice or
// map, or nil for null. A number that is neither int64 nor float64 is a string.
func (v Value) Native() any {
	if v.kind == kindString {
		return v.data
	}
	var decoded any
	decoder := json.NewDecoder(strings.NewReader(v.data))
	decoder.UseNumber()
	if decoder.Decode(&decoded) != nil {
		return nil
	}
	return native(decoded)
}

func native(decoded any) any {
	switch d := decoded.(type) {
	case json.Number:
		return typed(d)
	case []any:
		for i := range d {
			d[i] = native(d[i])
		}
	case map[string]any:
		for name := range d {
			d[name] = native(d[name])
		}
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

// Package claims encodes claims about a user in a flat form. A session in a cookie
// is opened on every request, but most requests look at few claims or none, so
// claims are decoded on demand.
package claims

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Set is an encoded set of claims: for each its name and its value, both with
// their length before them. The zero value is empty. A Set is made by Encode,
// or is text that Encode made; anything else reads as a shorter set, never
// beyond its end.
type Set string

// Value is one claim's value.
type Value struct {
	kind byte
	data string
}

const (
	kindString = 's' // the text of a JSON string
	kindJSON   = 'j' // any other JSON value, as it was sent
)

// ErrNotJSON means that the value of a claim is not JSON.
var ErrNotJSON = errors.New("is not JSON")

// Encode returns the set of members. Names are sorted, so that equal claims have
// equal encodings.
func Encode(members map[string]json.RawMessage) (Set, error) {
	names := make([]string, 0, len(members))
	size := 0
	for name, raw := range members {
		names = append(names, name)
		size += len(name) + len(raw) + 6
	}
	slices.Sort(names)
	encoded := make([]byte, 0, size)
	for _, name := range names {
		value, err := FromJSON(members[name])
		if err != nil {
			return "", fmt.Errorf("claim %q: %w", name, err)
		}
		encoded = appendText(encoded, name)
		encoded = append(encoded, value.kind)
		encoded = appendText(encoded, value.data)
	}
	return Set(encoded), nil
}

func appendText(dst []byte, text string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// FromJSON returns the value of JSON text.
func FromJSON(raw json.RawMessage) (Value, error) {
	if !json.Valid(raw) {
		return Value{}, ErrNotJSON
	}
	text := strings.TrimSpace(string(raw))
	if text[0] != '"' {
		return Value{kindJSON, text}, nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return Value{}, fmt.Errorf("%w: %w", ErrNotJSON, err)
	}
	return Value{kindString, s}, nil
}

// FromString returns a string value.
func FromString(s string) Value { return Value{kindString, s} }

// Each calls yield with each claim until it returns false.
func (s Set) Each(yield func(name string, value Value) bool) {
	for rest := string(s); rest != ""; {
		var name, data string
		var ok bool
		if name, rest, ok = cutText(rest); !ok || rest == "" {
			return
		}
		kind := rest[0]
		if data, rest, ok = cutText(rest[1:]); !ok || kind != kindString && kind != kindJSON {
			return
		}
		if !yield(name, Value{kind, data}) {
			return
		}
	}
}

func cutText(s string) (text, rest string, ok bool) {
	var size uint64
	for i := 0; i < len(s) && i < 4; i++ { // lengths here are far under 2^28
		size |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			s = s[i+1:]
			if uint64(len(s)) < size {
				return "", "", false
			}
			return s[:size], s[size:], true
		}
	}
	return "", "", false
}

// Get returns the claim of exactly the given name.
func (s Set) Get(name string) (value Value, ok bool) {
	s.Each(func(n string, v Value) bool {
		if n == name {
			value, ok = v, true
		}
		return !ok
	})
	return value, ok
}

// Path returns the value at a path: dots reach into objects, and \. is a dot
// that belongs to a name. A claim whose whole name is the path comes first, so
// that names that are URLs need no escapes.
func (s Set) Path(path string) (Value, bool) {
	if value, ok := s.Get(path); ok {
		return value, true
	}
	steps := SplitPath(path)
	value, ok := s.Get(steps[0])
	for _, step := range steps[1:] {
		if !ok {
			break
		}
		value, ok = value.member(step)
	}
	return value, ok
}

// SplitPath splits a claim path at its dots and resolves escapes.
func SplitPath(path string) []string {
	if !strings.ContainsAny(path, `.\`) {
		return []string{path}
	}
	var steps []string
	var step strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path):
			i++
			step.WriteByte(path[i])
		case c == '.':
			steps = append(steps, step.String())
			step.Reset()
		default:
			step.WriteByte(c)
		}
	}
	return append(steps, step.String())
}

// Names returns the names of the claims.
func (s Set) Names() (names []string) {
	s.Each(func(name string, _ Value) bool {
		names = append(names, name)
		return true
	})
	return names
}

// Largest returns the names of the largest claims with the sizes of their values in
// bytes, the largest first: what an operator needs to know whose session is too
// large.
func (s Set) Largest(count int) []string {
	type sized struct {
		name string
		size int
	}
	var all []sized
	s.Each(func(name string, value Value) bool {
		all = append(all, sized{name, len(value.data)})
		return true
	})
	slices.SortStableFunc(all, func(a, b sized) int { return b.size - a.size })
	var largest []string
	for _, claim := range all[:min(count, len(all))] {
		largest = append(largest, fmt.Sprintf("%s (%d bytes)", claim.name, claim.size))
	}
	return largest
}

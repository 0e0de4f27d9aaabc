package wire

import (
	"strings"
	"testing"
)

// Reading in any order ends, and reads nothing twice or beyond the end. After an error, a
// reader stays bad.
func FuzzReader(f *testing.F) {
	var w Writer
	w.Byte(7)
	w.Text("text")
	w.Varint(-300)
	w.Uvarint(1 << 63)
	f.Add(string(w.B), "btvu")
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "uvt")
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\x7fabc", "tr")
	f.Add("", "brtvums")
	f.Fuzz(func(t *testing.T, text, fields string) {
		r := Reader{S: text}
		for _, field := range fields {
			before, bad := r.S, r.Bad
			read := ""
			switch field {
			case 'b':
				r.Byte()
			case 'r':
				read = r.Raw(3)
			case 't':
				read = r.Text()
			case 'v':
				r.Varint()
			case 'u':
				r.Uvarint()
			case 'm':
				r.Millis()
			default:
				r.Seconds()
			}
			if !strings.HasSuffix(before, r.S) {
				t.Fatalf("%q: expected the rest of %q, seen %q", text, before, r.S)
			}
			if !strings.Contains(before, read) {
				t.Errorf("%q: expected a part of %q, seen %q", text, before, read)
			}
			if bad && !r.Bad {
				t.Errorf("%q: expected that what is bad stays bad", text)
			}
			if !r.Bad && len(r.S) == len(before) {
				t.Errorf("%q: expected a field to be read of %q, seen none", text, before)
			}
		}
	})
}

// What is written can be read.
func FuzzWriter(f *testing.F) {
	f.Add(int64(-1), uint64(1<<63), int64(1_700_000_000), "text", byte(9))
	f.Add(int64(-1<<63), uint64(0), int64(0), "", byte(0))
	f.Fuzz(func(t *testing.T, n int64, u uint64, epoch int64, text string, tag byte) {
		var w Writer
		w.Varint(n)
		w.Uvarint(u)
		w.Text(text)
		w.Tagged(tag, text)
		r := Reader{S: string(w.B)}
		if got := r.Varint(); got != n {
			t.Errorf("expected %d, seen %d", n, got)
		}
		if got := r.Uvarint(); got != u {
			t.Errorf("expected %d, seen %d", u, got)
		}
		if got := r.Text(); got != text {
			t.Errorf("expected %q, seen %q", text, got)
		}
		if text != "" {
			if got := r.Byte(); got != tag {
				t.Errorf("expected the tag %d, seen %d", tag, got)
			}
			if got := r.Text(); got != text {
				t.Errorf("expected %q, seen %q", text, got)
			}
		}
		if r.Bad || r.S != "" {
			t.Errorf("expected nothing left, seen %q, bad %v", r.S, r.Bad)
		}
	})
}

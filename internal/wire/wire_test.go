package wire

import (
	"testing"
	"time"
)

func TestFieldsComeBack(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_123)
	var w Writer
	w.Byte(7)
	w.Raw([]byte("raw"))
	w.Varint(-300)
	w.Uvarint(300)
	w.Millis(at)
	w.Seconds(at)
	w.Seconds(time.Time{})
	w.Text("text")
	w.Tagged(1, "")
	w.TaggedSeconds(2, 0, time.Time{})
	w.Tagged(3, "tagged")

	r := Reader{S: string(w.B)}
	if got := r.Byte(); got != 7 {
		t.Errorf("Byte: %d, want 7", got)
	}
	if got := r.Raw(3); got != "raw" {
		t.Errorf("Raw: %q, want raw", got)
	}
	if got := r.Varint(); got != -300 {
		t.Errorf("Varint: %d, want -300", got)
	}
	if got := r.Uvarint(); got != 300 {
		t.Errorf("Uvarint: %d, want 300", got)
	}
	if got := r.Millis(); !got.Equal(at) {
		t.Errorf("Millis: expected %v, seen %v", at, got)
	}
	if got := r.Seconds(); !got.Equal(at.Truncate(time.Second)) {
		t.Errorf("Seconds: expected %v, seen %v", at.Truncate(time.Second), got)
	}
	if got := r.Seconds(); !got.IsZero() {
		t.Errorf("Seconds: %v, want the zero time", got)
	}
	if got := r.Text(); got != "text" {
		t.Errorf("Text: %q, want text", got)
	}
	if tag, got := r.Byte(), r.Text(); tag != 3 || got != "tagged" {
		t.Errorf("Tagged: %d %q, want 3 tagged", tag, got)
	}
	if r.Bad || r.S != "" {
		t.Errorf("Bad is %v and %q is left", r.Bad, r.S)
	}
}

func TestMissingFieldsAreBad(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(*Reader){
		"bytes beyond the end":            func(r *Reader) { r.Raw(4) },
		"a text longer than what is left": func(r *Reader) { r.Text() },
		"a number that does not end":      func(r *Reader) { r.S = "\xff"; r.Uvarint() },
		"a number of more than 64 bits":   func(r *Reader) { r.S = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"; r.Uvarint() },
		"a byte at the end":               func(r *Reader) { r.S = ""; r.Byte() },
	} {
		r := Reader{S: "\x09ab"}
		if read(&r); !r.Bad {
			t.Errorf("%s: not noticed", name)
		}
	}
}

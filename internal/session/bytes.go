package session

import (
	"encoding/binary"
	"time"
)

// writer and reader are the format of what is sealed: fixed fields as they
// are, numbers as varints, texts with their length before them. What was
// sealed by us is read back by us, but after a change of version or key the
// bytes can be anything: the reader notes that something is missing and never
// reads beyond the end.
type writer struct{ b []byte }

func (w *writer) byte(c byte)         { w.b = append(w.b, c) }
func (w *writer) raw(b []byte)        { w.b = append(w.b, b...) }
func (w *writer) number(n int64)      { w.b = binary.AppendVarint(w.b, n) }
func (w *writer) millis(t time.Time)  { w.number(t.UnixMilli()) }
func (w *writer) seconds(t time.Time) { w.number(unixOrZero(t)) }

func (w *writer) text(s string) {
	w.b = binary.AppendUvarint(w.b, uint64(len(s)))
	w.b = append(w.b, s...)
}

// tagged writes a field that is left out where it is empty.
func (w *writer) tagged(tag byte, value string) {
	if value != "" {
		w.byte(tag)
		w.text(value)
	}
}

func (w *writer) taggedSeconds(tag byte, t time.Time) {
	if !t.IsZero() {
		var value writer
		value.seconds(t)
		w.tagged(tag, string(value.b))
	}
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

type reader struct {
	s   string
	bad bool
}

func (r *reader) raw(size int) string {
	if len(r.s) < size {
		r.bad, r.s = true, ""
		return ""
	}
	cut := r.s[:size]
	r.s = r.s[size:]
	return cut
}

func (r *reader) byte() byte {
	if c := r.raw(1); c != "" {
		return c[0]
	}
	return 0
}

func (r *reader) unsigned() uint64 {
	var n uint64
	for shift := 0; shift < 64; shift += 7 {
		c := r.byte()
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	r.bad = true
	return 0
}

func (r *reader) number() int64 {
	n := r.unsigned()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) text() string {
	size := r.unsigned()
	if size > uint64(len(r.s)) {
		r.bad, r.s = true, ""
		return ""
	}
	return r.raw(int(size))
}

func (r *reader) millis() time.Time { return time.UnixMilli(r.number()) }

func (r *reader) seconds() time.Time {
	if n := r.number(); n != 0 {
		return time.Unix(n, 0)
	}
	return time.Time{}
}

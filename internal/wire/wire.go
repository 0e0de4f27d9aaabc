// Package wire reads and writes the binary encoding of sealed and stored data:
// fixed-size fields as they are, numbers as varints, and texts preceded by
// their length.
//
// It does not know what fields mean, nor any versions or tags: those belong to
// the packages that define a format.
package wire

import (
	"encoding/binary"
	"time"
)

// Writer appends fields to B.
type Writer struct{ B []byte }

// Byte appends one byte.
func (w *Writer) Byte(c byte) { w.B = append(w.B, c) }

// Raw appends bytes without their length, which the reader must know.
func (w *Writer) Raw(b []byte) { w.B = append(w.B, b...) }

// Varint appends a signed number.
func (w *Writer) Varint(n int64) { w.B = binary.AppendVarint(w.B, n) }

// Uvarint appends an unsigned number.
func (w *Writer) Uvarint(n uint64) { w.B = binary.AppendUvarint(w.B, n) }

// Millis appends a time with a precision of milliseconds.
func (w *Writer) Millis(t time.Time) { w.Varint(t.UnixMilli()) }

// Seconds appends a time with a precision of seconds. It preserves the zero
// time.
func (w *Writer) Seconds(t time.Time) { w.SecondsAfter(0, t) }

// SecondsAfter is like Seconds, but takes fewer bytes for a time close to epoch
// (Unix seconds). The reader must use the same epoch.
func (w *Writer) SecondsAfter(epoch int64, t time.Time) {
	if t.IsZero() {
		w.Varint(-epoch)
		return
	}
	w.Varint(t.Unix() - epoch)
}

// Text appends the length of a string, and the string.
func (w *Writer) Text(s string) {
	w.Uvarint(uint64(len(s)))
	w.B = append(w.B, s...)
}

// Tagged appends a tag and a text. It appends nothing if the text is empty.
func (w *Writer) Tagged(tag byte, value string) {
	if value != "" {
		w.Byte(tag)
		w.Text(value)
	}
}

// TaggedSeconds appends a tag and a text that contains a time as written by
// SecondsAfter. It appends nothing for the zero time.
func (w *Writer) TaggedSeconds(tag byte, epoch int64, t time.Time) {
	if !t.IsZero() {
		var value Writer
		value.SecondsAfter(epoch, t)
		w.Tagged(tag, string(value.B))
	}
}

// Reader reads fields from S, in the order in which they were written. Input
// can be arbitrary bytes, for example after a change of version or key: a
// truncated field sets Bad and has the zero value, and nothing is read beyond
// the end.
type Reader struct {
	S   string // the unread rest
	Bad bool
}

// Raw reads size bytes.
func (r *Reader) Raw(size int) string {
	if len(r.S) < size {
		r.Bad, r.S = true, ""
		return ""
	}
	cut := r.S[:size]
	r.S = r.S[size:]
	return cut
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if c := r.Raw(1); c != "" {
		return c[0]
	}
	return 0
}

// Uvarint reads an unsigned number.
func (r *Reader) Uvarint() uint64 {
	var n uint64
	for shift := 0; shift < 64; shift += 7 {
		c := r.Byte()
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	r.Bad = true
	return 0
}

// Varint reads a signed number.
func (r *Reader) Varint() int64 {
	n := r.Uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

// Text reads a string. It shares memory with S.
func (r *Reader) Text() string {
	size := r.Uvarint()
	if size > uint64(len(r.S)) {
		r.Bad, r.S = true, ""
		return ""
	}
	return r.Raw(int(size))
}

// Millis reads a time written by Writer.Millis.
func (r *Reader) Millis() time.Time { return time.UnixMilli(r.Varint()) }

// Seconds reads a time written by Writer.Seconds.
func (r *Reader) Seconds() time.Time { return r.SecondsAfter(0) }

// SecondsAfter reads a time written by Writer.SecondsAfter with the same epoch.
func (r *Reader) SecondsAfter(epoch int64) time.Time {
	if n := r.Varint() + epoch; n != 0 {
		return time.Unix(n, 0)
	}
	return time.Time{}
}

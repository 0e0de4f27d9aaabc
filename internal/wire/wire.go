// Package wire reads and writes the bytes of what is sealed or stored: fixed
// fields as they are, numbers as varints, texts with their length before them.
//
// It knows nothing of what the fields mean, of versions or of which tags there
// are: that belongs to the packages that own a format.
package wire

import (
	"encoding/binary"
	"time"
)

// Writer appends fields to B.
type Writer struct{ B []byte }

// Byte appends one byte.
func (w *Writer) Byte(c byte) { w.B = append(w.B, c) }

// Raw appends bytes of a size that the reader knows.
func (w *Writer) Raw(b []byte) { w.B = append(w.B, b...) }

// Varint appends a signed number.
func (w *Writer) Varint(n int64) { w.B = binary.AppendVarint(w.B, n) }

// Uvarint appends an unsigned number.
func (w *Writer) Uvarint(n uint64) { w.B = binary.AppendUvarint(w.B, n) }

// Millis appends a time to the millisecond.
func (w *Writer) Millis(t time.Time) { w.Varint(t.UnixMilli()) }

// Seconds appends a time to the second; the zero time is kept.
func (w *Writer) Seconds(t time.Time) { w.SecondsAfter(0, t) }

// SecondsAfter is Seconds in fewer bytes for a time near an epoch, in Unix seconds,
// which the reader has to know.
func (w *Writer) SecondsAfter(epoch int64, t time.Time) {
	if t.IsZero() {
		w.Varint(-epoch)
		return
	}
	w.Varint(t.Unix() - epoch)
}

// Text appends a string with its length before it.
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

// TaggedSeconds appends a tag and a text that holds a time as SecondsAfter writes it.
// It appends nothing for the zero time.
func (w *Writer) TaggedSeconds(tag byte, epoch int64, t time.Time) {
	if !t.IsZero() {
		var value Writer
		value.SecondsAfter(epoch, t)
		w.Tagged(tag, string(value.B))
	}
}

// Reader reads fields from S, in the order in which they were written. After a
// change of version or key the bytes can be anything: a field that is missing
// sets Bad and is zero, and nothing is read beyond the end.
type Reader struct {
	S   string // what is left to read
	Bad bool
}

// Raw reads so many bytes.
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

// Text reads a string. It shares the memory of S.
func (r *Reader) Text() string {
	size := r.Uvarint()
	if size > uint64(len(r.S)) {
		r.Bad, r.S = true, ""
		return ""
	}
	return r.Raw(int(size))
}

// Millis reads a time to the millisecond.
func (r *Reader) Millis() time.Time { return time.UnixMilli(r.Varint()) }

// Seconds reads a time to the second.
func (r *Reader) Seconds() time.Time { return r.SecondsAfter(0) }

// SecondsAfter reads a time that was written as seconds after the same epoch.
func (r *Reader) SecondsAfter(epoch int64) time.Time {
	if n := r.Varint() + epoch; n != 0 {
		return time.Unix(n, 0)
	}
	return time.Time{}
}

// Package compact compresses a session's claims before they are sealed, since
// the browser sends them with every request.
//
// Known claims get short names, random identifiers are lifted out of the text as raw
// bytes, and the rest is compressed by DEFLATE (RFC 1951) with a dictionary of
// common claims. Secrets must not be compressed together with claims: the size of
// the compressed text reveals something about a secret to anyone who can choose part
// of the text.
package compact

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// MaxSize is the size, in bytes, of the largest text that Append compresses and
// Expand returns. It is about three times what four cookies can hold
// uncompressed.
const MaxSize = 32 << 10

// ErrMalformed is returned for input that is not the output of Append.
var ErrMalformed = errors.New("malformed compressed text")

// The forms of compressed text, as its first byte. Forms and dictionaries never
// change, so that everything that was ever sealed can still be opened. The command
// in the folder dictionary made the dictionaries.
const (
	// form1Number is a text without short names. It is no longer written.
	form1Number = 1
	// form2Number is a text with short names of claims.
	form2Number = 2
)

var (
	//go:embed dictionary-1
	dictionary1 []byte
	//go:embed dictionary-2
	dictionary2 []byte
)

// level is the DEFLATE level. The text is compressed once per session.
const level = 7

// Append appends the compressed form of two texts to dst: any text, followed by
// claims. If the result would not be shorter than the texts, it returns dst and
// false. Malformed claims are preserved, but compress less well.
func Append(dst []byte, head, set string) (packed []byte, ok bool) {
	if size := len(head) + len(set); size == 0 || size > MaxSize {
		return dst, false
	}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	e.short = shorten(append(e.short[:0], head...), set)
	e.text, e.raw = lift(e.text[:0], e.raw[:0], string(e.short))
	if len(e.short) > MaxSize || len(e.text) > MaxSize { // marks made it longer
		return dst, false
	}
	packed = e.append(dst, len(head))
	if len(packed)-len(dst) >= len(head)+len(set) {
		return dst, false
	}
	return packed, true
}

type encoder struct {
	short, text, raw []byte
	out              bytes.Buffer
	deflate          *flate.Writer
}

// append appends the parts of a compressed text. head is the offset of the
// claims.
func (e *encoder) append(dst []byte, head int) []byte {
	e.out.Reset()
	e.deflate.ResetDict(&e.out, dictionary2)
	e.deflate.Write(e.text) // cannot fail: writes to memory
	e.deflate.Close()
	dst = append(dst, form2Number)
	dst = binary.AppendUvarint(dst, uint64(head))
	dst = binary.AppendUvarint(dst, uint64(len(e.raw)))
	return append(append(dst, e.raw...), e.out.Bytes()...)
}

var encoders = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(io.Discard, level, dictionary2)
	if err != nil {
		panic(err) // cannot happen: the level is valid
	}
	return &encoder{deflate: w}
}}

// Expand returns the concatenation of the texts that were given to Append, at most
// MaxSize bytes.
func Expand(packed string) (string, error) {
	if packed == "" {
		return "", ErrMalformed
	}
	var text string
	var ok bool
	switch packed[0] {
	case form1Number:
		text, ok = expand1(packed[1:])
	case form2Number:
		text, ok = expand2(packed[1:])
	}
	if !ok {
		return "", ErrMalformed
	}
	return text, nil
}

func expand1(packed string) (string, bool) {
	var sizes [3]int // of the text, its compressed part, and its lifted bytes
	packed, ok := cutSizes(packed, sizes[:])
	if !ok || sizes[2] > len(packed) {
		return "", false
	}
	d := decoders1.Get().(*decoder)
	defer decoders1.Put(d)
	left, ok := d.inflate(packed[sizes[2]:])
	if !ok || len(left) != sizes[1] {
		return "", false
	}
	d.text, ok = restore(d.text[:0], left, packed[:sizes[2]], markGUID, sizes[0])
	return string(d.text), ok && len(d.text) == sizes[0]
}

func expand2(packed string) (string, bool) {
	var sizes [2]int // of the text before the claims, and the lifted bytes
	packed, ok := cutSizes(packed, sizes[:])
	if !ok || sizes[1] > len(packed) {
		return "", false
	}
	d := decoders2.Get().(*decoder)
	defer decoders2.Put(d)
	left, ok := d.inflate(packed[sizes[1]:])
	if !ok {
		return "", false
	}
	d.short, ok = restore(d.short[:0], left, packed[:sizes[1]], markTime, MaxSize)
	if !ok || sizes[0] > len(d.short) {
		return "", false
	}
	d.text, ok = lengthen(append(d.text[:0], d.short[:sizes[0]]...), d.short[sizes[0]:], MaxSize)
	return string(d.text), ok
}

// cutSizes reads sizes from the beginning of a text. It returns false if one of them
// is above MaxSize.
func cutSizes(text string, sizes []int) (rest string, ok bool) {
	for i := range sizes {
		size, n := uvarint(text)
		if n <= 0 || size > MaxSize {
			return "", false
		}
		sizes[i], text = int(size), text[n:]
	}
	return text, true
}

// uvarint is like binary.Uvarint, but reads a string and at most four bytes.
func uvarint(s string) (n uint64, size int) {
	for i := 0; i < len(s) && i < 4; i++ { // MaxSize takes three bytes
		n |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return n, i + 1
		}
	}
	return 0, 0
}

type decoder struct {
	*inflater
	short, text []byte
}

var (
	decoders1 = sync.Pool{New: func() any { return &decoder{inflater: newInflater(dictionary1)} }}
	decoders2 = sync.Pool{New: func() any { return &decoder{inflater: newInflater(dictionary2)} }}
)

// Package compact makes a session's claims small before they are sealed: the
// browser sends them with every request.
//
// Random identifiers are lifted out of the text, and the rest is compressed by
// DEFLATE (RFC 1951) with a dictionary of common claims. What is secret must
// stay outside: the size of compressed text tells something of it to who
// chooses some of the text.
package compact

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
)

// MaxSize is the largest text in bytes that is compressed, and that Expand
// makes: about three times what four cookies can hold as it is.
const MaxSize = 32 << 10

// ErrMalformed is returned for what Append did not make.
var ErrMalformed = errors.New("malformed compressed text")

// dictionary1 was made by the command in the folder dictionary. It never
// changes, and neither does its number: what was ever sealed is to be opened.
//
//go:embed dictionary-1
var dictionary1 []byte

const number1 = 1

// level is the DEFLATE level. The text is compressed once per session.
const level = 7

// Append appends the compressed form of a text to dst, if that is shorter than
// the text.
func Append(dst []byte, text string) (packed []byte, ok bool) {
	if text == "" || len(text) > MaxSize {
		return dst, false
	}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	e.text, e.raw = lift(e.text[:0], e.raw[:0], text)
	packed = e.append(dst, len(text))
	if len(packed)-len(dst) >= len(text) {
		return dst, false
	}
	return packed, true
}

type encoder struct {
	text, raw []byte
	out       bytes.Buffer
	deflate   *flate.Writer
}

// append appends the parts of a text of the given size.
func (e *encoder) append(dst []byte, size int) []byte {
	e.out.Reset()
	e.deflate.ResetDict(&e.out, dictionary1)
	e.deflate.Write(e.text) // to memory: it cannot fail
	e.deflate.Close()
	dst = append(dst, number1)
	for _, n := range [...]int{size, len(e.text), len(e.raw)} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return append(append(dst, e.raw...), e.out.Bytes()...)
}

var encoders = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(io.Discard, level, dictionary1)
	if err != nil {
		panic(err) // the level is a constant
	}
	return &encoder{deflate: w}
}}

// Expand returns the text that Append made packed of. It never makes more than
// MaxSize bytes.
func Expand(packed string) (string, error) {
	if packed == "" || packed[0] != number1 {
		return "", ErrMalformed
	}
	rest := packed[1:]
	var sizes [3]int // of the text, of what is compressed, and of what was lifted out
	for i := range sizes {
		size, n := uvarint(rest)
		if n <= 0 || size > MaxSize {
			return "", ErrMalformed
		}
		sizes[i], rest = int(size), rest[n:]
	}
	if sizes[2] > len(rest) {
		return "", ErrMalformed
	}
	raw, deflated := rest[:sizes[2]], rest[sizes[2]:]
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	lifted, ok := d.expand(deflated, sizes[1])
	if !ok {
		return "", ErrMalformed
	}
	var text strings.Builder
	text.Grow(sizes[0])
	if !restore(&text, lifted, raw, sizes[0]) {
		return "", ErrMalformed
	}
	return text.String(), nil
}

// uvarint is binary.Uvarint of a string.
func uvarint(s string) (n uint64, size int) {
	for i := 0; i < len(s) && i < 4; i++ { // what is allowed has three bytes at most
		n |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return n, i + 1
		}
	}
	return 0, 0
}

type decoder struct {
	in      strings.Reader
	inflate io.ReadCloser
	text    []byte
	end     [1]byte
}

var decoders = sync.Pool{New: func() any {
	d := new(decoder)
	d.inflate = flate.NewReaderDict(&d.in, dictionary1)
	return d
}}

// expand returns what was compressed, of the given size. It is good until the
// decoder is used again.
func (d *decoder) expand(deflated string, size int) ([]byte, bool) {
	d.in.Reset(deflated)
	defer d.in.Reset("")
	if err := d.inflate.(flate.Resetter).Reset(&d.in, dictionary1); err != nil {
		return nil, false
	}
	d.text = slices.Grow(d.text[:0], size)[:size]
	if _, err := io.ReadFull(d.inflate, d.text); err != nil {
		return nil, false
	}
	n, err := d.inflate.Read(d.end[:])
	return d.text, n == 0 && err == io.EOF && d.in.Len() == 0
}

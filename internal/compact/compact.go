// Package compact makes a session's claims small before they are sealed: the
// browser sends them with every request.
//
// Known claims get short names, random identifiers are lifted out of the text, and
// the rest is compressed by DEFLATE (RFC 1951) with a dictionary of common claims.
// What is secret must stay outside: the size of compressed text reveals something of
// it to those who choose some of the text.
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

// MaxSize is the largest text in bytes that is compressed, and that Expand
// makes: about three times what four cookies can hold as it is.
const MaxSize = 32 << 10

// ErrMalformed is returned for what Append did not make.
var ErrMalformed = errors.New("malformed compressed text")

// The forms, by their first byte. Forms and dictionaries never change: what was ever
// sealed is to be opened. The dictionaries were made by the command in the folder
// dictionary.
const (
	// form1Number is a text; no release writes it any more.
	form1Number = 1
	// form2Number is a text whose claims have short names.
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

// Append appends the compressed form of two texts to dst, if that is shorter than
// both: any text, and then claims. What is wrong with the claims makes them larger,
// not wrong.
func Append(dst []byte, head, set string) (packed []byte, ok bool) {
	if size := len(head) + len(set); size == 0 || size > MaxSize {
		return dst, false
	}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	e.short = shorten(append(e.short[:0], head...), set)
	e.text, e.raw = lift(e.text[:0], e.raw[:0], string(e.short))
	if len(e.short) > MaxSize || len(e.text) > MaxSize { // made longer
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

// append appends the parts of a text whose claims begin at the given place.
func (e *encoder) append(dst []byte, head int) []byte {
	e.out.Reset()
	e.deflate.ResetDict(&e.out, dictionary2)
	e.deflate.Write(e.text) // to memory: it cannot fail
	e.deflate.Close()
	dst = append(dst, form2Number)
	dst = binary.AppendUvarint(dst, uint64(head))
	dst = binary.AppendUvarint(dst, uint64(len(e.raw)))
	return append(append(dst, e.raw...), e.out.Bytes()...)
}

var encoders = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(io.Discard, level, dictionary2)
	if err != nil {
		panic(err) // the level is a constant
	}
	return &encoder{deflate: w}
}}

// Expand returns the texts that Append made packed of, as one. It never makes more
// than MaxSize bytes.
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
	var sizes [3]int // of the text, of what is compressed, and of what was lifted out
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
	var sizes [2]int // of the text before the claims, and of what was lifted out
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

// cutSizes reads sizes, none of which is over MaxSize, from the beginning of a text.
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
	*inflater
	short, text []byte
}

var (
	decoders1 = sync.Pool{New: func() any { return &decoder{inflater: newInflater(dictionary1)} }}
	decoders2 = sync.Pool{New: func() any { return &decoder{inflater: newInflater(dictionary2)} }}
)

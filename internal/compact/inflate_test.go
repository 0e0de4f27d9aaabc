package compact

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
	"testing"
)

// deflate compresses with the standard library, another implementation than the tested
// one.
func deflate(t testing.TB, level int, dictionary []byte, text string) string {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriterDict(&out, level, dictionary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// FuzzInflate compares the result with that of the standard library: both accept the
// same input and return the same text.
func FuzzInflate(f *testing.F) {
	for _, text := range []string{"", "a", goldenText, everyByte(), noise(300), strings.Repeat("abc", 400), strings.Repeat("x", MaxSize), strings.Repeat("x", MaxSize+1), guids(30)} {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.BestCompression} {
			deflated := deflate(f, level, dictionary1, text)
			f.Add([]byte(deflated))
			f.Add([]byte(deflated[:len(deflated)/2]))
			f.Add([]byte(deflated + "x"))
		}
	}
	for _, odd := range []string{"\x07", "\x01\x00\x00\xff\xff", "\x01\x01\x00\xff\xff", "\x00\x00\x00\xff\xff", "\x05\x00", "\xed\xfd\x01\x81", "\x03\x00", "\x02\x00"} {
		f.Add([]byte(odd))
	}
	mine := newInflater(dictionary1)
	f.Fuzz(func(t *testing.T, deflated []byte) {
		in := bytes.NewReader(deflated)
		want, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(in, dictionary1), MaxSize+1))
		wanted := err == nil && in.Len() == 0 && len(want) <= MaxSize
		got, ok := mine.inflate(string(deflated))
		if ok != wanted {
			t.Fatalf("accepts: %v, want %v (%v, %d bytes left, %d bytes of text)", ok, wanted, err, in.Len(), len(want))
		}
		if ok && !bytes.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}

package compact

import (
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/flate"
)

// inflater decompresses texts that were compressed with a dictionary. It is
// pooled, because a decoder takes 40 KiB.
type inflater struct {
	dictionary []byte
	in         strings.Reader
	stream     io.ReadCloser
	out        []byte
}

func newInflater(dictionary []byte) *inflater {
	f := &inflater{dictionary: dictionary, out: make([]byte, 0, 2<<10)}
	f.stream = flate.NewReaderDict(&f.in, dictionary)
	return f
}

// inflate returns the text, which is valid until the next call. It reports false
// for malformed input, for bytes after its end, and for more than MaxSize bytes of
// text.
func (f *inflater) inflate(deflated string) (text []byte, ok bool) {
	f.in.Reset(deflated)
	defer f.in.Reset("")
	if err := f.stream.(flate.Resetter).Reset(&f.in, f.dictionary); err != nil {
		return nil, false
	}
	f.out = f.out[:0]
	for {
		if len(f.out) == cap(f.out) {
			f.out = slices.Grow(f.out, min(cap(f.out), MaxSize+1-cap(f.out)))
		}
		n, err := f.stream.Read(f.out[len(f.out):cap(f.out)])
		f.out = f.out[:len(f.out)+n]
		switch {
		case len(f.out) > MaxSize:
			return nil, false
		case err == io.EOF:
			return f.out, f.in.Len() == 0
		case err != nil:
			return nil, false
		}
	}
}

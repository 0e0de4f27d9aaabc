package compact

import (
	"strings"
	"testing"
)

// FuzzExpand reads any bytes as a compressed text, as they could be after a
// change of version.
func FuzzExpand(f *testing.F) {
	packed, _ := Append(nil, goldenText)
	whole := string(packed)
	for _, seed := range []string{"", "\x01", "\x02", whole, whole[:20], whole + "x", bomb(100), bomb(MaxSize), deflated("\x1c\x1d", strings.Repeat("x", 32), 72), deflated("\x1e\xff", strings.Repeat("x", 255), 510)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, packed string) {
		text, err := Expand(packed)
		if err != nil && (err != ErrMalformed || text != "") {
			t.Errorf("%q, %v", text, err)
		}
		if len(text) > MaxSize {
			t.Errorf("%d bytes were made", len(text))
		}
	})
}

// FuzzAppend compresses any text, and compares what comes back.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{"", goldenText, strings.Repeat("a", 300), everyByte(), "0" + guids(3), strings.ToUpper(guids(2)), strings.Repeat("\x1e\x1f", 9), strings.Repeat("0123456789abcdef", 70)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		left, lifted := lift(nil, nil, text)
		var restored strings.Builder
		if !restore(&restored, left, string(lifted), len(text)) || restored.String() != text {
			t.Errorf("%q is restored as %q", text, restored.String())
		}
		packed, ok := Append(nil, text)
		if !ok {
			return
		}
		if got, err := Expand(string(packed)); err != nil || got != text || len(packed) >= len(text) {
			t.Errorf("%q comes back as %q, %v, from %d bytes", text, got, err, len(packed))
		}
	})
}

package compact

import (
	"strings"
	"testing"
)

// FuzzExpand reads any bytes as a compressed text, as after a change of version.
func FuzzExpand(f *testing.F) {
	for _, whole := range []string{form1Of(f, goldenText), form2Of(f, goldenText)} {
		f.Add(whole)
		f.Add(whole[:20])
		f.Add(whole + "x")
	}
	for _, seed := range []string{
		"", "\x01", "\x02", "\x03", form1(f, strings.Repeat("\x00", 1<<20), "", MaxSize), form2(f, 0, strings.Repeat("\x00", 1<<20), ""),
		form1(f, "\x1c\x1d", strings.Repeat("x", 32), 72), form1(f, "\x1e\xff", strings.Repeat("x", 255), 510), form2(f, 72, "\x1c\x1d\x80\x00\x00\x80", strings.Repeat("x", 32)),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, packed string) {
		text, err := Expand(packed)
		if err != nil && err != ErrMalformed {
			t.Errorf("expected the error %v, seen %v", ErrMalformed, err)
		}
		if err != nil && text != "" {
			t.Errorf("expected no text beside the error %v, seen %q", err, text)
		}
		if len(text) > MaxSize {
			t.Errorf("%d bytes were made", len(text))
		}
	})
}

// FuzzAppend compresses any text and expands it again.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{"", goldenText, strings.Repeat("a", 300), everyByte(), "0" + guids(3), strings.ToUpper(guids(2)), strings.Repeat("\x1e\x1f", 9), strings.Repeat("0123456789abcdef", 70), "1761140000 4294967296\x1b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		left, lifted := lift(nil, nil, text)
		restored, ok := restore(nil, left, string(lifted), markTime, len(text))
		if !ok {
			t.Errorf("expected %q to be restored, seen an error", text)
		}
		if string(restored) != text {
			t.Errorf("expected %q to be restored, seen %q", text, restored)
		}
		long, ok := lengthen(nil, shorten(nil, text), len(text))
		if !ok {
			t.Errorf("expected %q to be lengthened again, seen an error", text)
		}
		if string(long) != text {
			t.Errorf("expected %q to be lengthened again, seen %q", text, long)
		}
		for _, head := range []int{0, len(text) / 2} {
			packed, ok := Append(nil, text[:head], text[head:])
			if !ok {
				continue
			}
			got, err := Expand(string(packed))
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			if got != text {
				t.Errorf("%q: expected it to come back, seen %q", text, got)
			}
			if len(packed) >= len(text) {
				t.Errorf("%q: expected less than %d bytes, seen %d", text, len(text), len(packed))
			}
		}
	})
}

// FuzzIdentifier packs any text and unpacks it, and unpacks any text.
func FuzzIdentifier(f *testing.F) {
	for _, seed := range []string{
		"", "0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0", "0B1C2D3E-4F50-4162-8374-95A6B7C8D9E0", "0123456789abcdef0", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "234567", "AbC-_09z", "idx.abc", "a b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		packed := PackIdentifier(id)
		if got, ok := UnpackIdentifier(packed); id != "" {
			if !ok {
				t.Errorf("%q: expected it to come back, seen nothing", id)
			}
			if got != id {
				t.Errorf("%q: expected it to come back, seen %q", id, got)
			}
		}
		if len(packed) > len(id)+1 {
			t.Errorf("%q: expected %d bytes at most, seen %d", id, len(id)+1, len(packed))
		}
		if got, ok := UnpackIdentifier(id); !ok && got != "" {
			t.Errorf("%q is no identifier, and %q", id, got)
		}
	})
}

func TestIdentifiersArePacked(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]int{
		"0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0": 17, "0123456789abcdef0123456789abcdef": 17, "K7QZ2RRWQ4ZFW5S7N3LQ5OJ2BE": 18,
		"rUZjVKnPOYhCPq2Fjn9F0-aBcDeFgHiJ": 25, "00u9z8y7x6w5v4u3t2s1": 16, "session.1": 10,
	} {
		if got := len(PackIdentifier(id)); got != want {
			t.Errorf("%s takes %d bytes, want %d", id, got, want)
		}
	}
}

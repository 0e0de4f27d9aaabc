package factors

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

func TestSplitCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer string
		want   []string
	}{
		{"123456", []string{"123456"}},
		{" 123 456\t", []string{"123456"}},
		{"1234-5678", []string{"12345678"}},
		{"123456 654321", []string{"123456", "654321"}},
		{"123456, 654321", []string{"123456", "654321"}},
		{"12345678 87654321", []string{"12345678", "87654321"}},
		{"", nil},
		{"12345", nil},
		{"1234567", nil},
		{"12345a", nil},
		{"１２３４５６", nil},
		{"+12345", nil},
		{strings.Repeat(" ", 60) + "123456", nil},
	} {
		if seen := splitCodes(c.answer); !slices.Equal(seen, c.want) {
			t.Errorf("%q: expected %q, seen %q", c.answer, c.want, seen)
		}
	}
}

func TestParseSeed(t *testing.T) {
	t.Parallel()
	want := []byte("12345678901234567890")
	for _, text := range []string{
		rfcSeed,
		"3132 3334 3536 3738 3930 3132 3334 3536 3738 3930",
		"31:32:33:34:35:36:37:38:39:30:31:32:33:34:35:36:37:38:39:30",
		"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
		"gezd gnbv gy3t qojq gezd gnbv gy3t qojq",
		" GEZDGNBVGY3TQOJQ-GEZDGNBVGY3TQOJQ\n",
	} {
		seen, err := parseSeed(text)
		if err != nil {
			t.Errorf("%q: expected a seed, seen %v", text, err)
			continue
		}
		if !bytes.Equal(seen, want) {
			t.Errorf("%q: expected %x, seen %x", text, want, seen)
		}
	}
}

func FuzzSeed(f *testing.F) {
	f.Add(rfcSeed)
	f.Add("gezd gnbv gy3t qojq gezd gnbv gy3t qojq")
	f.Add("GEZDGNBVGY3TQOJQGEZDGNBVGY======")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := parseSeed(text)
		if err != nil {
			if err != ErrSeed { //nolint:errorlint // exactly this one: it repeats nothing
				t.Fatalf("expected %v, seen %v", ErrSeed, err)
			}
			return
		}
		if len(b) < minSeed || len(b) > maxSeed {
			t.Fatalf("expected 16 to 64 bytes, seen %d", len(b))
		}
		again, err := parseSeed(hex.EncodeToString(b))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("expected the same seed in hexadecimal, seen another")
		}
	})
}

// FuzzAnswer checks that what a user types is read as codes, as a recovery code, or as
// neither.
func FuzzAnswer(f *testing.F) {
	f.Add("123 456")
	f.Add("123456 654321")
	f.Add("k3fh-9w2m-x7pq-4rdt")
	f.Add("OiL0-1111-2222-333z")
	f.Fuzz(func(t *testing.T, answer string) {
		codes := splitCodes(answer)
		for _, code := range codes {
			if len(code) != 6 && len(code) != 8 {
				t.Fatalf("expected 6 or 8 digits, seen %d", len(code))
			}
			if strings.Trim(code, "0123456789") != "" {
				t.Fatalf("expected digits, seen %q", code)
			}
		}
		if IsRecoveryCode(answer) && codes != nil {
			t.Fatalf("expected one reading of %q, seen two", answer)
		}
		code, ok := parseRecoveryCode(answer)
		if !ok {
			return
		}
		again, ok := parseRecoveryCode(inGroups(code, 4, "-"))
		if !ok {
			t.Fatalf("expected %q to be read in groups, seen that it is not", code)
		}
		if again != code {
			t.Fatalf("expected %q, seen %q", code, again)
		}
	})
}

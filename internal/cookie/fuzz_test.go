package cookie

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzHeaders uses all functions on any header lines.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{
		"", ";", "=", name, name + "=", name + "=1", name + "=2a; " + name + "_1=b", name + "=4\n" + name + "_3=; " + name + "_1=x\n",
		"a=1; " + name + " = 1; b", " ;\t;" + name + "=\"1\"", strings.Repeat(name+"=2x;"+name+"_1=y;", 9), "\x00\xff=\xfe; " + name + "\x00=1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		before := slices.Clone(lines)
		found := Find(lines, name)
		tries := 0
		found.Try(MaxChunks, func(value string) bool {
			tries++
			if len(value) > len(text) {
				t.Errorf("%q was joined from %q", value, text)
			}
			return false
		})
		if tries > maxTries {
			t.Errorf("%d tries", tries)
		}
		if found.Present != (found.Chunks != 0) {
			t.Errorf("expected present %t with the chunks %b, seen %t", found.Chunks != 0, found.Chunks, found.Present)
		}
		if tries > 0 && found.Chunks&1 == 0 {
			t.Errorf("expected no tries without the first chunk, seen %d with %b", tries, found.Chunks)
		}
		if len(WithPrefix(lines, name, 3)) > 3 {
			t.Error("more than three with the prefix")
		}

		header := http.Header{"Cookie": lines}
		var room [1]string
		taken := Strip(header, room[:], nil, isOurs)
		if got := Find(taken, name); !slices.Equal(valuesOf(&got, MaxChunks), valuesOf(&found, MaxChunks)) || got.Chunks != found.Chunks {
			t.Errorf("expected the cookies of %q, seen %q", before, taken)
		}
		if left := Find(header["Cookie"], name); left.Present {
			t.Errorf("%q still has ours", header["Cookie"])
		}
		if got, want := others(header["Cookie"]), others(before); !slices.Equal(got, want) {
			t.Errorf("of the others %q became %q", want, got)
		}
		if !slices.Equal(lines, before) {
			t.Errorf("%q became %q", before, lines)
		}
		if !found.Present && !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, name) }) &&
			!slices.Equal(header["Cookie"], before) {
			t.Errorf("without ours %q became %q", before, header["Cookie"])
		}
	})
}

// valuesOf returns the values that Try offers, in their order.
func valuesOf(found *Found, max int) (values []string) {
	found.Try(max, func(value string) bool {
		values = append(values, value)
		return false
	})
	return values
}

// others returns the other cookies, as they were sent.
func others(lines []string) (pairs []string) {
	for _, pair := range strings.Split(strings.Join(lines, ";"), ";") {
		pair = strings.Trim(pair, " \t")
		n, _, _ := strings.Cut(pair, "=")
		if pair != "" && !isOurs(strings.TrimRight(n, " \t")) {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

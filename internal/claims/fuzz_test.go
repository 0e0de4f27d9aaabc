package claims

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzSet reads any bytes as a set, as after a change of version.
func FuzzSet(f *testing.F) {
	whole := string(encode(f, example))
	for _, seed := range []string{"", whole, whole[:30], whole[7:], "\x01aj\x02{}", "\x80\x80\x80\x80\x80", "\x01as\x7f", "\x01aj\x05[1,2]"} {
		f.Add(seed, "a.b")
	}
	f.Add(whole, `address.a\.b.c`)
	f.Fuzz(func(t *testing.T, text, path string) {
		set := Set(text)
		size := 0
		set.Each(func(name string, value Value) bool {
			size += len(name) + len(value.data) + 3
			checkClean(t, value.Text())
			if list, ok := value.List(); ok {
				checkClean(t, list.String())
			}
			return true
		})
		if size > len(text) {
			t.Errorf("%d bytes were read of %d", size, len(text))
		}
		readAll(set, path)
	})
}

// FuzzFromJSON parses any text.
func FuzzFromJSON(f *testing.F) {
	for _, seed := range []string{``, `"a"`, `"\u0085\n"`, `["a,b",1,null]`, `{"a":{"b":[1.5e400]}}`, `null`, "\"\xff\"", ` 1 `, `"\ud800"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := FromJSON(json.RawMessage(raw))
		if (err == nil) != json.Valid([]byte(raw)) {
			t.Fatalf("FromJSON(%q): %v", raw, err)
		}
		if err != nil {
			return
		}
		checkClean(t, v.Text())
		again, err := FromJSON(v.JSON())
		if err != nil || again != v {
			t.Errorf("%q comes back as %q, %v", v, again, err)
		}
		set, err := Encode(map[string]json.RawMessage{"x": json.RawMessage(raw)})
		if err != nil {
			t.Fatal(err)
		}
		got, ok := set.Get("x")
		if !ok {
			t.Fatalf("%q: expected it in the set, seen nothing", raw)
		}
		if got != v {
			t.Errorf("%q: expected %q in the set, seen %q", raw, v, got)
		}
		readAll(set, "x.a")
	})
}

func checkClean(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("expected UTF-8, seen %q", text)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("expected no control characters, seen %q", text)
	}
	if strings.ContainsAny(text, "\u2028\u2029") {
		t.Errorf("expected no line separators, seen %q", text)
	}
	if strings.TrimSpace(text) != text {
		t.Errorf("%q has spaces at its ends", text)
	}
}

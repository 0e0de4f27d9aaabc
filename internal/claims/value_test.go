package claims

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func value(t testing.TB, raw string) Value {
	t.Helper()
	v, err := FromJSON(json.RawMessage(raw))
	if err != nil {
		t.Fatalf("FromJSON(%q): %v", raw, err)
	}
	return v
}

func TestTextAndTypedValues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, raw, text string
		typed           any
	}{
		{"a text", `"Ada"`, "Ada", "Ada"},
		{"an empty text", `""`, "", ""},
		{"a text with a comma and a percent sign", `"a,b%41"`, "a,b%41", "a,b%41"},
		{"a text with a line end", `"a\r\nX-User: root"`, "a%0D%0AX-User: root", "a%0D%0AX-User: root"},
		{"a text with NUL and DEL", `"\u0000a\u007f"`, "%00a%7F", "%00a%7F"},
		{"a text with a C1 control", `"a\u0085b\u009f"`, "a%C2%85b%C2%9F", "a%C2%85b%C2%9F"},
		{"a text with line separators", `"a\u2028b\u2029"`, "a%E2%80%A8b%E2%80%A9", "a%E2%80%A8b%E2%80%A9"},
		{"a text with a lone surrogate", `"\ud800"`, "\ufffd", "\ufffd"},
		{"a text that is not UTF-8", "\"a\xff\"", "a\ufffd", "a\ufffd"},
		{"a text of many scripts", `"é 日本 \ud83d\ude00 \u00a0"`, "é 日本 😀%20%C2%A0", "é 日本 😀%20%C2%A0"},
		// Some applications trim spaces, and no user may become another that way.
		{"a text with a space at its end", `"admin "`, "admin%20", "admin%20"},
		{"a text with a space at its beginning", `" admin"`, "%20admin", "%20admin"},
		{"a text that looks like that one", `"%20admin"`, "%2520admin", "%2520admin"},
		{"a text that looks like that one in turn", `"%2520admin"`, "%252520admin", "%252520admin"},
		{"a text with spaces inside", `"Ada  Lovelace"`, "Ada  Lovelace", "Ada  Lovelace"},
		{"a text of spaces", `"  \u3000"`, "%20%20%E3%80%80", "%20%20%E3%80%80"},
		{"a text with a percent sign and a line end", `"100%\n"`, "100%25%0A", "100%25%0A"},
		{"a text with a percent sign", `"100% %2 %"`, "100% %2 %", "100% %2 %"},
		{"an address with percent-encoding", `"https://a.example/My%20photo%C3%A9.png?d=https%3A%2F%2Fb"`, "https://a.example/My%20photo%C3%A9.png?d=https%3A%2F%2Fb", "https://a.example/My%20photo%C3%A9.png?d=https%3A%2F%2Fb"},
		{"a list whose values have spaces at their ends", `[" a","b "]`, "%20a,b%20", List{" a", "b "}},
		{"a text that looks like a placeholder", `"{env.SECRET}"`, "{env.SECRET}", "{env.SECRET}"},
		{"a text that looks like JSON", `"[1]"`, "[1]", "[1]"},

		{"true", `true`, "true", true},
		{"false", ` false `, "false", false},
		{"null", `null`, "", ""},
		{"a number", `42`, "42", int64(42)},
		{"a negative number", `-7`, "-7", int64(-7)},
		{"a fraction", `1.50`, "1.50", 1.5},
		{"an exponent", `1e3`, "1e3", 1000.0},
		{"a number beyond 53 bits, exactly", `9007199254740993`, "9007199254740993", int64(9007199254740993)},
		{"a number beyond 64 bits", `18446744073709551616`, "18446744073709551616", 18446744073709551616.0},
		{"a number beyond a double", `1e999`, "1e999", "1e999"},

		{"a list", `["a", "b"]`, "a,b", List{"a", "b"}},
		{"an empty list", `[]`, "", List{}},
		{"a list of one", `["a"]`, "a", List{"a"}},
		{"a list of empty texts", `["",""]`, ",", List{"", ""}},
		{"a list whose values have commas and percent signs", `["a,b","c%2C"]`, "a%2Cb,c%252C", List{"a,b", "c%2C"}},
		{"a list whose values have line ends", `["a\nb","\u2028"]`, "a%0Ab,%E2%80%A8", List{"a\nb", "\u2028"}},
		{"a list of all that is plain", `["a",1,2.50,true,false]`, "a,1,2.50,true,false", List{"a", "1", "2.50", "true", "false"}},

		{"a list with null", `["a",null]`, `["a",null]`, []any{"a", ""}},
		{"a list of lists", `[["a\n"],[]]`, `[["a\n"],[]]`, []any{[]any{"a%0A"}, []any{}}},
		{"an object", `{ "a" : [1, {"b": null}] }`, `{"a":[1,{"b":null}]}`, map[string]any{"a": []any{int64(1), map[string]any{"b": ""}}}},
		{"an object with control characters in the raw", "{\"a\":\"\u0085\u2028\"}", `{"a":"%C2%85%E2%80%A8"}`, map[string]any{"a": "%C2%85%E2%80%A8"}},
		{"an object with control characters in its names", `{"a\nb":1}`, `{"a\nb":1}`, map[string]any{"a%0Ab": int64(1)}},
		{"a name that would become another", `{"a\nb":1,"a%0Ab":2}`, `{"a\nb":1,"a%0Ab":2}`, map[string]any{"a%0Ab": int64(2)}},
		{"an object that is not UTF-8", "{\"a\":\"\xff\"}", `{"a":"%FF"}`, map[string]any{"a": "\ufffd"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := value(t, tc.raw)
			if got := v.Text(); got != tc.text {
				t.Errorf("Text(): expected %q, seen %q", tc.text, got)
			}
			if got := v.Typed(); !reflect.DeepEqual(got, tc.typed) {
				t.Errorf("Typed(): expected %#v, seen %#v", tc.typed, got)
			}
		})
	}
}

func TestAListIsTheSameTextByAnyWay(t *testing.T) {
	t.Parallel()
	v := value(t, `["a\nb,c%","d"]`)
	list, ok := v.Typed().(List)
	if !ok {
		t.Fatalf("expected a list, seen %#v", v.Typed())
	}
	if list.String() != v.Text() {
		t.Errorf("expected to be printed as %q, seen %q", v.Text(), list)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]List{
		`"a,b"`:        {"a,b"},
		`""`:           {""},
		`[]`:           {},
		`["a",1,true]`: {"a", "1", "true"},
		`null`:         nil,
		`true`:         nil,
		`1`:            nil,
		`{}`:           nil,
		`["a",{}]`:     nil,
		`["a",[]]`:     nil,
		`[null]`:       nil,
	} {
		got, ok := value(t, raw).List()
		if ok != (want != nil) || !slices.Equal(got, want) {
			t.Errorf("%s: List() = %q, %v; want %q", raw, got, ok, want)
		}
	}
}

func TestPlainAndTrueValues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		raw, plain string
		yes        bool
	}{
		{`"ada"`, "ada", false},
		{`"true"`, "true", true},
		{`"TRUE"`, "TRUE", false},
		{`true`, "", true},
		{`false`, "", false},
		{`1`, "1", false},
		{`-1`, "-1", false},
		{`"1"`, "1", false},
		{`null`, "", false},
		{`["true"]`, "", false},
		{`{"true":true}`, "", false},
	} {
		v := value(t, tc.raw)
		if v.Plain() != tc.plain || v.True() != tc.yes {
			t.Errorf("%s: Plain() = %q, True() = %v", tc.raw, v.Plain(), v.True())
		}
	}
	none := Value{}
	for name, got := range map[string]any{"Plain": none.Plain(), "Text": none.Text(), "Typed": none.Typed()} {
		if got != "" {
			t.Errorf("no value: expected no text of %s, seen %q", name, got)
		}
	}
	if none.True() {
		t.Error("no value: expected it not to be true, seen that it is")
	}
}

func TestEncodedCharacters(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, set, want string }{
		{"", "%/", ""},
		{"ada", "%/", "ada"},
		{"corp/ada%", "%/", "corp%2Fada%25"},
		{"a\tb", "", "a%09b"},
		{"\xc2", "", "%C2"},
		{"\xed\xa0\x80", "", "%ED%A0%80"},
		{"a\xffé\u0080", "é", "a%FFé%C2%80"},
		{"\ufffd", "", "\ufffd"},
	} {
		if got := Encoded(tc.text, tc.set); got != tc.want {
			t.Errorf("Encoded(%q, %q): expected %q, seen %q", tc.text, tc.set, tc.want, got)
		}
	}
	for r := range rune(0x3000) {
		got := Clean(string(r))
		isControl := r < 0x20 || 0x7f <= r && r < 0xa0 || r == 0x2028 || r == 0x2029
		isEncoded := isControl || unicode.IsSpace(r) || r == 0x180e || r == 0x200b // at the end of a text, as here, spaces are encoded
		if isEncoded == (got == string(r)) {
			t.Errorf("Clean(%q): expected it to be encoded %t, seen %q", r, isEncoded, got)
		}
		if isEncoded && !strings.HasPrefix(got, "%") {
			t.Errorf("Clean(%q): expected a percent sign, seen %q", r, got)
		}
	}
}

// Encoded text cannot be confused with text that looks encoded.
func TestNoTwoTextsBecomeTheSame(t *testing.T) {
	t.Parallel()
	from := map[string]string{}
	pieces := []string{"a", " ", "%", "%20", "%25", "%2520", "%0A", "\n", "\u00a0", "%C2%A0", "é", "%C3%A9", "\xff", "%FF", "2", "5", "0"}
	add := func(text string) {
		got := Clean(text)
		if other, ok := from[got]; ok && other != text {
			t.Errorf("%q and %q become %q", text, other, got)
		}
		from[got] = text
		if strings.TrimSpace(got) != got {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	for _, a := range pieces {
		for _, b := range pieces {
			for _, c := range pieces {
				for _, d := range pieces {
					add(a + b + c + d)
				}
			}
		}
	}
}

// A text that was encoded many times is decoded a few times at most. Each decoding allocates
// memory, so that their number shows. The test is not parallel, because allocations of other
// tests would count.
func TestTextsThatWereEncodedManyTimesAreDecodedAFewTimes(t *testing.T) {
	const levels = 1000
	text := "%" + strings.Repeat("25", levels)
	if got, want := Clean(text), "%25"+strings.Repeat("25", levels); got != want {
		t.Errorf("expected %.20q… of %d bytes, seen %.20q… of %d", want, len(want), got, len(got))
	}
	if n := testing.AllocsPerRun(10, func() { Clean(text) }); n > levels/10 {
		t.Errorf("expected %d allocations at most, seen %v", levels/10, n)
	}
}

func TestNative(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]any{
		`"a "`: "a ", `"\u0007"`: "\a", `3`: int64(3), `9007199254740993`: int64(9007199254740993), `1.5`: 1.5, `1e400`: "1e400", `true`: true, `null`: nil,
		`["a", 1, null]`: []any{"a", int64(1), nil}, `{"a": {"b": [2]}, "c ": null}`: map[string]any{"a": map[string]any{"b": []any{int64(2)}}, "c ": nil},
	} {
		value, err := FromJSON(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := value.Native(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: expected %#v, seen %#v", text, want, got)
		}
	}
}

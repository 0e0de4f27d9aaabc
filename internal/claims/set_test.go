package claims

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func encode(t testing.TB, object string) Set {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		t.Fatal(err)
	}
	set, err := Encode(members)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const example = `{
	"name": "Ada \u00e9\n",
	"groups": ["a", "b"],
	"empty": "",
	"": "the nameless one",
	"null": null,
	"address": {"city": "London", "a.b": {"c": 1}, "list": [{"x": 1}]},
	"https://claims.example/role": "admin",
	"a.b": "flat",
	"a": {"b": "deep", "c": "deep"},
	"back\\slash": true
}`

func TestEncodedClaimsAreFound(t *testing.T) {
	t.Parallel()
	set := encode(t, example)
	for _, tc := range []struct{ name, want string }{
		{"name", `"Ada é\n"`},
		{"groups", `["a", "b"]`},
		{"empty", `""`},
		{"", `"the nameless one"`},
		{"null", `null`},
		{"https://claims.example/role", `"admin"`},
		{"a.b", `"flat"`},
	} {
		value, ok := set.Get(tc.name)
		if got := string(value.JSON()); !ok || got != tc.want {
			t.Errorf("Get(%q) = %s, %v; want %s", tc.name, got, ok, tc.want)
		}
	}
	for _, absent := range []string{"Name", "nam", "namee", "address.city", "x"} {
		if value, ok := set.Get(absent); ok {
			t.Errorf("Get(%q) = %s", absent, value.JSON())
		}
	}
}

func TestTheSameClaimsMakeTheSameSet(t *testing.T) {
	t.Parallel()
	first := encode(t, example)
	for range 20 {
		if encode(t, example) != first {
			t.Fatal("the order is not always the same")
		}
	}
	var names []string
	first.Each(func(name string, _ Value) bool {
		names = append(names, name)
		return true
	})
	if !slices.IsSorted(names) {
		t.Errorf("expected sorted names, seen %q", names)
	}
	if len(names) != 10 {
		t.Errorf("expected ten names, seen %q", names)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	set := encode(t, example)
	for _, tc := range []struct {
		name, path, want string // want is JSON; empty for absent
	}{
		{"a claim", "name", `"Ada é\n"`},
		{"a member", "address.city", `"London"`},
		{"an object", "address.a\\.b", `{"c": 1}`},
		{"a member whose name has a dot", `address.a\.b.c`, `1`},
		{"a dot that is not escaped", "address.a.b.c", ""},
		{"a name that is a URL", "https://claims.example/role", `"admin"`},
		{"the same, escaped", `https://claims\.example/role`, `"admin"`},
		{"a whole name comes before a path", "a.b", `"flat"`},
		{"a member beside it", "a.c", `"deep"`},
		{"an escaped dot is never a step", `a\.c`, ""},
		{"a backslash in the whole name", `back\slash`, `true`},
		{"an escaped backslash", `back\\slash`, `true`},
		{"a member of a text", "name.x", ""},
		{"a member of a list", "groups.0", ""},
		{"a member of a list's object", "address.list.x", ""},
		{"a member of null", "null.x", ""},
		{"a member of nothing", "x.y.z", ""},
		{"an absent member", "address.country", ""},
		{"nothing", "", `"the nameless one"`},
		{"a dot", ".", ""},
		{"a dot at the end", "address.", ""},
		{"a backslash at the end", `name\`, ""},
		{"names count with their case", "Address.City", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			value, ok := set.Path(tc.path)
			if ok != (tc.want != "") {
				t.Errorf("Path(%q): expected a value %v, seen %v", tc.path, tc.want != "", ok)
			}
			if ok && string(value.JSON()) != tc.want {
				t.Errorf("Path(%q): expected %s, seen %s", tc.path, tc.want, value.JSON())
			}
		})
	}
}

func TestSplitPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]string{
		"":        {""},
		"a":       {"a"},
		"a.b.c":   {"a", "b", "c"},
		`a\.b.c`:  {"a.b", "c"},
		`a\\.b`:   {`a\`, "b"},
		`a\`:      {`a\`},
		`a\x`:     {"ax"},
		"..":      {"", "", ""},
		`\..é`:    {".", "é"},
		"a:b/c_d": {"a:b/c_d"},
	} {
		if got := SplitPath(path); !slices.Equal(got, want) {
			t.Errorf("SplitPath(%q): expected %q, seen %q", path, want, got)
		}
	}
}

func TestWhatIsNotJSONIsRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", " ", "x", `"`, `"\x"`, "1 2", "{", `{"a":1}}`, "nul", "01", "\u00a01", "NaN"} {
		if _, err := Encode(map[string]json.RawMessage{"c": json.RawMessage(raw)}); !errors.Is(err, ErrNotJSON) {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if set, err := Encode(nil); err != nil || set != "" {
		t.Errorf("nothing: %q, %v", set, err)
	}
}

func TestLongClaims(t *testing.T) {
	t.Parallel()
	for _, size := range []int{126, 127, 128, 129, 16383, 16384, 1 << 20, 1<<21 - 1, 1 << 21} {
		want := strings.Repeat("x", size)
		set, err := Encode(map[string]json.RawMessage{want: json.RawMessage(`"` + want + `"`), "zz": json.RawMessage("1")})
		if err != nil {
			t.Fatal(err)
		}
		value, ok := set.Get(want)
		if !ok {
			t.Errorf("%d bytes: expected them to come back, seen nothing", size)
		}
		if value.Plain() != want {
			t.Errorf("%d bytes: expected them to come back, seen %d others", size, len(value.Plain()))
		}
		if _, ok := set.Get("zz"); !ok {
			t.Errorf("what follows %d bytes is lost", size)
		}
	}
}

func TestLargest(t *testing.T) {
	t.Parallel()
	set := encode(t, `{"a":"1","groups":["x","y"],"photo":"`+strings.Repeat("x", 100)+`"}`)
	if got, want := set.Largest(2), []string{"photo (100 bytes)", "groups (9 bytes)"}; !slices.Equal(got, want) {
		t.Errorf("expected %q, seen %q", want, got)
	}
	if got := set.Largest(9); len(got) != 3 {
		t.Errorf("got %q", got)
	}
	if got := Set("").Largest(3); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// readAll calls every method that reads a set.
func readAll(set Set, path string) {
	set.Each(func(name string, value Value) bool {
		_, _, _, _, _ = value.Text(), value.Plain(), value.JSON(), value.True(), value.Typed()
		_, _ = value.List()
		_, _ = set.Path(name + "." + path)
		return true
	})
	set.Largest(3)
	_, _ = set.Path(path)
}

func TestASetThatWasCutShortReadsAsAShorterOne(t *testing.T) {
	t.Parallel()
	whole := encode(t, example)
	for length := range whole {
		cut := whole[:length]
		readAll(cut, "a.b")
		cut.Each(func(name string, value Value) bool {
			want, ok := whole.Get(name)
			if !ok {
				t.Errorf("cut to %d bytes: expected names of the whole set, seen %q", length, name)
			}
			if want != value {
				t.Errorf("cut to %d bytes: %q: expected %q, seen %q", length, name, want.data, value.data)
			}
			return true
		})
		readAll(whole[length:], "a.b") // and from any position in it
	}
}

func TestMalformedSetsNeverPanic(t *testing.T) {
	t.Parallel()
	for _, set := range []Set{
		"\x00", "\x01", "\x80", "\xff\xff\xff\xff\xff", "\xff\xff\xff\x7f", "\x80\x80\x80\x80\x00x", "\x01a", "\x01as", "\x01as\x05abc", "\x01ax\x01b",
		"\x01aj\x00", "\x01aj\x01{", "\x01aj\x01[", "\x01aj\x02[1", "\x01aj\x04nope", "\x01aj\x03{}]", "\x01aj\x01-", "\x01as\x00\x01as\x00",
	} {
		readAll(set, "a")
		readAll(set, "a.b")
	}
}

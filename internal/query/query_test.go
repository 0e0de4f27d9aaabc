package query

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

type pair struct{ name, value string }

func pairsOf(text string) (all []pair) {
	for name, value := range All(text) {
		all = append(all, pair{name, value})
	}
	return all
}

// All yields every parameter, even of malformed queries.
func TestAll(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		want []pair
	}{
		{"", nil},
		{"&&", nil},
		{"a=1&b=2", []pair{{"a", "1"}, {"b", "2"}}},
		{"a", []pair{{"a", ""}}},
		{"=1", []pair{{"", "1"}}},
		{"a=1=2", []pair{{"a", "1=2"}}},
		{"a=1;b=2&c=3", []pair{{"a", "1;b=2"}, {"c", "3"}}},
		{"a;b=1", []pair{{"a;b", "1"}}},
		{"a=+%20%2B", []pair{{"a", "  +"}}},
		{"a=%", []pair{{"a", "%"}}},
		{"a=%4", []pair{{"a", "%4"}}},
		{"a=100%&b=%zz%41", []pair{{"a", "100%"}, {"b", "%zzA"}}},
		{"a=%%41", []pair{{"a", "%A"}}},
		{"%61=%C3%bc", []pair{{"a", "ü"}}},
		{"a=\xff%ff", []pair{{"a", "\xff\xff"}}},
		{"a=%00%0d%0a", []pair{{"a", "\x00\r\n"}}},
		{"a=1&a=2", []pair{{"a", "1"}, {"a", "2"}}},
	} {
		if got := pairsOf(tc.text); !slices.Equal(got, tc.want) {
			t.Errorf("%q: expected %q, seen %q", tc.text, tc.want, got)
		}
	}
}

func TestOnlySkipsWhatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	got := Only("x=%&state=1;2&y;&state=3&code=%zz&z=%u1234", "state", "code", "iss")
	want := url.Values{"state": {"1;2", "3"}, "code": {"%zz"}}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("expected %q, seen %q", want, got)
	}
}

// FuzzAll checks that All agrees with net/url on valid queries, and that its values can be
// encoded and read again.
func FuzzAll(f *testing.F) {
	for _, text := range []string{
		"", "a=1&b=2", "a=1;b", "%", "a=%zz&b=%", "a+b=c+d", "&&=&", "a=%41%", "state=x&code=y;z&iss=https%3A%2F%2Fa", "\xff=%ff",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := pairsOf(text)
		if values, err := url.ParseQuery(text); err == nil {
			ours := make(url.Values)
			for _, p := range got {
				ours[p.name] = append(ours[p.name], p.value)
			}
			if !maps.EqualFunc(ours, values, slices.Equal) {
				t.Fatalf("%q: got %q, net/url reads %q", text, ours, values)
			}
		}
		var again []string
		for _, p := range got {
			again = append(again, url.QueryEscape(p.name)+"="+url.QueryEscape(p.value))
		}
		if second := pairsOf(strings.Join(again, "&")); !slices.Equal(second, got) {
			t.Fatalf("%q: got %q, and encoded again %q", text, got, second)
		}
	})
}

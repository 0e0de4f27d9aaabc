package cookie

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func isOurs(n string) bool { return strings.HasPrefix(n, name) }

func TestStrip(t *testing.T) {
	t.Parallel()
	const ours = name + "=1abc"
	for _, tc := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"no cookies", nil, nil},
		{"ours alone", []string{ours}, nil},
		{"ours several times", []string{ours + "; " + name + "_1=x", ours + ";" + ours}, nil},
		{"only others, byte for byte", []string{` a=1;b = "2" ;; c;=d; `, ""}, []string{` a=1;b = "2" ;; c;=d; `, ""}},
		{"ours first", []string{ours + "; a=1; b=2"}, []string{"a=1; b=2"}},
		{"ours last", []string{"a=1; b=2; " + ours}, []string{"a=1; b=2"}},
		{"ours between", []string{"a=1; " + ours + "; b=2; " + ours + "; c=3"}, []string{"a=1; b=2; c=3"}},
		{"one other is left", []string{ours + "; a=1"}, []string{"a=1"}},
		{"a line without ours stays byte for byte", []string{"a=1;b=2 ; ", ours}, []string{"a=1;b=2 ; "}},
		{"a line of ours goes", []string{"a=1", ours, "b=2"}, []string{"a=1", "b=2"}},
		{"odd values stay", []string{ours + `; a="1,\"2"; b==; c; d=é` + "\x80; =e; a=1"}, []string{`a="1,\"2"; b==; c; d=é` + "\x80; =e; a=1"}},
		{"duplicates of others stay", []string{"a=1; " + ours + "; a=1; a=2"}, []string{"a=1; a=1; a=2"}},
		{"ours without a value", []string{"a=1; " + name}, []string{"a=1"}},
		{"ours without a value alone", []string{name}, nil},
		{"ours with space before =", []string{"a=1; " + name + " \t= 1abc"}, []string{"a=1"}},
		{"a nameless value that looks like ours", []string{"a=1; =" + ours}, []string{"a=1; =" + ours}},
		{"ours in the value of another", []string{"a=" + ours}, []string{"a=" + ours}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{"Other": {"x"}}
			if tc.lines != nil {
				header["Cookie"] = tc.lines
			}
			before := slices.Clone(tc.lines)
			var room [1]string
			Strip(header, room[:], nil, isOurs)
			if got := header["Cookie"]; !slices.Equal(got, tc.want) {
				t.Errorf("expected %q, seen %q", tc.want, got)
			}
			if _, there := header["Cookie"]; there && tc.want == nil {
				t.Error("an empty header is left")
			}
			if !slices.Equal(tc.lines, before) {
				t.Errorf("the lines that were there became %q", tc.lines)
			}
		})
	}
}

func TestStripASecondTimeWithTheSameRoom(t *testing.T) {
	t.Parallel()
	header := http.Header{"Cookie": {"a=1; " + name + "=1", "b=2; other=3"}}
	var room [1]string
	Strip(header, room[:], nil, isOurs)
	Strip(header, room[:], nil, func(n string) bool { return n == "other" || n == "a" })
	if got, want := header["Cookie"], []string{"b=2"}; !slices.Equal(got, want) {
		t.Errorf("expected %q, seen %q", want, got)
	}
}

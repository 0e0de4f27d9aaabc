package op

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestObjectsAreReadAsTheyWereSent(t *testing.T) {
	t.Parallel()
	o, err := parseObject([]byte(" \n{\"sub\" : \"u\",\"SUB\":\"admin\", \"\\u0061\" : [ 1 ], \"\":null,\"n\":1e2}\t\r\n "))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, raw := range o {
		got[name] = string(raw)
	}
	if want := map[string]string{"sub": `"u"`, "SUB": `"admin"`, "a": "[ 1 ]", "": "null", "n": "1e2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("expected %q, seen %q", want, got)
	}
}

func TestObjectsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text string }{
		{"nothing", ""},
		{"space", " \n"},
		{"null", "null"},
		{"a list", "[]"},
		{"a text", `"{}"`},
		{"a byte order mark", "\ufeff{}"},
		{"cut after the brace", "{"},
		{"cut in a name", `{"a`},
		{"cut after a name", `{"a"`},
		{"cut after the colon", `{"a":`},
		{"cut in a value", `{"a":"b`},
		{"cut after a value", `{"a":"b"`},
		{"cut after a comma", `{"a":"b",`},
		{"a comma at the end", `{"a":1,}`},
		{"a comma at the beginning", `{,"a":1}`},
		{"no comma", `{"a":1 "b":2}`},
		{"no colon", `{"a" 1}`},
		{"a name that is none", `{a:1}`},
		{"a name that is a number", `{1:1}`},
		{"a name that is an object", `{{}:1}`},
		{"a value that is none", `{"a":b}`},
		{"the wrong end", `{"a":1]`},
		{"the same name twice", `{"a":1,"a":1}`},
		{"the same name twice, once escaped", `{"a":1,"\u0061":2}`},
		{"a second object", `{}{}`},
		{"a text after its end", `{"a":1} x`},
		{"a comma after its end", `{},`},
		{"NUL after its end", "{}\x00"},
		{"a list after its end", "{}[]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if o, err := parseObject([]byte(tc.text)); err == nil {
				t.Errorf("%q is read as %q", tc.text, o)
			}
		})
	}
}

func TestErrorsOfObjectsAreShort(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("n", 10_000)
	_, err := parseObject([]byte(`{"` + name + `":1,"` + name + `":1}`))
	if err == nil {
		t.Fatal("a long name twice: expected an error, seen none")
	}
	if len(err.Error()) > 200 {
		t.Errorf("a long name twice: expected an error of 200 bytes at most, seen %d", len(err.Error()))
	}
}

func TestTextsOfObjects(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		raw  string
		want string
		ok   bool
	}{
		{`"x"`, "x", true}, {`""`, "", true}, {`null`, "", true}, {`"\u00e9"`, "é", true},
		{`1`, "", false}, {`true`, "", false}, {`["x"]`, "", false}, {`{}`, "", false},
	} {
		o, err := parseObject([]byte(`{"m": ` + tc.raw + ` }`))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := o.text("m"); got != tc.want || (err == nil) != tc.ok {
			t.Errorf("text of %s = %q, %v", tc.raw, got, err)
		}
		got, err := o.text("M")
		if err != nil {
			t.Errorf("another case of the name: %v", err)
		}
		if got != "" {
			t.Errorf("another case of the name: expected no text, seen %q", got)
		}
		if o.has("M") {
			t.Error("another case of the name: expected it to be absent, seen that it is there")
		}
	}
}

func TestListsOfObjects(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		raw    string
		single bool
		want   []string
		ok     bool
	}{
		{`["a","b"]`, false, []string{"a", "b"}, true},
		{`["a","b"]`, true, []string{"a", "b"}, true},
		{`[]`, false, []string{}, true},
		{`null`, false, nil, true},
		{`"a"`, true, []string{"a"}, true},
		{`"a"`, false, nil, false},
		{`[1]`, false, nil, false},
		{`["a",null]`, false, nil, false},
		{`[["a"]]`, true, nil, false},
		{`{}`, true, nil, false},
		{`1`, true, nil, false},
	} {
		o := object{"m": []byte(tc.raw)}
		got, err := o.texts("m", tc.single)
		if (err == nil) != tc.ok {
			t.Errorf("texts of %s (single %v): expected success %t, seen the error %v", tc.raw, tc.single, tc.ok, err)
		}
		if tc.ok && !reflect.DeepEqual(got, tc.want) {
			t.Errorf("texts of %s (single %v): expected %#v, seen %#v", tc.raw, tc.single, tc.want, got)
		}
	}
}

func TestMomentsOfObjects(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		raw  string
		want time.Time
		ok   bool
		bad  bool
	}{
		{`1790000000`, time.Unix(1790000000, 0), true, false},
		{`1.79e9`, time.Unix(1790000000, 0), true, false},
		{`1790000000.5`, time.Unix(1790000000, 5e8), true, false},
		{`0`, time.Unix(0, 0), true, false},
		{`-1.5`, time.Unix(-2, 5e8), true, false},
		{`null`, time.Time{}, false, false},
		{`"1790000000"`, time.Time{}, false, true},
		{`1e300`, time.Time{}, false, true},
		{`1e999`, time.Time{}, false, true},
		{`-1e17`, time.Time{}, false, true},
		{`true`, time.Time{}, false, true},
		{`[]`, time.Time{}, false, true},
	} {
		got, ok, err := object{"m": []byte(tc.raw)}.moment("m")
		if !got.Equal(tc.want) {
			t.Errorf("moment of %s: expected %v, seen %v", tc.raw, tc.want, got)
		}
		if ok != tc.ok {
			t.Errorf("moment of %s: expected known %t, seen %t", tc.raw, tc.ok, ok)
		}
		if (err != nil) != tc.bad {
			t.Errorf("moment of %s: expected an error %t, seen %v", tc.raw, tc.bad, err)
		}
	}
}

func TestABracketAfterTheEndIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{}}", "{}]", "{}]garbage", `{"a":1} } x`, `{"a":1}],"b":`} {
		if o, err := parseObject([]byte(text)); err == nil {
			t.Errorf("%q is read as %q", text, o)
		}
	}
}

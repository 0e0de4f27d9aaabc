package claims

import (
	"encoding/json"
	"strings"
	"testing"
)

// shapes has a claim as JSON, whether it is set, and the texts that it equals. Every
// text is compared with all rows.
const shapes = `
"admin"                      set    admin
"Admin"                      set    Admin
"ADMIN"                      set    ADMIN
"admin "                     set    admin_
" admin"                     set    _admin
"admins"                     set    admins
"аdmin"                      set    аdmin
"ａdmin"                      set    ａdmin
"admi\u006e"                 set    admin
"admin\u0000"                set    -
"admin\u200b"                set    -
"ad,min"                     set    ad,min
"admin,staff"                set    admin,staff
""                           unset  -
" "                          set    _
"0"                          unset  0
"00"                         set    00
"0.0"                        set    0.0
"false"                      unset  false
"False"                      set    False
"FALSE"                      set    FALSE
"true"                       set    true
"True"                       set    True
"null"                       set    null
"1"                          set    1
"01"                         set    01
"1.0"                        set    1.0
"1e0"                        set    1e0
"[]"                         set    []
"{}"                         set    {}
"[\"admin\"]"                set    ["admin"]
true                         set    true
false                        unset  false
null                         unset  -
0                            unset  0 0.0 0e5 -0
-0                           unset  0 0.0 0e5 -0
0.0                          unset  0 0.0 0e5 -0
0e5                          unset  0 0.0 0e5 -0
0e999999999999               unset  0 0.0 0e5 -0
1                            set    1 1.0 1e0 10e-1
1.0                          set    1 1.0 1e0 10e-1
1e0                          set    1 1.0 1e0 10e-1
1E0                          set    1 1.0 1e0 10e-1
1E+0                         set    1 1.0 1e0 10e-1
10e-1                        set    1 1.0 1e0 10e-1
0.1e1                        set    1 1.0 1e0 10e-1
100e-2                       set    1 1.0 1e0 10e-1
-1                           set    -1
1.5                          set    1.5
1.50                         set    1.5
15e-1                        set    1.5
42                           set    42
42.0                         set    42
4.2e1                        set    42
420e-1                       set    42
1e3                          set    1000
1000                         set    1000
9007199254740992             set    9007199254740992
9007199254740993             set    9007199254740993
9007199254740993.0           set    9007199254740993
-9007199254740993            set    -9007199254740993
18446744073709551616         set    18446744073709551616
18446744073709551617         set    18446744073709551617
0.1                          set    0.1
0.10000000000000001          set    0.10000000000000001
1e400                        set    1e400
10e399                       set    1e400
1e-400                       set    1e-400
1e99999999999                set    -
[]                           unset  -
[""]                         unset  -
[null]                       unset  -
[false,0,"","0","false",[]]  unset  false 0 0.0 0e5 -0
[[]]                         unset  -
[[""]]                       unset  -
[{}]                         unset  -
["admin"]                    set    admin
["staff","admin"]            set    staff admin
["staff","staff"]            set    staff
["admin",null]               set    admin
[null,"admin"]               set    admin
["",  "admin"]               set    admin
["admin",["staff"]]          set    admin
["admin",{"name":"staff"}]   set    admin
[["admin"]]                  set    -
[["admin"],["staff"]]        set    -
[{"name":"admin"}]           set    -
[1,2]                        set    1 1.0 1e0 10e-1 2
[1.0]                        set    1 1.0 1e0 10e-1
["1"]                        set    1
[true]                       set    true
[false]                      unset  false
[false,true]                 set    false true
[0]                          unset  0 0.0 0e5 -0
[0,1]                        set    0 0.0 0e5 -0 1 1.0 1e0 10e-1
["0","1"]                    set    0 1
["false","a"]                set    false a
{}                           unset  -
{"admin":true}               set    -
{"admin":false}              set    -
{"name":"admin"}             set    -
{"a":"admin","a":"staff"}    set    -
{"0":"admin"}                set    -
{"":""}                      set    -
`

func TestOddShapesOfClaims(t *testing.T) {
	t.Parallel()
	type row struct {
		claim  Value
		isSet  bool
		equals map[string]bool
	}
	var rows []row
	texts := make(map[string]bool)
	for line := range strings.Lines(strings.TrimSpace(shapes)) {
		// Two spaces end a claim. In a text, _ stands for a space.
		raw, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), "  ")
		if strings.HasPrefix(raw, `["",`) {
			raw, rest = `["",  "admin"]`, strings.TrimPrefix(rest, `"admin"]`)
		}
		fields := strings.Fields(rest)
		value, err := FromJSON(json.RawMessage(raw))
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		r := row{value, fields[0] == "set", make(map[string]bool)}
		for _, text := range fields[1:] {
			if text != "-" {
				text = strings.ReplaceAll(text, "_", " ")
				r.equals[text], texts[text] = true, true
			}
		}
		rows = append(rows, r)
	}
	if len(rows) < 100 {
		t.Errorf("expected at least 100 shapes, seen %d", len(rows))
	}
	for _, r := range rows {
		if got := r.claim.IsSet(); got != r.isSet {
			t.Errorf("%s: expected set %v, seen %v", r.claim.JSON(), r.isSet, got)
		}
		for text := range texts {
			if got := r.claim.Matches([]Operand{NewOperand(text)}); got != r.equals[text] {
				t.Errorf("%s equals %q: expected %v, seen %v", r.claim.JSON(), text, r.equals[text], got)
			}
		}
	}
}

func TestOneOfSeveralOperandsIsEnough(t *testing.T) {
	t.Parallel()
	operands := []Operand{NewOperand("a"), NewOperand("2"), NewOperand("true")}
	for raw, want := range map[string]bool{`"a"`: true, `"b"`: false, `2`: true, `2.0`: true, `"2"`: true, `3`: false, `true`: true, `["b", "c"]`: false, `["b", 2]`: true} {
		value, err := FromJSON(json.RawMessage(raw))
		if err != nil {
			t.Fatal(err)
		}
		if got := value.Matches(operands); got != want {
			t.Errorf("%s: expected %v, seen %v", raw, want, got)
		}
	}
}

func FuzzMatches(f *testing.F) {
	for _, raw := range []string{`"admin"`, `1`, `1.0`, `-0`, `1e400`, `[1, "1", true]`, `[[1]]`, `{"a": 1}`, `null`, `0.10`, `1e-2147483648`, `12345678901234567890`} {
		f.Add(raw, "1")
	}
	f.Fuzz(func(t *testing.T, raw, text string) {
		value, err := FromJSON(json.RawMessage(raw))
		if err != nil {
			return
		}
		matches := value.Matches([]Operand{NewOperand(text)})
		if value.kind == kindString {
			if want := value.data == text; matches != want {
				t.Errorf("the string %s equals %q: expected %v, seen %v", raw, text, want, matches)
			}
		}
		// A number equals itself in any notation.
		if number := value.number(); number != "" {
			if !value.Matches([]Operand{NewOperand(value.data)}) {
				t.Errorf("expected %s to equal itself, seen that it does not", raw)
			}
			if (number != "0") != value.IsSet() {
				t.Errorf("%s: expected set %v, seen %v", raw, number != "0", value.IsSet())
			}
		}
		if matches && value.kind == kindJSON && strings.HasPrefix(value.data, "{") {
			t.Errorf("expected the object %s to equal nothing, seen that it equals %q", raw, text)
		}
	})
}

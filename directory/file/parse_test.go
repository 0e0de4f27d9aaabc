package file

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestFilesAreParsed(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, text, users string
		bad               []string
	}{
		{"names, one a line", `alice
bob
`, "alice|bob", nil},
		{"no line end at the end", `alice
bob`, "alice|bob", nil},
		{"an empty file", "", "", nil},
		{"comments and blank lines", "# staff\n\nalice\n   \n  # bob\n", "alice", nil},
		{"a byte order mark, and line ends of Windows", "\ufeffalice\r\nbob\r\n", "alice|bob", nil},
		{"doubled lines", `alice
alice
`, "alice", nil},
		{"spaces around names and in them", "  alice \nJane Doe\t\n", "Jane Doe|alice", nil},
		{"commas and quotation marks are part of a name", `Doe, Jane
"bob"
`, "\"bob\"|Doe, Jane", nil},
		{"a control character", "al\x00ice\nbob\n", "bob", []string{"1: the name has control characters"}},
		{"no UTF-8", "bob\nal\xffice\n", "bob", []string{"2: the name is not UTF-8"}},

		{"a table", `userName
alice
bob
`, "alice|bob", nil},
		{"a table with a byte order mark, comments and line ends of Windows", "\ufeff# staff\r\nuserName,active\r\nalice,true\r\n", "alice", nil},
		{"users who are not active", `userName,active
alice,true
bob,false
carol,False
dave,TRUE
`, "alice|dave", nil},
		{"active is empty or absent", `userName,active
alice,
bob
`, "alice|bob", nil},
		{"active is something else", `userName,active
alice,yes
bob,true
`, "bob", []string{"2: active is neither true nor false"}},
		{"a user who is active and is not", `userName,active
alice,true
alice,false
bob,false
bob,true
`, "", nil},
		{"other columns", `id,displayName,Active,UserName,mail
1,"Doe, Jane",true,jane,j@a.example
2,Bob,false,bob,
`, "jane", nil},
		{"a column of another spelling alone is a name", `username
alice
`, "alice|username", nil},
		{"spaces and empty records", `userName , active
 alice , true
,

`, "alice", nil},
		{"quoted fields", `userName,active
"Doe, Jane","true"
"quo""te",true
`, "Doe, Jane|quo\"te", nil},
		{"a name is missing", `userName,active
,true
bob,true
`, "bob", []string{"2: the name is missing"}},
		{"a name on two lines", `userName,active
"a
b",true
bob,true
`, "bob", []string{"2: the name has control characters"}},
		{"lines in another column name no one", `userName,note
alice,"first
mallory,true
"
bob,x
`, "alice|bob", nil},
		{"a quotation mark too many", `userName,active
al"ice,true
bob,true
`, "bob", []string{"2: bare \" in non-quoted-field"}},
		{"a quotation mark that is never closed", `userName,active
alice,true
"bob,true
carol,true
`, "alice|carol", []string{"3: extraneous or missing \" in quoted-field"}},
		{"two broken lines", `userName,active
"a"b,true
"c"d,true
bob,true
`, "bob", []string{"2: extraneous or missing \" in quoted-field", "3: extraneous or missing \" in quoted-field"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			found, bad := parse(row.text)
			if names := strings.Join(slices.Sorted(maps.Keys(found)), "|"); names != row.users {
				t.Errorf("expected the users %q, seen %q", row.users, names)
			}
			var lines []string
			for _, line := range bad {
				lines = append(lines, fmt.Sprintf("%d: %s", line.number, line.reason))
			}
			if !slices.Equal(lines, row.bad) {
				t.Errorf("expected the bad lines %q, seen %q", row.bad, lines)
			}
		})
	}
}

// FuzzParse checks that each name is valid and occurs in the file, and that the numbers
// of bad lines exist.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"alice\nbob\n", "# x\n\ufeffalice", "userName,active\nalice,true\n\"b\"\"ob\",False\n", "userName,note\nalice,\"a\nb\"\nbob,\"\n", "id;userName\n1;alice", "a\x00\n\xff\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, bad := parse(text)
		unquoted := strings.ReplaceAll(text, `"`, "")
		for name := range found {
			if name == "" {
				t.Error("expected names only, seen an empty one")
			}
			if trimmed := strings.TrimSpace(name); name != trimmed {
				t.Errorf("expected the name %q without spaces around it, seen %q", trimmed, name)
			}
			if strings.ContainsFunc(name, unicode.IsControl) {
				t.Errorf("expected names without control characters, seen %q", name)
			}
			if !strings.Contains(unquoted, strings.ReplaceAll(name, `"`, "")) {
				t.Errorf("the name %q does not stand in the file", name)
			}
		}
		lines := strings.Count(text, "\n") + 1
		for _, line := range bad {
			if line.number < 1 || line.number > lines {
				t.Errorf("there is no line %d of %d", line.number, lines)
			}
		}
	})
}

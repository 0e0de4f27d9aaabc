package accesskey

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	oneHash   = "0011223344556677889900112233445566778899001122334455667788990011"
	otherHash = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
)

func TestLines(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string]Line{
		"ci:" + oneHash:                                    {Name: "ci"},
		"ci:" + strings.ToUpper(oneHash):                   {Name: "ci"},
		"  ci:" + oneHash + "\t\r":                         {Name: "ci"},
		"\ufeffci:" + oneHash:                              {Name: "ci"},
		"ci:" + oneHash + ":":                              {Name: "ci"},
		"ci:" + oneHash + ":deploy":                        {Name: "ci", Groups: []string{"deploy"}},
		"ci:" + oneHash + ":deploy, a b ,/x%2Fy":           {Name: "ci", Groups: []string{"deploy", "a b", "/x%2Fy"}},
		"ci:" + oneHash + ":Zoë#1":                         {Name: "ci", Groups: []string{"Zoë#1"}},
		"ci:" + oneHash + "::2030-01-31T12:00:00Z":         {Name: "ci", Expires: time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)},
		"ci:" + oneHash + ":a,b:2030-01-31T12:00:00+02:00": {Name: "ci", Groups: []string{"a", "b"}, Expires: time.Date(2030, 1, 31, 10, 0, 0, 0, time.UTC)},
		"-._x:" + oneHash:                                  {Name: "-._x"},
		strings.Repeat("x", maxName) + ":" + oneHash + ":a:1970-01-01T00:00:01Z": {Name: strings.Repeat("x", maxName), Groups: []string{"a"}, Expires: time.Unix(1, 0)},
	} {
		lines, bad := Parse(text)
		if len(lines) != 1 {
			t.Errorf("%q: expected one key, seen %d; bad: %v", text, len(lines), bad)
			continue
		}
		seen := lines[0]
		if fmt.Sprintf("%x", seen.Hash) != oneHash {
			t.Errorf("%q: expected another hash than %x", text, seen.Hash)
		}
		if seen.Name != expected.Name {
			t.Errorf("%q: expected the name %q, seen %q", text, expected.Name, seen.Name)
		}
		if !slices.Equal(seen.Groups, expected.Groups) {
			t.Errorf("%q: expected the groups %q, seen %q", text, expected.Groups, seen.Groups)
		}
		if !seen.Expires.Equal(expected.Expires) {
			t.Errorf("%q: expected the time %v, seen %v", text, expected.Expires, seen.Expires)
		}
	}
}

// A bad line counts as absent. No part of it counts.
func TestBadLines(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"ci", "ci:", ":" + oneHash, "ci" + oneHash, "ci " + oneHash, "ci:" + oneHash[1:], "ci:" + oneHash + "0", "ci:" + oneHash[2:], "ci:" + oneHash + "00",
		"ci:0x" + oneHash[2:], "ci:" + oneHash[1:] + "g", "ci: " + oneHash, "ci :" + oneHash, "c i:" + oneHash, "c/i:" + oneHash, "ci\x00:" + oneHash, "cí:" + oneHash,
		strings.Repeat("x", maxName+1) + ":" + oneHash,
		"ci:" + oneHash + ":a,,b", "ci:" + oneHash + ":,", "ci:" + oneHash + ":a,", "ci:" + oneHash + ":a,a", "ci:" + oneHash + ":a\x00b", "ci:" + oneHash + ":\xff", "ci:" + oneHash + ":a\tb",
		"ci:" + oneHash + ":a:", "ci:" + oneHash + "::", "ci:" + oneHash + ":a:2030-01-31", "ci:" + oneHash + ":a:2030-01-31T12:00:00", "ci:" + oneHash + ":a:2030-13-31T12:00:00Z",
		"ci:" + oneHash + ":a:2030-02-30T12:00:00Z", "ci:" + oneHash + ":a:never", "ci:" + oneHash + ":a:0001-01-01T00:00:00Z", "ci:" + oneHash + ":a:1970-01-01T00:00:00Z", "ci:" + oneHash + ":a: 2030-01-31T12:00:00Z", "ci:" + oneHash + ":a:2030-01-31T12:00:00Z:x", "ci:" + oneHash + ":a:1893412800",
		"ci:" + oneHash + ":a:b:2030-01-31T12:00:00Z", "ci:" + oneHash + ":2030-01-31T12:00:00Z", "ci:" + oneHash + ":a:2030-01-31T12:00:00Z # for a while",
		"ci:" + oneHash + ":" + strings.Repeat("x", maxLine), "ci:" + oneHash + ":" + manyGroups(maxGroups+1),
		"ci:$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "ci:hunter2", "orp_ci_secret", "\"ci\":" + oneHash, "ci\u2028:" + oneHash, "ci:" + oneHash + ":a\u0085b",
	} {
		lines, bad := Parse("first:" + otherHash + "\n" + text + "\n")
		if len(lines) != 1 || lines[0].Name != "first" {
			t.Errorf("%q: expected the line before alone, seen %v", text, lines)
		}
		if len(bad) != 1 {
			t.Errorf("%q: expected one bad line, seen %v", text, bad)
			continue
		}
		if bad[0].Number != 2 {
			t.Errorf("%q: expected line 2, seen %d", text, bad[0].Number)
		}
		if strings.Contains(bad[0].Reason, oneHash) {
			t.Errorf("%q: expected a reason that repeats nothing, seen %q", text, bad[0].Reason)
		}
	}
}

func manyGroups(count int) string {
	var groups []string
	for i := range count {
		groups = append(groups, fmt.Sprintf("g%d", i))
	}
	return strings.Join(groups, ",")
}

func TestNumbersOfLines(t *testing.T) {
	t.Parallel()
	lines, bad := Parse("# keys\r\n\r\na:" + oneHash + "\r\n   # more\nnonsense\nb:" + oneHash + ":admins\nb:" + otherHash + "\n#a:" + otherHash + "\na:" + otherHash)
	if seen := fmt.Sprint(numbers(lines)); seen != "[3 a 7 b]" {
		t.Errorf("expected the keys of the lines 3 and 7, seen %s", seen)
	}
	if len(bad) != 3 {
		t.Fatalf("expected three bad lines, seen %v", bad)
	}
	for i, expected := range []int{5, 6, 9} {
		if bad[i].Number != expected {
			t.Errorf("expected a bad line %d, seen %d", expected, bad[i].Number)
		}
	}
	if expected := "the same key is on line 3"; bad[1].Reason != expected {
		t.Errorf("expected %q, seen %q", expected, bad[1].Reason)
	}
}

func numbers(lines []Line) (seen []any) {
	for _, line := range lines {
		seen = append(seen, line.Number, line.Name)
	}
	return seen
}

// A key is valid until the time in its line.
func TestExpiryAtItsBorder(t *testing.T) {
	t.Parallel()
	end := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		name    string
		line    Line
		now     time.Time
		expired bool
	}{
		{"no end", Line{}, end.AddDate(1000, 0, 0), false},
		{"before", Line{Expires: end}, end.Add(-time.Nanosecond), false},
		{"at", Line{Expires: end}, end, true},
		{"after", Line{Expires: end}, end.Add(time.Nanosecond), true},
	} {
		if seen := row.line.IsExpired(row.now); seen != row.expired {
			t.Errorf("%s: expected %t, seen %t", row.name, row.expired, seen)
		}
	}
}

// A written line is read back as the same, and no text crashes the parser.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "ci:" + oneHash, "ci:" + oneHash + ":a,b:2030-01-31T12:00:00Z\r\n#x\nb:" + otherHash + "::2030-01-31T12:00:00.5+14:00", "\ufeff::::\n:\n", "a:" + oneHash + ":\xff",
		"a:" + oneHash + ":a:9999-12-31T23:59:60Z",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines, bad := Parse(text)
		if count := strings.Count(text, "\n") + 1; len(lines)+len(bad) > count {
			t.Errorf("expected at most %d lines, seen %d", count, len(lines)+len(bad))
		}
		for _, line := range lines {
			if CheckName(line.Name) != nil {
				t.Errorf("expected a name, seen %q", line.Name)
			}
			again, bad := Parse(line.String())
			if len(again) != 1 {
				t.Fatalf("%q: expected the line again, seen %v", line.String(), bad)
			}
			if again[0].Name != line.Name || again[0].Hash != line.Hash || !slices.Equal(again[0].Groups, line.Groups) {
				t.Errorf("%q: expected the same line, seen %q", line.String(), again[0].String())
			}
			if !again[0].Expires.Equal(line.Expires.Truncate(time.Second)) {
				t.Errorf("%q: expected the time %v, seen %v", text, line.Expires, again[0].Expires)
			}
		}
	})
}

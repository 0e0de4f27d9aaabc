package main

import (
	"encoding/json"
	"os"
	"testing"
)

func TestBetween(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"before\n" + beginMark + endMark + "after\n", "before\n" + beginMark + "new\n" + endMark + "after\n"},
		"old tables":    {"before\n" + beginMark + "old\n" + endMark + "after\n", "before\n" + beginMark + "new\n" + endMark + "after\n"},
		"no marks":      {"before\nafter\n", ""},
		"no end":        {"before\n" + beginMark + "after\n", ""},
		"the wrong way": {"before\n" + endMark + beginMark + "after\n", ""},
	} {
		got, err := between(c.text, "new\n")
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q %v, want %q", name, got, err, c.want)
		}
	}
}

func TestTheDocumentHasTheMarks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := between(string(text), ""); err != nil {
		t.Error(err)
	}
}

func TestNanos(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{7.6: "8 ns", 999: "999 ns", 3468: "3.47 µs", 13799: "13.8 µs", 250690: "250.7 µs", 1.5e6: "1.50 ms"} {
		if got := nanos(value); got != want {
			t.Errorf("%v: %s, want %s", value, got, want)
		}
	}
}

func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	all := parseBenchmarks("goos: linux\n" +
		"BenchmarkLogin   \t    2150\t    310000 ns/op\t    250690 cpu-ns/op\t   75174 B/op\t     863 allocs/op\n" +
		"BenchmarkRequest/next_handler_alone         \t   20000\t         3.100 ns/op\t         2.030 cpu-ns/op\t       0 B/op\t       0 allocs/op\n" +
		"BenchmarkRequest/one_user,_1_KiB            \t   20000\t      9000 ns/op\t      3468 cpu-ns/op\t    2280 B/op\t       5 allocs/op\n" +
		"BenchmarkRequest/one_user,_1_KiB            \t   20000\t      9000 ns/op\t      3000 cpu-ns/op\t    2280 B/op\t       5 allocs/op\nPASS\n")
	if len(all) != 3 || all[alone] == nil || all[alone].nanos[0] != 2.03 {
		t.Fatalf("%v", all)
	}
	if f := all["Request/one_user,_1_KiB"]; f == nil || len(f.nanos) != 2 || f.nanos[1] != 3000 || f.bytes[0] != 2280 || f.allocs[0] != 5 {
		t.Errorf("%v", f)
	}
}

// The names of the cases promise these users.
func TestRecordedClaims(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ claims, groups int }{"usual.json": {15, 10}, "large.json": {66, 40}} {
		text, err := recorded.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := json.Unmarshal(text, &claims); err != nil {
			t.Fatal(err)
		}
		groups, _ := claims["groups"].([]any)
		if len(claims) != want.claims || len(groups) != want.groups {
			t.Errorf("%s has %d claims and %d groups", name, len(claims), len(groups))
		}
	}
}

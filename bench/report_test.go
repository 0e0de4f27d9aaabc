package main

import (
	"encoding/json"
	"os"
	"slices"
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
		if (err != nil) != (c.want == "") {
			t.Errorf("%s: expected an error %t, seen %v", name, c.want == "", err)
		}
		if got != c.want {
			t.Errorf("%s: expected %q, seen %q", name, c.want, got)
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
			t.Errorf("%v: expected %s, seen %s", value, want, got)
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
	if len(all) != 3 {
		t.Fatalf("expected three benchmarks, seen %v", all)
	}
	if all[alone] == nil {
		t.Fatalf("expected the benchmark %s, seen %v", alone, all)
	}
	if got := all[alone].nanos[0]; got != 2.03 {
		t.Errorf("%s: expected 2.03 ns, seen %v", alone, got)
	}
	f := all["Request/one_user,_1_KiB"]
	if f == nil {
		t.Fatalf("expected the benchmark of one user, seen %v", all)
	}
	if want := []float64{3468, 3000}; !slices.Equal(f.nanos, want) {
		t.Errorf("one user: expected %v ns, seen %v", want, f.nanos)
	}
	if f.bytes[0] != 2280 {
		t.Errorf("one user: expected 2280 bytes, seen %v", f.bytes[0])
	}
	if f.allocs[0] != 5 {
		t.Errorf("one user: expected five allocations, seen %v", f.allocs[0])
	}
}

// The recorded claims have as many values as the names of the cases say.
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
		if len(claims) != want.claims {
			t.Errorf("%s: expected %d claims, seen %d", name, want.claims, len(claims))
		}
		if len(groups) != want.groups {
			t.Errorf("%s: expected %d groups, seen %d", name, want.groups, len(groups))
		}
	}
}

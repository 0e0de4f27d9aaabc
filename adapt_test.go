package oidcrp

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var update = flag.Bool("update", false, "write what the adapter says into testdata/adapt; review it")

const goldenSeparator = "\n----------\n"

// golden is one file of testdata/adapt: a Caddyfile, a line of dashes, and
// either the JSON that it becomes or what the error contains.
type golden struct {
	name, path, caddyfile, expected string
}

func (g golden) refused() bool { return !strings.HasPrefix(g.expected, "{") }

func goldens(t *testing.T) (all []golden) {
	t.Helper()
	paths, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(paths) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), "\r\n", "\n")
		input, expected, found := strings.Cut(text, goldenSeparator)
		if !found {
			t.Fatalf("%s has no line of dashes", path)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".caddyfiletest")
		all = append(all, golden{name, path, input + "\n", strings.TrimSpace(expected)})
	}
	return all
}

func TestAdapt(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			if *update {
				g.write(t)
				return
			}
			if formatted := caddyfile.Format([]byte(g.caddyfile)); string(formatted) != g.caddyfile {
				t.Errorf("not as caddy fmt writes it:\n%s", formatted)
			}
			got, err := adapted(g.caddyfile)
			switch {
			case err != nil && !g.refused():
				t.Fatalf("refused: %v", err)
			case err == nil && g.refused():
				t.Fatalf("adapted to\n%s", got)
			case err != nil:
				g.checkError(t, err)
			case got != g.expected:
				t.Errorf("got\n%s\nwant\n%s", got, g.expected)
			}
			if again, errAgain := adapted(g.caddyfile); again != got || fmt.Sprint(errAgain) != fmt.Sprint(err) {
				t.Errorf("and then it became %q, %v", again, errAgain)
			}
		})
	}
}

var filePlace = regexp.MustCompile(`Caddyfile:\d+\b`)

// checkError wants every line of the expectation in the error. One of them
// must name the place.
func (g golden) checkError(t *testing.T, err error) {
	t.Helper()
	if !filePlace.MatchString(g.expected) {
		t.Errorf("the expectation names no line: %q", g.expected)
	}
	for line := range strings.SplitSeq(g.expected, "\n") {
		if !strings.Contains(err.Error()+"\n", line+"\n") && !strings.Contains(err.Error(), line) {
			t.Errorf("got %q\nwant %q", err, line)
		}
	}
}

func (g golden) write(t *testing.T) {
	input := string(caddyfile.Format([]byte(g.caddyfile)))
	got, err := adapted(input)
	if err != nil {
		got = err.Error()
	}
	if err := os.WriteFile(g.path, []byte(strings.TrimSuffix(input, "\n")+goldenSeparator+got+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// adapted is what a Caddyfile becomes, tab-indented.
func adapted(text string) (string, error) {
	config, err := adapt(text)
	if err != nil {
		return "", err
	}
	var indented bytes.Buffer
	err = json.Indent(&indented, config, "", "\t")
	return indented.String(), err
}

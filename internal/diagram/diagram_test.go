package diagram

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "draw docs/images")

// Each text in docs/diagrams has an up-to-date drawing of the same name in docs/images.
func TestTheDrawingsAreUpToDate(t *testing.T) {
	t.Parallel()
	texts, err := filepath.Glob("../../docs/diagrams/*.txt")
	if err != nil || len(texts) == 0 {
		t.Fatalf("expected diagrams, seen %v, %v", texts, err)
	}
	for _, name := range texts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		drawing := filepath.Join("../../docs/images", strings.TrimSuffix(filepath.Base(name), ".txt")+".svg")
		if *update {
			if err := os.WriteFile(drawing, []byte(d.SVG()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		seen, err := os.ReadFile(drawing)
		if err != nil {
			t.Fatal(err)
		}
		if string(seen) != d.SVG() {
			t.Errorf("%s is out of date: run go test ./internal/diagram -update, and look at it", drawing)
		}
	}
}

func TestADrawingIsXML(t *testing.T) {
	t.Parallel()
	d, err := Parse("title A <b> & c\nlanes A | B\npart One\nA -> B: says \"<\" & more")
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(d.SVG()))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTextsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no message":          "title A\nlanes A | B",
		"an unknown lane":     "title A\nlanes A | B\nA -> C: x",
		"a message to itself": "title A\nlanes A | B\nA -> A: x",
		"no text":             "title A\nlanes A | B\nA -> B",
	} {
		if d, err := Parse(text); err == nil {
			t.Errorf("%s: expected an error, seen %+v", name, d)
		}
	}
}

func TestLinesBreakBetweenWords(t *testing.T) {
	t.Parallel()
	if seen := strings.Join(wrap("one two three four", 9), "|"); seen != "one two|three|four" {
		t.Errorf("expected one two|three|four, seen %s", seen)
	}
}

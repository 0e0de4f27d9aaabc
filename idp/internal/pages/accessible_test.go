package pages

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// elements returns all elements of a page, and those with an id by their id.
func elements(t *testing.T, body string) (all []*html.Node, byID map[string]*html.Node) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	byID = make(map[string]*html.Node)
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		all = append(all, n)
		if id := attribute(n, "id"); id != "" {
			if byID[id] != nil {
				t.Errorf("expected one element with the id %q, seen two", id)
			}
			byID[id] = n
		}
	}
	return all, byID
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func textOf(n *html.Node) string {
	var text strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			text.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(text.String())
}

// Pages satisfy the rules of WCAG 2.2 that depend only on the markup: 1.3.1, 1.3.5, 2.4.2,
// 2.4.6, 3.1.1, 3.3.1, 3.3.2, 4.1.2.
func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	p := read(t, Options{Contact: "the service desk"})
	for _, page := range Samples() {
		t.Run(page.Template(), func(t *testing.T) {
			all, byID := elements(t, show(t, p, "en", page).Body.String())
			labels, headings, focused := make(map[string]bool), 0, 0
			for _, n := range all {
				switch n.Data {
				case "label":
					labels[attribute(n, "for")] = true
				case "h1":
					headings++
				case "title", "button":
					if textOf(n) == "" {
						t.Errorf("expected a text of <%s>, seen none", n.Data)
					}
				}
				if has(n, "autofocus") {
					focused++
				}
			}
			if headings != 1 || focused > 1 {
				t.Errorf("expected one headline and at most one focus, seen %d and %d", headings, focused)
			}
			for _, n := range all {
				checkField(t, n, labels)
				checkReferences(t, n, byID)
			}
		})
	}
}

func checkField(t *testing.T, n *html.Node, labels map[string]bool) {
	t.Helper()
	if n.Data != "input" || attribute(n, "type") == "hidden" || attribute(n, "aria-hidden") == "true" {
		return
	}
	id := attribute(n, "id")
	if !labels[id] {
		t.Errorf("expected a label of the field %q, seen none", id)
	}
	if attribute(n, "type") != "checkbox" && attribute(n, "autocomplete") == "" {
		t.Errorf("expected autocomplete of the field %q, seen none", id)
	}
	if has(n, "aria-invalid") && !strings.Contains(attribute(n, "aria-describedby"), id+"-problem") {
		t.Errorf("expected the field %q to name its problem, seen %q", id, attribute(n, "aria-describedby"))
	}
}

func checkReferences(t *testing.T, n *html.Node, byID map[string]*html.Node) {
	t.Helper()
	for _, name := range []string{"aria-describedby", "aria-labelledby", "for"} {
		for id := range strings.FieldsSeq(attribute(n, name)) {
			if byID[id] == nil {
				t.Errorf("%s: expected an element with the id %q, seen none", name, id)
			}
		}
	}
	// Links in the list of problems lead to fields of this page.
	if to, ok := strings.CutPrefix(attribute(n, "href"), "#"); ok && byID[to] == nil {
		t.Errorf("expected the field %q that a problem leads to, seen none", to)
	}
}

var (
	palette = regexp.MustCompile(`:root \{([^}]*)\}`)
	colour  = regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{3,6});`)
)

// WCAG 2.2, 1.4.3 and 1.4.11: text has a contrast of at least 4.5, borders of fields and
// focus indicators of at least 3.
func TestColoursHaveContrast(t *testing.T) {
	t.Parallel()
	style, err := builtin.ReadFile("assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	palettes := palette.FindAllStringSubmatch(string(style), -1)
	if len(palettes) != 2 {
		t.Fatalf("expected the colours of a light and of a dark mode, seen %d", len(palettes))
	}
	for i, mode := range []string{"light", "dark"} {
		colours := make(map[string]float64)
		for _, found := range colour.FindAllStringSubmatch(palettes[i][1], -1) {
			colours[found[1]] = luminance(t, found[2])
		}
		for _, row := range []struct {
			front, back string
			least       float64
		}{
			{"text", "card", 4.5}, {"text", "ground", 4.5}, {"text", "wrong-ground", 4.5}, {"text", "good-ground", 4.5},
			{"quiet", "card", 4.5}, {"accent", "card", 4.5}, {"on-accent", "accent", 4.5}, {"wrong", "card", 4.5}, {"quiet", "ground", 3},
		} {
			a, b := colours[row.front], colours[row.back]
			if got := (max(a, b) + 0.05) / (min(a, b) + 0.05); got < row.least {
				t.Errorf("%s, %s on %s: expected a contrast of %v, seen %.2f", mode, row.front, row.back, row.least, got)
			}
		}
	}
}

// luminance returns the relative luminance of a colour (WCAG 2.2).
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	value, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(shift int) float64 {
		c := float64(value>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0)
}

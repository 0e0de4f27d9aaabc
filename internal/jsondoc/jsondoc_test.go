package jsondoc

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/json.md")

const root = "../.."

func TestTheReferenceIsUpToDate(t *testing.T) {
	t.Parallel()
	name := filepath.Join(root, "docs", "json.md")
	seen, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	expected, err := Page(root, string(seen))
	if err != nil {
		t.Fatal(err)
	}
	if expected == string(seen) {
		return
	}
	if !*update {
		t.Fatal("docs/json.md is out of date: run go test ./internal/jsondoc -update, and review the difference")
	}
	if err := os.WriteFile(name, []byte(expected), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The comment of each field has whole sentences, since Caddy's website publishes it.
func TestCommentsOfFieldsAreSentences(t *testing.T) {
	t.Parallel()
	source, err := read(root, folders)
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range Sections {
		for _, field := range source[section.Of].Fields {
			if !strings.HasSuffix(field.Doc, ".") {
				t.Errorf("%s.%s: expected a comment that ends with a full stop, seen %q", section.Of, field.Name, field.Doc)
			}
			if strings.Count(field.Doc, "`")%2 != 0 {
				t.Errorf("%s.%s: expected pairs of backquotes, seen %q", section.Of, field.Name, field.Doc)
			}
		}
	}
}

func TestTypesInWords(t *testing.T) {
	t.Parallel()
	for goType, expected := range map[string]string{
		"string":                     "text",
		"caddy.Duration":             "duration",
		"[]string":                   "list",
		"[]*ruleconfig.Rule":         "list of [rules](#rules)",
		"map[string]*ProviderConfig": "object of [providers](#providers)",
		"siteconfig.Upstream":        "[what the application receives](#what-the-application-receives)",
	} {
		if seen := inWords(Section{Of: "..Handler"}, goType); seen != expected {
			t.Errorf("%s: expected %q, seen %q", goType, expected, seen)
		}
	}
}

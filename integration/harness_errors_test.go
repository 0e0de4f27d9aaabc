package integration_test

import (
	"os"
	"regexp"
	"sync"
	"testing"
)

var errorRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]+\\.) \\| [^|]+ \\|$")

var errorsPage = sync.OnceValues(func() ([]byte, error) { return os.ReadFile("../docs/errors.md") })

// sentences are what users read of each error code, as docs/errors.md has it.
func sentences(t *testing.T) map[string]string {
	t.Helper()
	text, err := errorsPage()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, row := range errorRow.FindAllStringSubmatch(string(text), -1) {
		all[row[1]] = row[2]
	}
	return all
}

// sentenceOf is what users read of an error code.
func sentenceOf(t *testing.T, code string) string {
	t.Helper()
	sentence := sentences(t)[code]
	if sentence == "" {
		t.Fatalf("docs/errors.md has no sentence for the code %q", code)
	}
	return sentence
}

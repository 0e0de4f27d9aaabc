// Command matrix makes a Markdown table of providers and features from the records of a
// run.
//
//	go run ./cmd/matrix <records.jsonl >matrix.md
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"
)

// A record is one line of the input.
type record struct{ Provider, Feature, Result string }

// results are ordered: an earlier result hides a later one.
var results = []string{"fails", "works", "not offered"}

var marks = map[string]string{"fails": "**fails**", "works": "✓", "not offered": "–", "": ""}

const head = `# What works with which provider

Written by the end-to-end tests (` + "`e2e/run-all`" + `), not by hand. Each row is a test with a real Caddy, each column a
real identity provider. ✓ passes · – the provider does not support it, and the test checks what happens then ·
**fails** does not pass · empty: not run against this provider.

What the OpenID Foundation's conformance suite says is on the page [Conformance](conformance.md).

`

func main() {
	records, err := read(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(os.Stdout, head+table(records)); err != nil {
		log.Fatal(err)
	}
}

func read(r io.Reader) (all []record, err error) {
	for lines := json.NewDecoder(r); ; {
		var one record
		if err := lines.Decode(&one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		if !slices.Contains(results, one.Result) {
			return nil, fmt.Errorf("unknown result %q", one.Result)
		}
		all = append(all, one)
	}
}

// table returns the table. It does not depend on the order of the records.
func table(records []record) string {
	cells, providers := map[string]map[string]string{}, map[string]bool{}
	for _, r := range records {
		row := sentence(r.Feature)
		if cells[row] == nil {
			cells[row] = map[string]string{}
		}
		providers[r.Provider] = true
		if now, there := cells[row][r.Provider]; !there || slices.Index(results, r.Result) < slices.Index(results, now) {
			cells[row][r.Provider] = r.Result
		}
	}
	columns := slices.Sorted(maps.Keys(providers))
	var b strings.Builder
	fmt.Fprintf(&b, "| | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat(":-:|", len(columns)))
	for _, row := range slices.Sorted(maps.Keys(cells)) {
		fmt.Fprintf(&b, "| %s |", row)
		for _, column := range columns {
			fmt.Fprintf(&b, " %s |", marks[cells[row][column]])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// sentence turns the name of a Go test into a sentence: TestAnIDTokenIsRead becomes "An
// ID token is read". It returns other texts unchanged.
func sentence(feature string) string {
	name, isTest := strings.CutPrefix(feature, "Test")
	if !isTest || strings.ContainsAny(name, " ") {
		return feature
	}
	var words []string
	letters := []rune(name)
	for i, begin := 1, 0; i <= len(letters); i++ {
		if i < len(letters) && !wordBegins(letters, i) {
			continue
		}
		words = append(words, string(letters[begin:i]))
		begin = i
	}
	for i, word := range words {
		acronym := len(word) > 1 && strings.ToUpper(word) == word
		if i > 0 && !acronym && !slices.Contains(names, word) {
			words[i] = strings.ToLower(word)
		}
	}
	return apostrophes.Replace(strings.Join(words, " "))
}

// apostrophes restores apostrophes, which test names cannot contain.
var apostrophes = strings.NewReplacer("Caddys ", "Caddy's ", "ones own", "one's own", "providers keys", "provider's keys", "providers next", "provider's next")

var names = []string{"Caddy", "Caddys", "Chromium"}

// wordBegins reports whether a word begins at this rune: at an upper-case letter after a
// lower-case one, or at the last of several upper-case letters before a lower-case one.
func wordBegins(s []rune, i int) bool {
	if !unicode.IsUpper(s[i]) {
		return false
	}
	return !unicode.IsUpper(s[i-1]) || i+1 < len(s) && unicode.IsLower(s[i+1])
}

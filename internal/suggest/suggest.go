// Package suggest finds the valid word that a misspelt one was meant to be.
package suggest

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// maxLength is the longest word that is compared, in bytes.
	maxLength = 64
	// maxEdits is how many edits may separate two words, also long ones: most
	// long words of a Caddyfile share a part, such as _endpoint.
	maxEdits = 3
)

// Word returns the candidate that is most like a word, if one is similar: at most
// a third of the letters, and three, may be missing, added, replaced or swapped
// with the next one. Case, hyphens and underscores do not count.
func Word(word string, among []string) (near string, ok bool) {
	if len(word) > maxLength {
		return "", false
	}
	folded := fold(word)
	if folded == "" {
		return "", false
	}
	best := min(maxEdits, max(1, len([]rune(folded))/3)) + 1
	for _, candidate := range slices.Sorted(slices.Values(among)) {
		if candidate == word {
			continue
		}
		if d := distance(folded, fold(candidate)); d < best && d < len([]rune(fold(candidate))) {
			best, near, ok = d, candidate, true
		}
	}
	return near, ok
}

// Hint adds to an error about a word the valid one that it was probably meant to be.
func Hint(err error, word string, valid ...string) error {
	if near, ok := Word(word, valid); ok {
		return fmt.Errorf("%w: did you mean '%s'?", err, near)
	}
	return err
}

func fold(word string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(word))
}

// distance counts the edits between two words: insertions, deletions,
// substitutions, and swaps of neighbours (optimal string alignment).
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	var before []int
	last := make([]int, len(to)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(from); i++ {
		row := make([]int, len(to)+1)
		row[0] = i
		for j := 1; j <= len(to); j++ {
			cost := 1
			if from[i-1] == to[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && from[i-1] == to[j-2] && from[i-2] == to[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(to)]
}

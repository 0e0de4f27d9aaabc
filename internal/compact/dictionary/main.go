// Command dictionary makes the dictionary for compressing claims from the
// claims that well-known providers send. A released dictionary never changes: a
// better one gets the next number and its own file.
//
//	go run ./internal/compact/dictionary internal/compact/dictionary-2
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/compact"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: dictionary <file>")
	}
	dictionary, err := build()
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], dictionary, 0o644)
}

// head is what typically precedes the claims: the id of a provider, a subject whose GUID
// is lifted out, and the length of a username.
const head = "\x07default$\x1c\x05"

// build returns the dictionary. The most common texts are at its end, since
// short distances take fewer bits.
func build() ([]byte, error) {
	var dictionary bytes.Buffer
	dictionary.WriteString(strings.Join(words, `","`))
	for _, text := range phrases {
		dictionary.WriteString(text)
	}
	written := map[string]bool{}
	for _, profile := range profiles {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(fill(profile)), &members); err != nil {
			return nil, fmt.Errorf("%w in %s", err, profile)
		}
		for name, raw := range sorted(members) {
			claim, err := claims.Encode(map[string]json.RawMessage{name: raw})
			if err != nil {
				return nil, err
			}
			if short := compact.Shorten(string(claim)); !written[short] {
				written[short] = true
				dictionary.WriteString(short)
			}
		}
	}
	dictionary.WriteString(head)
	return dictionary.Bytes(), nil
}

var slot = regexp.MustCompile(`<[a-z]+>`)

// fill replaces the slots of a profile by values. Random parts of claims have
// no slots, because they would match nothing.
func fill(profile string) string {
	return slot.ReplaceAllStringFunc(profile, func(name string) string { return values[name] })
}

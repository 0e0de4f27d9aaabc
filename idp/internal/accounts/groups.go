package accounts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// maxGroups is how many groups a user can be in: they have to fit into a token.
const maxGroups = 200

// groupName checks the name of a group, and returns it as it is kept.
func groupName(text string) (string, error) {
	if !utf8.ValidString(text) || len(text) > 512 {
		return "", errors.New("the name of a group has at most 64 characters")
	}
	text = norm.NFC.String(text)
	if count := utf8.RuneCountInString(text); count == 0 || count > 64 {
		return "", errors.New("the name of a group has 1 to 64 characters")
	}
	for _, c := range text {
		if !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c) && !strings.ContainsRune("._-+:/@", c) {
			return "", fmt.Errorf("the name of a group is made of letters, digits, and . _ - + : / @, not %q", c)
		}
	}
	return text, nil
}

// groupNames checks names of groups, and returns each once, sorted.
func groupNames(texts []string) (groups []string, err error) {
	for _, text := range texts {
		name, err := groupName(text)
		if err != nil {
			return nil, err
		}
		groups = append(groups, name)
	}
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if len(groups) > maxGroups {
		return nil, fmt.Errorf("a user is in at most %d groups", maxGroups)
	}
	return groups, nil
}

// createGroups adds the groups that do not exist yet.
func createGroups(tx store.Tx, names []string, now time.Time) error {
	if len(names) == 0 {
		return nil
	}
	existing, err := tx.Groups()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(existing, func(g store.Group) bool { return g.Name == name }) {
			if err := tx.PutGroup(store.Group{Name: name, Created: now}); err != nil {
				return err
			}
		}
	}
	return nil
}

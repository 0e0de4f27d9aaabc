package accounts

import (
	"context"
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

// Groups returns all groups.
func (a *Accounts) Groups(ctx context.Context) (groups []store.Group, err error) {
	err = a.store.View(ctx, func(tx store.Tx) error {
		groups, err = tx.Groups()
		return err
	})
	return groups, err
}

// SetGroup adds a group, or changes whether it is one of operators.
func (a *Accounts) SetGroup(ctx context.Context, text string, operator bool) (group store.Group, err error) {
	name, err := groupName(text)
	if err != nil {
		return group, invalid("groups", err)
	}
	err = a.store.Update(ctx, func(tx store.Tx) error {
		group = store.Group{Name: name, Created: a.now()}
		existing, err := groupIn(tx, name)
		switch {
		case err == nil:
			group = existing
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		group.Operator = operator
		return tx.PutGroup(group)
	})
	return group, err
}

// DeleteGroup removes a group: its members are in it no more.
func (a *Accounts) DeleteGroup(ctx context.Context, name string) error {
	return a.store.Update(ctx, func(tx store.Tx) error {
		if _, err := groupIn(tx, name); err != nil {
			return err
		}
		return tx.DeleteGroup(name)
	})
}

func groupIn(tx store.Tx, name string) (store.Group, error) {
	groups, err := tx.Groups()
	if err != nil {
		return store.Group{}, err
	}
	for _, group := range groups {
		if group.Name == name {
			return group, nil
		}
	}
	return store.Group{}, store.ErrNotFound
}

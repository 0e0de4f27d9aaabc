package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// maxGroups is the maximum number of groups of a user. The limit exists because the
// groups have to fit into a token.
const maxGroups = 200

const maxGroupName = 64

// groupName checks the name of a group and returns it in the form in which it is stored.
// Names must not contain commas or semicolons, which separate groups in lists.
func groupName(text string) (string, error) {
	name, err := names.Display(text)
	if err != nil {
		return "", errors.New("the name of a group is one line of visible characters")
	}
	if count := utf8.RuneCountInString(name); count == 0 || count > maxGroupName {
		return "", fmt.Errorf("the name of a group has 1 to %d characters", maxGroupName)
	}
	if strings.ContainsAny(name, ",;") {
		return "", errors.New("the name of a group has no comma and no semicolon")
	}
	return name, nil
}

// groupNames checks the names of groups and returns them sorted, without duplicates.
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
func createGroups(tx store.Tx, groups []string, now time.Time) error {
	if len(groups) == 0 {
		return nil
	}
	existing, err := tx.Groups()
	if err != nil {
		return err
	}
	for _, name := range groups {
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

// SetGroup adds a group, or changes whether an existing group is one of operators.
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

// DeleteGroup deletes a group. Its members lose it.
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

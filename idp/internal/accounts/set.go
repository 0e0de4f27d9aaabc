package accounts

import (
	"context"
	"errors"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Changes are the changes that Set makes to a user. Nil and empty fields change nothing.
type Changes struct {
	Email         *string // "" removes it
	EmailVerified *bool
	DisplayName   *string
	GivenName     *string
	FamilyName    *string
	Language      *string
	Authenticator *string
	Groups        *[]string // replaces all groups of the user
	AddGroups     []string
	RemoveGroups  []string
	// MustChange requires the user to set a new password at the next sign-in.
	MustChange *bool
	// MustEnrol requires the user to enrol a factor at the next sign-in.
	MustEnrol *bool
}

// Set changes a user. Users cannot be renamed, but a user name that is the user's e-mail
// address follows the address.
func (a *Accounts) Set(ctx context.Context, id string, c Changes) (*store.User, error) {
	return a.Change(ctx, id, func(tx store.Tx, user *store.User) error { return a.apply(tx, user, c) })
}

func (a *Accounts) apply(tx store.Tx, user *store.User, c Changes) error {
	if err := a.applyEmail(tx, user, c); err != nil {
		return err
	}
	if err := applyNames(user, c); err != nil {
		return err
	}
	if c.Authenticator != nil {
		user.Authenticator = *c.Authenticator
		if err := a.checkAuthenticator(user); err != nil {
			return err
		}
	}
	if err := a.applyGroups(tx, user, c); err != nil {
		return err
	}
	if c.MustChange != nil {
		user.Password.MustChange = *c.MustChange
	}
	if c.MustEnrol != nil {
		user.MustEnrol = *c.MustEnrol
	}
	return nil
}

func applyNames(user *store.User, c Changes) (err error) {
	for _, change := range []struct {
		field string
		from  *string
		to    *string
		check func(string) (string, error)
	}{
		{"display_name", c.DisplayName, &user.DisplayName, names.Display},
		{"given_name", c.GivenName, &user.GivenName, names.Display},
		{"family_name", c.FamilyName, &user.FamilyName, names.Display},
		{"language", c.Language, &user.Language, languageTag},
	} {
		if change.from == nil {
			continue
		}
		if *change.to, err = change.check(*change.from); err != nil {
			return invalid(change.field, err)
		}
	}
	return nil
}

func (a *Accounts) applyGroups(tx store.Tx, user *store.User, c Changes) error {
	groups := user.Groups
	if c.Groups != nil {
		groups = *c.Groups
	}
	groups = slices.DeleteFunc(slices.Concat(groups, c.AddGroups), func(group string) bool { return slices.Contains(c.RemoveGroups, group) })
	checked, err := groupNames(groups)
	if err != nil {
		return invalid("groups", err)
	}
	user.Groups = checked
	return createGroups(tx, checked, a.now())
}

func (a *Accounts) applyEmail(tx store.Tx, user *store.User, c Changes) error {
	email, verified := user.Email, user.EmailVerified
	if c.Email != nil && names.Key(*c.Email) != names.Key(email) {
		email, verified = *c.Email, false
	}
	if c.EmailVerified != nil {
		verified = *c.EmailVerified
	}
	if email == user.Email && verified == user.EmailVerified {
		return nil
	}
	return a.SetEmail(tx, user, email, verified)
}

// SetEmail changes the e-mail address of user, which the caller must write afterwards.
// The old address stays reserved for the user. Open links sent to the user's mailbox
// become invalid.
func (a *Accounts) SetEmail(tx store.Tx, user *store.User, email string, verified bool) (err error) {
	if email != "" {
		if email, err = names.Email(email); err != nil {
			return invalid("email", err)
		}
	}
	isName := names.Key(user.Name) == names.Key(user.Email) && user.Email != ""
	if isName && (email == "" || !verified) {
		return invalid("email", errors.New("the user name is the e-mail address: another one has to be verified"))
	}
	user.Email, user.EmailVerified = email, verified && email != ""
	if isName {
		user.Name = email
	}
	if err := a.reserve(tx, user); err != nil {
		return err
	}
	return tx.DeleteTickets(user.ID, string(LinkReset), string(LinkEnrol), string(LinkEmail))
}

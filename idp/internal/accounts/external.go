package accounts

import (
	"errors"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// NewUser writes an account that an external provider creates. user.Name must be
// <external id>/<name>. NewUser replaces *user by the account as it is stored, including
// its new ID. The error is store.ErrExists if the name or the address is taken.
func (a *Accounts) NewUser(tx store.Tx, user *store.User) error {
	external, name, found := strings.Cut(user.Name, "/")
	if !found {
		return invalid("name", errors.New("the name of an external account begins with the id of its provider"))
	}
	language, err := languageTag(user.Language)
	if err != nil {
		language = ""
	}
	checked, err := a.profile(NewUser{
		Name: name, External: external, Email: user.Email, EmailVerified: user.EmailVerified, Language: language,
		DisplayName: shown(user.DisplayName), GivenName: shown(user.GivenName), FamilyName: shown(user.FamilyName),
		Authenticator: user.Authenticator, Groups: user.Groups,
	})
	if err != nil {
		return err
	}
	checked.ID, checked.Created, checked.MustEnrol = newSubject(), a.now(), user.MustEnrol
	if err := a.Add(tx, checked); err != nil {
		return err
	}
	*user = *checked
	return nil
}

// shown returns a name in the form in which it is displayed, or "" if it is not
// acceptable: a sign-in must not fail because of it.
func shown(text string) string {
	text, err := names.Display(text)
	if err != nil {
		return ""
	}
	return text
}

// errNoKey reports a text that cannot be a name.
var errNoKey = errors.New("this can be no name")

// Key returns the form of a name or an e-mail address that is used for comparison and
// lookup.
func (a *Accounts) Key(text string) (string, error) {
	key := names.Key(text)
	if key == "" {
		return "", errNoKey
	}
	return key, nil
}

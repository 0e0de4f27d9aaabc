package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/language"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// NewUser is an account to create.
type NewUser struct {
	Kind store.Kind // Person if empty
	Name string
	// External is the id of the external provider that creates the account. It becomes a
	// prefix of the user name.
	External      string
	Email         string
	EmailVerified bool
	DisplayName   string
	GivenName     string
	FamilyName    string
	Language      string
	Authenticator string
	Groups        []string
	Locked        bool // by an operator

	// Password is the initial password. If it is empty, the user sets one with a link.
	Password string
	// Imported is a password hash from another system. It is used if Password is empty.
	Imported   string
	MustChange bool
	// Caller is who waits for the password to be hashed.
	Caller passwords.Caller
}

// Prepare checks a new account and hashes its password. Add writes it.
func (a *Accounts) Prepare(ctx context.Context, n NewUser) (*store.User, error) {
	user, err := a.profile(n)
	if err != nil {
		return nil, err
	}
	user.ID, user.Created, user.Locked = newSubject(), a.now(), n.Locked
	switch {
	case user.Kind == store.Application && n.Password+n.Imported != "":
		return nil, invalid("password", errors.New("an application has access keys, no password"))
	case n.Password != "":
		failures, err := a.passwords.Check(ctx, n.Caller, a.Authenticator(user), passwords.Change{UserID: user.ID, Password: n.Password, Personal: a.personal(user)})
		if err != nil {
			return nil, err
		}
		if len(failures) > 0 {
			return nil, &PasswordError{failures}
		}
		user.Password.Hash, err = a.passwords.Hash(ctx, n.Caller, user.ID, n.Password)
		if err != nil {
			return nil, err
		}
	case n.Imported != "":
		if user.Password.Hash, err = a.passwords.Import(ctx, user.ID, n.Imported); err != nil {
			return nil, invalid("password", err)
		}
	}
	if user.Password.Hash != "" {
		user.Password.Changed = user.Created
		user.Password.MustChange = n.MustChange
	}
	return user, nil
}

// newSubject returns a random id, which becomes the user's subject. It contains no slash,
// so it cannot be the subject of a client, which is client/<id>.
func newSubject() string { return strings.ToLower(rand.Text()) }

// profile checks everything in n except the password, and returns it as a user.
func (a *Accounts) profile(n NewUser) (user *store.User, err error) {
	user = &store.User{Kind: n.Kind, Authenticator: n.Authenticator}
	if user.Kind == "" {
		user.Kind = store.Person
	}
	if n.Email != "" {
		if user.Email, err = names.Email(n.Email); err != nil {
			return nil, invalid("email", err)
		}
	}
	user.EmailVerified = n.EmailVerified && user.Email != ""
	if user.Name, err = userName(n, user); err != nil {
		return nil, invalid("name", err)
	}
	for _, text := range []struct {
		field string
		from  string
		to    *string
	}{{"display_name", n.DisplayName, &user.DisplayName}, {"given_name", n.GivenName, &user.GivenName}, {"family_name", n.FamilyName, &user.FamilyName}} {
		if *text.to, err = names.Display(text.from); err != nil {
			return nil, invalid(text.field, err)
		}
	}
	if user.Language, err = languageTag(n.Language); err != nil {
		return nil, invalid("language", err)
	}
	if err := a.checkAuthenticator(user); err != nil {
		return nil, err
	}
	user.Groups, err = groupNames(n.Groups)
	return user, invalid("groups", err)
}

func userName(n NewUser, user *store.User) (string, error) {
	switch {
	case user.Kind == store.Application:
		return names.Application(n.Name)
	case n.External != "":
		return names.External(n.External, n.Name)
	}
	return names.NewFor(n.Name, user.Email, user.EmailVerified)
}

func (a *Accounts) checkAuthenticator(user *store.User) error {
	if user.Kind == store.Application {
		if user.Authenticator != "" {
			return invalid("authenticator", errors.New("an application has access keys, no login authenticator"))
		}
		return nil
	}
	if _, ok := a.authenticators.Named(user.Authenticator); !ok {
		return invalid("authenticator", fmt.Errorf("there is no login authenticator %q in the configuration", user.Authenticator))
	}
	return nil
}

// languageTag returns a BCP 47 language tag in its canonical form.
func languageTag(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	tag, err := language.Parse(text)
	if err != nil || len(text) > 64 {
		return "", fmt.Errorf("%.64q is no language", text)
	}
	return tag.String(), nil
}

// Add writes an account that Prepare returned, and records that the database has had an
// account. The error is store.ErrExists if a name is taken.
func (a *Accounts) Add(tx store.Tx, user *store.User) error {
	if err := a.reserve(tx, user); err != nil {
		return err
	}
	if err := createGroups(tx, user.Groups, a.now()); err != nil {
		return err
	}
	if err := tx.PutUser(user); err != nil {
		return err
	}
	return tx.SetSetting(store.SettingHadAccount, user.Created.UTC().Format("2006-01-02T15:04:05Z07:00"))
}

// reserve reserves the user's name and e-mail address.
func (a *Accounts) reserve(tx store.Tx, user *store.User) error {
	err := tx.Reserve(store.Name{Key: names.Key(user.Name), Kind: store.UserName, UserID: user.ID})
	if err != nil {
		return taken("the user name", err)
	}
	if user.Email == "" || names.Key(user.Email) == names.Key(user.Name) {
		return nil
	}
	return taken("the e-mail address", tx.Reserve(store.Name{Key: names.Key(user.Email), Kind: store.Email, UserID: user.ID}))
}

// Create calls Prepare and then Add.
func (a *Accounts) Create(ctx context.Context, n NewUser) (*store.User, error) {
	user, err := a.Prepare(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := a.store.Update(ctx, func(tx store.Tx) error { return a.Add(tx, user) }); err != nil {
		return nil, err
	}
	return user, nil
}

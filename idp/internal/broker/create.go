package broker

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"

	"golang.org/x/text/language"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file makes accounts of external accounts. Their names begin with the id of
// the external provider, so that none of them is the name of anyone else, here or
// at another one.

// create makes an account of an external account. What is no name, address or
// language here is left out: the user cannot change it there and then.
func (b *Broker) create(tx store.Tx, e *external, a *Assertion) (*Answer, error) {
	groups, err := tx.Groups()
	if err != nil {
		return nil, err
	}
	user := &store.User{Kind: store.Person, Groups: ordinary(groups, a.Claims.Groups), Created: b.Now()}
	for to, text := range map[*string]string{&user.DisplayName: a.Claims.Name, &user.GivenName: a.Claims.GivenName, &user.FamilyName: a.Claims.FamilyName} {
		*to, _ = names.Display(text)
	}
	if tag, err := language.Parse(a.Claims.Language); err == nil && a.Claims.Language != "" {
		user.Language = tag.String()
	}
	if address, err := names.Email(a.Claims.Email); err == nil {
		free, err := isFree(tx, address)
		if err != nil {
			return nil, err
		}
		if free { // else it is another account's, which the user may link later
			user.Email, user.EmailVerified = address, true
		}
	}
	if err := b.ensureGroups(tx, groups, user.Groups); err != nil {
		return nil, err
	}
	name, err := freeName(tx, e, a)
	if err != nil {
		return nil, err
	}
	user.Name = name
	if err := b.Accounts.NewUser(tx, user); err != nil {
		return nil, err
	}
	if err := tx.PutIdentity(b.identityOf(a, user.ID)); err != nil {
		return nil, err
	}
	return &Answer{Outcome: Created, User: user}, nil
}

// isFree reports whether no account has a name, nor ever had.
func isFree(tx store.Tx, name string) (bool, error) {
	_, err := tx.UserByName(names.Key(name))
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return false, err
}

var errNoFreeName = errors.New("no name is free for a new account")

// freeName returns a name for a new account: what the external provider calls the
// user, with an ending if another account has it.
func freeName(tx store.Tx, e *external, a *Assertion) (string, error) {
	ending := endingOf(a)
	for _, theirs := range []string{localName(a.Name), plainName(a.Name), plainName(a.Name) + "-" + ending, ending} {
		name, err := names.External(e.ID, theirs)
		if err != nil {
			continue
		}
		if free, err := isFree(tx, name); err != nil || free {
			return name, err
		}
	}
	return "", errNoFreeName
}

// endingOf returns what tells external accounts of the same name apart.
func endingOf(a *Assertion) string {
	sum := sha256.Sum256([]byte(subjectOf(a.Issuer, a.Subject)))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:10]
}

// localName cuts an e-mail address at its @, since a name with one has to be the
// owner's address.
func localName(theirs string) string {
	local, _, _ := strings.Cut(theirs, "@")
	return local
}

// maxPlainName bounds the external provider's part of a name, so that an ending has
// room.
const maxPlainName = 40

// plainName returns what can be in any name of a text that is none.
func plainName(theirs string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r):
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == ' ' || r == '/' || r == '\\' || r == '+':
			return '-'
		}
		return -1
	}, localName(theirs))
	return strings.Trim(plain[:min(len(plain), maxPlainName)], "._-")
}

package broker

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file makes accounts of external accounts. Their names begin with the id of
// the external provider, so that none of them is the name of anyone else, here or
// at another one.

// create makes an account of an external account.
func (b *Broker) create(tx store.Tx, e *external, a *Assertion) (*Answer, error) {
	user := &store.User{
		Kind: store.Person, Email: a.Claims.Email, EmailVerified: a.Claims.Email != "",
		DisplayName: a.Claims.Name, GivenName: a.Claims.GivenName, FamilyName: a.Claims.FamilyName,
		Language: a.Claims.Language, Groups: a.Claims.Groups, Created: b.Now(),
	}
	if user.Email != "" {
		free, err := b.isFree(tx, user.Email)
		if err != nil {
			return nil, err
		}
		if !free { // it is another account's, which the user may link later
			user.Email, user.EmailVerified = "", false
		}
	}
	if err := ensureGroups(tx, user.Groups); err != nil {
		return nil, err
	}
	name, err := b.freeName(tx, e, a)
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
func (b *Broker) isFree(tx store.Tx, name string) (bool, error) {
	key, err := b.Accounts.Key(name)
	if err != nil {
		return false, nil
	}
	_, err = tx.UserByName(key)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return false, err
}

var errNoFreeName = errors.New("no name is free for a new account")

// freeName returns a name for a new account: the external provider's, or that with
// an ending if another account has it.
func (b *Broker) freeName(tx store.Tx, e *external, a *Assertion) (string, error) {
	ending := endingOf(a)
	names := []string{e.ID + "/" + ending}
	if theirs := localName(a.Name); theirs != "" {
		names = []string{e.ID + "/" + theirs, e.ID + "/" + theirs + "-" + ending, names[0]}
	}
	for _, name := range names {
		if free, err := b.isFree(tx, name); err != nil || free {
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

// maxLocalName bounds the external provider's part of a name, in bytes.
const maxLocalName = 48

// localName returns what a name contributes to the name of an account. An e-mail
// address is cut at its @, since a name with one has to be the owner's address.
func localName(theirs string) string {
	theirs, _, _ = strings.Cut(theirs, "@")
	theirs = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r):
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == ' ' || r == '/' || r == '\\' || r == '+':
			return '-'
		}
		return -1
	}, theirs)
	return strings.Trim(theirs[:min(len(theirs), maxLocalName)], "._-")
}

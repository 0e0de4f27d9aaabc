package handover

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/knownusers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// This file lists the users who were handed over by login hosts with directories of
// known users. Sites in other configurations cannot ask those directories, so the
// login host does.

// Person is a user who was handed over to some site.
type Person struct {
	// Host is the login host's origin.
	Host string
	// Parent is the session there. All sessions that were handed over end with it.
	Parent session.Parent
	// User is the user in the form that directories are asked with.
	User knownusers.User
}

// People is a list of users. The zero value is an empty list.
type People []Person

// lists is the number of lists. There are several to keep each of them short.
const lists = 64

// ListNames returns the names of all lists.
func ListNames() (names []string) {
	for i := range lists {
		names = append(names, listName(byte(i)))
	}
	return names
}

// ListOf returns the name of the list that contains a session.
func ListOf(id session.ID) string {
	sum := sha256.Sum256(id[:])
	return listName(sum[0] % lists)
}

func listName(i byte) string { return hex.EncodeToString([]byte{i}) }

// Add adds a user, or replaces the entry of the same session.
func (p *People) Add(person *Person) {
	p.Remove(func(other *Person) bool { return other.Parent.ID == person.Parent.ID })
	*p = append(*p, *person)
}

// Remove removes the entries for which over returns true, and reports whether there
// were any.
func (p *People) Remove(over func(*Person) bool) bool {
	before := len(*p)
	*p = slices.DeleteFunc(*p, func(person Person) bool { return over(&person) })
	return len(*p) < before
}

const peopleVersion = 1

// Encode returns the encoded list.
func (p People) Encode() []byte {
	var w wire.Writer
	w.Byte(peopleVersion)
	for i := range p {
		person := &p[i]
		w.Text(person.Host)
		w.Text(person.Parent.Encode())
		u := &person.User
		for _, text := range []string{u.ID, u.Name, u.Provider, u.Tenant} {
			w.Text(text)
		}
		isDefault := byte(0)
		if u.Default {
			isDefault = 1
		}
		w.Byte(isDefault)
	}
	return w.B
}

// Decode decodes what Encode returned. The only error is ErrNone.
func (p *People) Decode(encoded []byte) error {
	*p = nil
	reader := wire.Reader{S: string(encoded)}
	if reader.Byte() != peopleVersion {
		return ErrNone
	}
	for reader.S != "" && !reader.Bad {
		var person Person
		person.Host = reader.Text()
		err := person.Parent.Decode(reader.Text())
		u := &person.User
		for _, text := range []*string{&u.ID, &u.Name, &u.Provider, &u.Tenant} {
			*text = reader.Text()
		}
		isDefault := reader.Byte()
		u.Default = isDefault == 1
		if err != nil || isDefault > 1 || person.Host == "" {
			return ErrNone
		}
		*p = append(*p, person)
	}
	if reader.Bad {
		return ErrNone
	}
	return nil
}

// peopleAAD returns the additional data of a sealed list.
func peopleAAD(name string) string { return "handover people\x00" + name }

// SealPeople seals a list for the storage. It returns nil for an empty one.
func SealPeople(ring *seal.Ring, name string, p People) []byte {
	if len(p) == 0 {
		return nil
	}
	return []byte(ring.Seal(seal.ForHandover, peopleAAD(name), p.Encode()))
}

// OpenPeople opens what SealPeople returned. A list that does not open is empty,
// unless newer keys may open it: then the error is seal.ErrUnknownKey.
func OpenPeople(ring *seal.Ring, name string, sealed []byte) (p People, err error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	plain, _, err := ring.Open(seal.ForHandover, peopleAAD(name), string(sealed))
	if errors.Is(err, seal.ErrUnknownKey) {
		return nil, err
	}
	if err != nil || p.Decode(plain) != nil {
		return nil, nil
	}
	return p, nil
}

// IsOver reports whether the session has expired.
func (p *Person) IsOver(now time.Time) bool { return !p.Parent.Expires.After(now) }

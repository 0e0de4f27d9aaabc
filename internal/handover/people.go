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

// This file lists who was handed over by login hosts that ask directories of known
// users. Sites in other configurations cannot ask those, so the login host does.

// Person is a user who was handed over to some site.
type Person struct {
	// Host is the login host's origin.
	Host string
	// Parent is the session there. All that were handed over end with it.
	Parent session.Parent
	// User is what the directories there are asked about.
	User knownusers.User
}

// People is a list of them. The zero value is an empty one.
type People []Person

// lists is how many lists there are, so that none is long.
const lists = 64

// ListNames returns the names of all lists.
func ListNames() (names []string) {
	for i := range lists {
		names = append(names, listName(byte(i)))
	}
	return names
}

// ListOf returns the name of the list that a session is in.
func ListOf(id session.ID) string {
	sum := sha256.Sum256(id[:])
	return listName(sum[0] % lists)
}

func listName(i byte) string { return hex.EncodeToString([]byte{i}) }

// Add adds a user, or renews the entry of their session.
func (p *People) Add(person *Person) {
	p.Remove(func(other *Person) bool { return other.Parent.ID == person.Parent.ID })
	*p = append(*p, *person)
}

// Remove removes entries. It reports whether there were any.
func (p *People) Remove(over func(*Person) bool) bool {
	before := len(*p)
	*p = slices.DeleteFunc(*p, func(person Person) bool { return over(&person) })
	return len(*p) < before
}

const peopleVersion = 1

// Encode returns the bytes of a list.
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

// Decode reads what Encode returned. The only error is ErrNone.
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

// peoplePlace is what sealed lists are bound to.
func peoplePlace(name string) string { return "handover people\x00" + name }

// SealPeople returns a list as storages have it; nothing for an empty one.
func SealPeople(ring *seal.Ring, name string, p People) []byte {
	if len(p) == 0 {
		return nil
	}
	return []byte(ring.Seal(seal.ForHandover, peoplePlace(name), p.Encode()))
}

// OpenPeople opens what SealPeople returned. A list that does not open is empty, unless
// newer keys may open it: then the error is seal.ErrUnknownKey.
func OpenPeople(ring *seal.Ring, name string, sealed []byte) (p People, err error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	plain, _, err := ring.Open(seal.ForHandover, peoplePlace(name), string(sealed))
	if errors.Is(err, seal.ErrUnknownKey) {
		return nil, err
	}
	if err != nil || p.Decode(plain) != nil {
		return nil, nil
	}
	return p, nil
}

// IsOver reports whether the session has ended by its times.
func (p *Person) IsOver(now time.Time) bool { return !p.Parent.Expires.After(now) }

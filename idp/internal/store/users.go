package store

import "time"

// Kind is what a user is.
type Kind string

const (
	Person      Kind = "person"
	Application Kind = "application" // has access keys in the place of a password
)

// User is a person or an application that has an account.
type User struct {
	ID            string // the subject: random, and never given twice
	Kind          Kind
	Name          string // the user name, as it was given
	Email         string // empty if there is none
	EmailVerified bool
	DisplayName   string
	GivenName     string
	FamilyName    string
	Language      string // a BCP 47 tag, empty if unknown
	Authenticator string // the name of the login authenticator; empty is default
	Groups        []string
	Created       time.Time
	LastSignIn    time.Time // zero if never
	Locked        bool      // by an operator, until one unlocks
	Removed       time.Time // zero unless removed; the row stays, so that ID and names stay reserved

	Password Password
	// MustEnrol: an operator reset the factors, or a recovery code was used: a
	// factor has to be enrolled at the next sign-in.
	MustEnrol bool
}

// Password is what is kept of a user's password. The zero value is none.
type Password struct {
	Hash       string    // encoded with its parameters; see package accounts
	Changed    time.Time // when it was set
	MustChange bool      // at the next sign-in
	History    []string  // hashes of those before, the last one first
}

// NameKind says what a reserved name is.
type NameKind string

const (
	UserName NameKind = "username"
	Email    NameKind = "email"
)

// Name is one entry of the namespace that names and e-mail addresses share.
type Name struct {
	Key    string // normalized; see package accounts
	Kind   NameKind
	UserID string
}

// Users are the accounts, and the namespace of their names.
type Users interface {
	User(id string) (*User, error)
	// UserByName finds the user who has a normalized name or e-mail address.
	// Removed users are found, too.
	UserByName(key string) (*User, error)
	// Users lists users in the order of their names, after the user with the ID
	// after, from the first one if it is empty. It returns ErrNotFound if there is
	// no such user.
	Users(filter UserFilter, after string, limit int) ([]*User, error)
	CountUsers(filter UserFilter) (int, error)
	// HashBeginnings returns the different beginnings, of so many bytes, of the
	// hashes of passwords that begin with prefix. Those of removed users do not count.
	HashBeginnings(prefix string, size int) ([]string, error)
	// PutUser writes a user whole, with the memberships.
	PutUser(*User) error
	// Reserve takes a name, or returns ErrExists if another user has it.
	Reserve(Name) error
	// Release frees a name.
	Release(key string) error
	// NamesOf returns the names of a user.
	NamesOf(userID string) ([]Name, error)
}

// UserFilter selects users. The zero value selects all that are not removed.
type UserFilter struct {
	Kind    Kind
	Group   string
	Search  string // a part of name, display name or e-mail address
	Removed bool   // removed ones as well
}

// Group is a group of users.
type Group struct {
	Name     string
	Operator bool // its members may do more than others; see package broker
	Created  time.Time
}

// Groups are the groups that exist here.
type Groups interface {
	Groups() ([]Group, error)
	// PutGroup adds or changes a group.
	PutGroup(Group) error
	// DeleteGroup removes a group and all memberships in it.
	DeleteGroup(name string) error
}

// Identity links an account of an external provider to a user.
type Identity struct {
	External string // the id of the external provider
	Issuer   string
	Subject  string
	UserID   string
	Name     string // what the external provider calls the user, to show
	Created  time.Time
	LastUsed time.Time
}

// Identities are the linked external accounts.
type Identities interface {
	Identity(external, issuer, subject string) (*Identity, error)
	IdentitiesOf(userID string) ([]Identity, error)
	// PutIdentity adds or changes a link.
	PutIdentity(Identity) error
	DeleteIdentity(external, issuer, subject string) error
}

// AccessKey is a key of an application user. What the program holds is its
// secret, of which only the hash is here.
type AccessKey struct {
	ID       string // public: names the key in lists and logs
	UserID   string
	Hash     Hash
	Created  time.Time
	Expires  time.Time // zero if never
	LastUsed time.Time // to the minute
}

// AccessKeys are the keys of application users.
type AccessKeys interface {
	AccessKey(hash Hash) (*AccessKey, error)
	AccessKeysOf(userID string) ([]AccessKey, error)
	PutAccessKey(AccessKey) error
	DeleteAccessKey(id string) error
}

package store

import "time"

// Kind is the kind of a user.
type Kind string

const (
	Person      Kind = "person"
	Application Kind = "application" // has access keys instead of a password
)

// User is a person or an application that has an account.
type User struct {
	ID            string // the subject: random and never reused
	Kind          Kind
	Name          string // the user name, as it was entered
	Email         string // empty if there is none
	EmailVerified bool
	DisplayName   string
	GivenName     string
	FamilyName    string
	Language      string // a BCP 47 tag, empty if unknown
	Authenticator string // the name of the login authenticator; empty for the default one
	Groups        []string
	Created       time.Time
	LastSignIn    time.Time // zero if never
	Locked        bool      // by an operator
	Removed       time.Time // zero unless removed; the row remains to reserve the ID and the names

	Password Password
	// MustEnrol requires a factor to be enrolled at the next sign-in, because an operator
	// reset the factors or a recovery code was used.
	MustEnrol bool
}

// Password is what is stored about a user's password. The zero value means no password.
type Password struct {
	Hash       string    // encoded with its parameters; see package passwords
	Changed    time.Time // when it was last set
	MustChange bool      // at the next sign-in
	History    []string  // previous hashes, most recent first
}

// NameKind is the kind of a reserved name.
type NameKind string

const (
	UserName NameKind = "username"
	Email    NameKind = "email"
)

// Name is an entry in the namespace that user names and e-mail addresses share.
type Name struct {
	Key    string // normalized; see package names
	Kind   NameKind
	UserID string
}

// Users stores the accounts, and the namespace of their names.
type Users interface {
	User(id string) (*User, error)
	// UserByName returns the user who owns a normalized name or e-mail address, even if
	// the user has been removed.
	UserByName(key string) (*User, error)
	// Users returns up to limit users in the order of their names. It starts after the
	// user with the ID after, or with the first one if after is empty. The error is
	// ErrNotFound if there is no such user.
	Users(filter UserFilter, after string, limit int) ([]*User, error)
	CountUsers(filter UserFilter) (int, error)
	// HashBeginnings returns the distinct beginnings, size bytes long, of all password
	// hashes that begin with prefix. Removed users do not count.
	HashBeginnings(prefix string, size int) ([]string, error)
	// PutUser writes all of a user, including the group memberships.
	PutUser(*User) error
	// Reserve reserves a name for a user. The error is ErrExists if another user has it.
	Reserve(Name) error
	// Release frees a name.
	Release(key string) error
	// NamesOf returns the names of a user.
	NamesOf(userID string) ([]Name, error)
}

// UserFilter selects users. The zero value selects all users who have not been removed.
type UserFilter struct {
	Kind    Kind
	Group   string
	Search  string // part of the name, display name or e-mail address
	Removed bool   // include removed users
}

// Group is a group of users.
type Group struct {
	Name     string
	Operator bool // protected from external providers; see package broker
	Created  time.Time
}

// Groups stores the groups.
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
	Name     string // the external provider's name of the user, for display
	Created  time.Time
	LastUsed time.Time
}

// Identities stores the linked external accounts.
type Identities interface {
	Identity(external, issuer, subject string) (*Identity, error)
	IdentitiesOf(userID string) ([]Identity, error)
	// PutIdentity adds or changes a link.
	PutIdentity(Identity) error
	DeleteIdentity(external, issuer, subject string) error
}

// AccessKey is an access key of an application. Only the hash of the secret is stored;
// the secret itself is held by the program.
type AccessKey struct {
	ID       string // public; identifies the key in lists and logs
	UserID   string
	Hash     Hash
	Created  time.Time
	Expires  time.Time // zero if never
	LastUsed time.Time // to the minute
}

// AccessKeys stores the access keys of applications.
type AccessKeys interface {
	AccessKey(hash Hash) (*AccessKey, error)
	AccessKeysOf(userID string) ([]AccessKey, error)
	PutAccessKey(AccessKey) error
	DeleteAccessKey(id string) error
}

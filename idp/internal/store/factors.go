package store

import "time"

// FactorKind is a kind of factor other than the password.
type FactorKind string

const (
	TOTP    FactorKind = "totp"
	HOTP    FactorKind = "hotp"
	Passkey FactorKind = "passkey"
)

// Factor is a factor that a user has enrolled.
type Factor struct {
	ID        string
	UserID    string
	Kind      FactorKind
	Label     string // chosen by the user
	Confirmed bool   // the user has proven that it works
	// Secret is the sealed seed for TOTP and HOTP. For a passkey it is the credential as
	// JSON, which contains nothing secret.
	Secret []byte
	// CredentialID is the unique id of a passkey.
	CredentialID []byte
	// Counter is the last time step accepted for TOTP, or the next counter for HOTP. It
	// never decreases.
	Counter  int64
	Created  time.Time
	LastUsed time.Time
}

// Factors stores the second factors, passkeys and recovery codes of users.
type Factors interface {
	FactorsOf(userID string) ([]Factor, error)
	FactorByCredential(credentialID []byte) (*Factor, error)
	// PutFactor adds or changes a factor. The error is ErrExists if another factor has
	// the same CredentialID.
	PutFactor(Factor) error
	DeleteFactor(userID, id string) error
	// CountUsersWithFactor counts the persons with a confirmed factor of any of these
	// kinds.
	CountUsersWithFactor(kinds ...FactorKind) (int, error)
	// CountPasskeys counts the passkeys of all users.
	CountPasskeys() (int, error)

	// SetRecoveryCodes replaces a user's recovery codes.
	SetRecoveryCodes(userID string, codes []Hash) error
	// TakeRecoveryCode uses up a code. The error is ErrNotFound if the user does not have
	// it.
	TakeRecoveryCode(userID string, code Hash) error
	CountRecoveryCodes(userID string) (int, error)
}

// Counter counts failures of one kind against one account or address.
type Counter struct {
	// Key says what is counted; see package lockout.
	Key      string
	Failures int       // since the last lock or sign-in
	Total    int       // since the last sign-in
	Locks    int       // number of locks since the last sign-in
	Until    time.Time // end of the lock; zero if not locked
	Updated  time.Time
	Expires  time.Time // when Sweep may delete it; zero if never
}

// Counters stores the counters for lockout and throttling.
type Counters interface {
	// Counter returns the counter with a key, or a zero one if there is none.
	Counter(key string) (Counter, error)
	PutCounter(Counter) error
	// DeleteCounters deletes the counters whose keys begin with prefix.
	DeleteCounters(prefix string) error
}

package store

import "time"

// FactorKind is a kind of factor beside the password.
type FactorKind string

const (
	TOTP    FactorKind = "totp"
	HOTP    FactorKind = "hotp"
	Passkey FactorKind = "passkey"
)

// Factor is something that a user has to sign in with.
type Factor struct {
	ID        string
	UserID    string
	Kind      FactorKind
	Label     string // what the user calls it
	Confirmed bool   // the user has shown that it works
	// Secret is the sealed seed of TOTP and HOTP, or the JSON of a passkey's
	// credential, which holds nothing secret.
	Secret []byte
	// CredentialID is a passkey's, and unique.
	CredentialID []byte
	// Counter is the last time step that TOTP accepted, or the next counter of
	// HOTP. It only grows.
	Counter  int64
	Created  time.Time
	LastUsed time.Time
}

// Factors are the second factors, passkeys and recovery codes of users.
type Factors interface {
	FactorsOf(userID string) ([]Factor, error)
	FactorByCredential(credentialID []byte) (*Factor, error)
	// PutFactor adds or changes a factor, or returns ErrExists if another one has
	// its CredentialID.
	PutFactor(Factor) error
	DeleteFactor(userID, id string) error
	// CountUsersWithFactor counts the persons who have a confirmed factor of one
	// of these kinds.
	CountUsersWithFactor(kinds ...FactorKind) (int, error)
	// CountPasskeys counts all passkeys.
	CountPasskeys() (int, error)

	// SetRecoveryCodes replaces a user's recovery codes.
	SetRecoveryCodes(userID string, codes []Hash) error
	// TakeRecoveryCode uses a code up, or returns ErrNotFound.
	TakeRecoveryCode(userID string, code Hash) error
	CountRecoveryCodes(userID string) (int, error)
}

// Counter counts failures of one kind against one account or address.
type Counter struct {
	// Key says what is counted; see package accounts.
	Key      string
	Failures int       // since the last lock, or since a sign-in
	Total    int       // since a sign-in
	Locks    int       // how often it was locked since a sign-in
	Until    time.Time // locked until then; zero if not
	Updated  time.Time
	Expires  time.Time // when Sweep may forget it; zero if never
}

// Counters are what lockout and throttling count.
type Counters interface {
	// Counter returns a counter, the zero one if there is none yet.
	Counter(key string) (Counter, error)
	PutCounter(Counter) error
	// DeleteCounters removes the counters whose key begins with prefix.
	DeleteCounters(prefix string) error
}

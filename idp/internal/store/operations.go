package store

import "time"

// SigningKey is a key that signs tokens.
type SigningKey struct {
	ID      string // the kid
	Alg     string // RS256 or ES256
	Sealed  []byte // the sealed private key
	Created time.Time
	Active  time.Time // when it begins to sign; it is published before
	Retires time.Time // when it is no longer published; zero while it is in use
}

// SigningKeys stores the signing keys of the provider.
type SigningKeys interface {
	SigningKeys() ([]SigningKey, error)
	PutSigningKey(SigningKey) error
	DeleteSigningKey(id string) error
}

// Delivery is a logout token that has yet to be delivered to an application.
type Delivery struct {
	ID       string
	ClientID string
	UserID   string
	SID      string
	Attempts int
	Next     time.Time
	Expires  time.Time
}

// Deliveries stores the logouts that applications have yet to be told about.
type Deliveries interface {
	AddDelivery(Delivery) error
	// ClaimDeliveries returns up to limit deliveries that are due, and postpones their
	// next attempt to until. Other nodes leave them alone in the meantime.
	ClaimDeliveries(now, until time.Time, limit int) ([]Delivery, error)
	PutDelivery(Delivery) error
	DeleteDelivery(id string) error
}

// Settings stores facts about the database as a whole.
type Settings interface {
	// Setting returns a value, or "" if it has not been set.
	Setting(key string) (string, error)
	SetSetting(key, value string) error
	// Sweep deletes up to limit rows of each kind that expired before a time. It reports
	// whether there may be more.
	Sweep(before time.Time, limit int) (more bool, err error)
}

// SettingHadAccount is set when the first account is created, and never cleared.
const SettingHadAccount = "had_account"

// SettingVaultKey is the id of the oldest vault key that the database depends on.
const SettingVaultKey = "vault_key"

package store

import "time"

// SigningKey is a key that tokens are signed with.
type SigningKey struct {
	ID      string // the kid
	Alg     string // RS256 or ES256
	Sealed  []byte // the private key
	Created time.Time
	Active  time.Time // signs from then on; it is published before
	Retires time.Time // is published until then; zero while it is in use
}

// SigningKeys are the keys of the provider.
type SigningKeys interface {
	SigningKeys() ([]SigningKey, error)
	PutSigningKey(SigningKey) error
	DeleteSigningKey(id string) error
}

// Delivery is a logout token that an application has not received yet.
type Delivery struct {
	ID       string
	ClientID string
	UserID   string
	SID      string
	Attempts int
	Next     time.Time
	Expires  time.Time
}

// Deliveries are the logouts that applications have to hear of.
type Deliveries interface {
	AddDelivery(Delivery) error
	// ClaimDeliveries returns deliveries that are due, and moves their next
	// attempt to until, so that other nodes leave them alone.
	ClaimDeliveries(now, until time.Time, limit int) ([]Delivery, error)
	PutDelivery(Delivery) error
	DeleteDelivery(id string) error
}

// Settings are facts about the database as a whole.
type Settings interface {
	// Setting returns a value, "" if it was never set.
	Setting(key string) (string, error)
	SetSetting(key, value string) error
	// Sweep removes what has expired before a time, at most limit rows of each
	// kind. It reports whether there may be more.
	Sweep(before time.Time, limit int) (more bool, err error)
}

// SettingHadAccount is set with the first account and stays.
const SettingHadAccount = "had_account"

// SettingVaultKey names the oldest key of the vault that the database is used with.
const SettingVaultKey = "vault_key"

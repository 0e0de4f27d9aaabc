package database

import (
	"fmt"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var factors = newTable("factors", 1, func(f *store.Factor) []column {
	return []column{
		text("id", &f.ID), text("user_id", &f.UserID), text("kind", &f.Kind), text("label", &f.Label),
		flag("confirmed", &f.Confirmed), data("secret", &f.Secret), data("credential_id", &f.CredentialID),
		counter("counter", &f.Counter), moment("created", &f.Created), moment("last_used", &f.LastUsed),
	}
})

func (x *tx) FactorsOf(userID string) ([]store.Factor, error) {
	return factors.where(x, "user_id = $1 ORDER BY created, id", userID)
}

func (x *tx) FactorByCredential(credentialID []byte) (*store.Factor, error) {
	return factors.one(x, "credential_id = $1", credentialID)
}

func (x *tx) PutFactor(f store.Factor) error {
	f.Label = cleanText(f.Label)
	if len(f.CredentialID) == 0 {
		f.CredentialID = nil
		return factors.put(x, f)
	}
	others, err := count(x, "SELECT count(*) FROM factors WHERE credential_id = $1 AND id <> $2", f.CredentialID, f.ID)
	if err != nil {
		return err
	}
	if others > 0 {
		return store.ErrExists
	}
	return factors.put(x, f)
}

func (x *tx) DeleteFactor(userID, id string) error {
	return factors.delete(x, "user_id = $1 AND id = $2", userID, id)
}

func (x *tx) CountUsersWithFactor(kinds ...store.FactorKind) (int, error) {
	if len(kinds) == 0 {
		return 0, nil
	}
	in, args := places(kinds)
	// Few users are removed or applications, so this reads only a small part of users.
	return count(x, `SELECT count(DISTINCT user_id) FROM factors WHERE confirmed = TRUE AND kind IN (`+in+`)
		AND user_id NOT IN (SELECT id FROM users WHERE removed > 0
			UNION ALL SELECT id FROM users WHERE removed = 0 AND kind = 'application')`, args...)
}

func (x *tx) CountPasskeys() (int, error) {
	return count(x, "SELECT count(*) FROM factors WHERE kind = $1", string(store.Passkey))
}

func (x *tx) SetRecoveryCodes(userID string, codes []store.Hash) error {
	if _, err := x.exec("DELETE FROM recovery_codes WHERE user_id = $1", userID); err != nil {
		return err
	}
	for _, code := range codes {
		if _, err := x.exec("INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2) ON CONFLICT DO NOTHING", userID, code[:]); err != nil {
			return err
		}
	}
	return nil
}

func (x *tx) TakeRecoveryCode(userID string, code store.Hash) error {
	n, err := x.exec("DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2", userID, code[:])
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

func (x *tx) CountRecoveryCodes(userID string) (int, error) {
	return count(x, "SELECT count(*) FROM recovery_codes WHERE user_id = $1", userID)
}

var counters = newTable("counters", 1, func(c *store.Counter) []column {
	return []column{
		text("key", &c.Key), number("failures", &c.Failures), number("total", &c.Total), number("locks", &c.Locks),
		moment("until", &c.Until), moment("updated", &c.Updated), moment("expires", &c.Expires),
	}
})

func (x *tx) Counter(key string) (store.Counter, error) {
	rows, err := counters.where(x, "key = $1", key)
	if err != nil || len(rows) == 0 {
		return store.Counter{Key: key}, err
	}
	return rows[0], nil
}

func (x *tx) PutCounter(c store.Counter) error { return counters.put(x, c) }

func (x *tx) DeleteCounters(prefix string) error {
	// The last code point sorts after everything that may follow prefix in a key.
	return counters.delete(x, "key >= $1 AND key < $2", prefix, prefix+"\U0010FFFF")
}

// places returns the placeholders for a list of arguments, and the arguments.
func places[S ~string](list []S) (string, []any) { return placesFrom(1, list) }

func placesFrom[S ~string](n int, list []S) (string, []any) {
	names, args := make([]string, len(list)), make([]any, len(list))
	for i, s := range list {
		names[i], args[i] = fmt.Sprintf("$%d", n+i), string(s)
	}
	return strings.Join(names, ", "), args
}

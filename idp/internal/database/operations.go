package database

import (
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var signingKeys = newTable("signing_keys", 1, func(k *store.SigningKey) []column {
	return []column{
		text("id", &k.ID), text("alg", &k.Alg), data("sealed", &k.Sealed),
		moment("created", &k.Created), moment("active", &k.Active), moment("retires", &k.Retires),
	}
})

func (x *tx) SigningKeys() ([]store.SigningKey, error) {
	return signingKeys.where(x, "1 = 1 ORDER BY created, id")
}

func (x *tx) PutSigningKey(k store.SigningKey) error { return signingKeys.put(x, k) }

func (x *tx) DeleteSigningKey(id string) error { return signingKeys.delete(x, "id = $1", id) }

var deliveries = newTable("deliveries", 1, func(d *store.Delivery) []column {
	return []column{
		text("id", &d.ID), text("client_id", &d.ClientID), text("user_id", &d.UserID), text("sid", &d.SID),
		number("attempts", &d.Attempts), moment("next", &d.Next), moment("expires", &d.Expires),
	}
})

func (x *tx) AddDelivery(d store.Delivery) error { return deliveries.add(x, d) }

func (x *tx) ClaimDeliveries(now, until time.Time, limit int) ([]store.Delivery, error) {
	due, err := deliveries.where(x, "next <= $1 AND expires > $1 ORDER BY next, id LIMIT $2", micros(now), int64(limit))
	for i := range due {
		if _, err := x.exec("UPDATE deliveries SET next = $1 WHERE id = $2", micros(until), due[i].ID); err != nil {
			return nil, err
		}
		due[i].Next = until
	}
	return due, err
}

func (x *tx) PutDelivery(d store.Delivery) error { return deliveries.put(x, d) }

func (x *tx) DeleteDelivery(id string) error { return deliveries.delete(x, "id = $1", id) }

func (x *tx) Setting(key string) (string, error) {
	v, err := values[string](x, "SELECT value FROM settings WHERE key = $1", key)
	return strings.Join(v, ""), err
}

func (x *tx) SetSetting(key, value string) error {
	_, err := x.exec("INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
	return err
}

// expiring are the tables whose rows expire, and their keys. The retired refresh tokens
// of a grant are deleted with the grant.
var expiring = []struct{ table, key string }{
	{"sessions", "sid"}, {"session_clients", "sid, client_id"}, {"requests", "id"}, {"tickets", "kind, hash"},
	{"grants", "id"}, {"tokens", "hash"}, {"deliveries", "id"}, {"counters", "key"},
}

func (x *tx) Sweep(before time.Time, limit int) (more bool, err error) {
	for _, e := range expiring {
		removed, err := x.exec("DELETE FROM "+e.table+" WHERE ("+e.key+") IN (SELECT "+e.key+" FROM "+e.table+
			" WHERE expires > 0 AND expires <= $1 ORDER BY expires LIMIT $2)", micros(before), int64(limit))
		if err != nil {
			return false, err
		}
		more = more || removed >= int64(limit)
	}
	return more, nil
}

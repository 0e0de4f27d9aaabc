package database

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var identities = newTable("identities", 3, func(i *store.Identity) []column {
	return []column{
		text("external", &i.External), text("issuer", &i.Issuer), text("subject", &i.Subject),
		text("user_id", &i.UserID), text("name", &i.Name), moment("created", &i.Created), moment("last_used", &i.LastUsed),
	}
})

const thisIdentity = "external = $1 AND issuer = $2 AND subject = $3"

func (x *tx) Identity(external, issuer, subject string) (*store.Identity, error) {
	return identities.one(x, thisIdentity, external, issuer, subject)
}

func (x *tx) IdentitiesOf(userID string) ([]store.Identity, error) {
	return identities.where(x, "user_id = $1 ORDER BY created, external, subject", userID)
}

func (x *tx) PutIdentity(i store.Identity) error {
	i.Name = cleanText(i.Name)
	return identities.put(x, i)
}

func (x *tx) DeleteIdentity(external, issuer, subject string) error {
	return identities.delete(x, thisIdentity, external, issuer, subject)
}

var accessKeys = newTable("access_keys", 1, func(k *store.AccessKey) []column {
	return []column{
		text("id", &k.ID), text("user_id", &k.UserID), digest("hash", &k.Hash),
		moment("created", &k.Created), moment("expires", &k.Expires), moment("last_used", &k.LastUsed),
	}
})

func (x *tx) AccessKey(hash store.Hash) (*store.AccessKey, error) {
	return accessKeys.one(x, "hash = $1", hash[:])
}

func (x *tx) AccessKeysOf(userID string) ([]store.AccessKey, error) {
	return accessKeys.where(x, "user_id = $1 ORDER BY created, id", userID)
}

func (x *tx) PutAccessKey(k store.AccessKey) error { return accessKeys.put(x, k) }

func (x *tx) DeleteAccessKey(id string) error { return accessKeys.delete(x, "id = $1", id) }

package provider

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
)

const (
	rs256 = "RS256"
	es256 = "ES256"

	// keyColumn is the column of sealed keys, for package vault.
	keyColumn = "signing_key"
	// keysRefresh is how soon a node learns of keys that another one made.
	keysRefresh = 5 * time.Second
)

var algs = []string{rs256, es256}

// Keys are the signing keys. They are kept in the database, sealed, and cached for
// a few seconds. It is safe for concurrent use.
type Keys struct {
	store store.Store
	vault vault.Vault
	now   func() time.Time

	mu      sync.Mutex
	read    time.Time
	rows    []store.SigningKey
	signers map[string]crypto.Signer // opened keys by id
}

// NewKeys returns Keys.
func NewKeys(s store.Store, v vault.Vault, now func() time.Time) *Keys {
	return &Keys{store: s, vault: v, now: now, signers: make(map[string]crypto.Signer)}
}

// signer returns the key that currently signs.
func (k *Keys) signer(ctx context.Context, alg string) (kid string, _ crypto.Signer, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	rows, err := k.load(ctx)
	if err != nil {
		return "", nil, err
	}
	row := activeKey(rows, alg, k.now())
	if row == nil {
		return "", nil, fmt.Errorf("there is no signing key for %q", alg)
	}
	signer, err := k.open(ctx, row)
	return row.ID, signer, err
}

// activeKey returns the key of an algorithm that began to sign last.
func activeKey(rows []store.SigningKey, alg string, now time.Time) (active *store.SigningKey) {
	for i, row := range rows {
		if row.Alg == alg && !row.Active.After(now) && (row.Retires.IsZero() || row.Retires.After(now)) && (active == nil || active.Active.Before(row.Active)) {
			active = &rows[i]
		}
	}
	return active
}

// public returns the published keys.
func (k *Keys) public(ctx context.Context) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	rows, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	var set []jose.JSONWebKey
	for _, row := range rows {
		if !row.Retires.IsZero() && !row.Retires.After(k.now()) {
			continue
		}
		signer, err := k.open(ctx, &row)
		if err != nil {
			return nil, err
		}
		set = append(set, jose.JSONWebKey{Key: signer.Public(), KeyID: row.ID, Algorithm: row.Alg, Use: "sig"})
	}
	return set, nil
}

func (k *Keys) librarySet(ctx context.Context) (goidc.JSONWebKeySet, error) {
	keys, err := k.public(ctx)
	return goidc.JSONWebKeySet{Keys: keys}, err
}

// load returns the keys, at most a few seconds old. It generates the first ones.
func (k *Keys) load(ctx context.Context) ([]store.SigningKey, error) {
	if age := k.now().Sub(k.read); k.rows != nil && age >= 0 && age < keysRefresh {
		return k.rows, nil
	}
	rows, err := k.list(ctx)
	if err != nil {
		return nil, err
	}
	for _, alg := range algs {
		if activeKey(rows, alg, k.now()) == nil {
			if rows, err = k.addFirst(ctx, alg); err != nil {
				return nil, err
			}
		}
	}
	k.rows, k.read = rows, k.now()
	for id := range k.signers {
		if !slices.ContainsFunc(rows, func(row store.SigningKey) bool { return row.ID == id }) {
			delete(k.signers, id)
		}
	}
	return rows, nil
}

func (k *Keys) list(ctx context.Context) (rows []store.SigningKey, err error) {
	err = k.store.View(ctx, func(tx store.Tx) error {
		rows, err = tx.SigningKeys()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load the signing keys: %w", err)
	}
	return rows, nil
}

// addFirst generates the key of an algorithm that has none, unless another node was
// faster, and returns all keys.
func (k *Keys) addFirst(ctx context.Context, alg string) (rows []store.SigningKey, err error) {
	fresh, err := k.newKey(ctx, alg, k.now())
	if err != nil {
		return nil, err
	}
	err = k.store.Update(ctx, func(tx store.Tx) error {
		if rows, err = tx.SigningKeys(); err != nil {
			return err
		}
		if activeKey(rows, alg, k.now()) != nil {
			return nil
		}
		rows = append(rows, *fresh)
		return tx.PutSigningKey(*fresh)
	})
	if err != nil {
		return nil, fmt.Errorf("add a signing key: %w", err)
	}
	return rows, nil
}

// newKey generates and seals a key.
func (k *Keys) newKey(ctx context.Context, alg string, active time.Time) (*store.SigningKey, error) {
	var signer crypto.Signer
	var err error
	if alg == es256 {
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, fmt.Errorf("encode a signing key: %w", err)
	}
	row := &store.SigningKey{ID: rand.Text(), Alg: alg, Created: k.now(), Active: active}
	if row.Sealed, err = k.vault.Seal(ctx, row.ID, keyColumn, der); err != nil {
		return nil, fmt.Errorf("seal a signing key: %w", err)
	}
	return row, nil
}

// open returns the private key of a row.
func (k *Keys) open(ctx context.Context, row *store.SigningKey) (crypto.Signer, error) {
	if signer := k.signers[row.ID]; signer != nil {
		return signer, nil
	}
	der, err := k.vault.Open(ctx, row.ID, keyColumn, row.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open the signing key %s: %w", row.ID, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("decode the signing key %s: %w", row.ID, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("a signing key cannot sign")
	}
	k.signers[row.ID] = signer
	return signer, nil
}

package vault

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

const (
	// fileName is the storage key of the file with the keys. lockName is the name of its
	// lock.
	fileName = "oidc_idp/keys/vault.json"
	lockName = "oidc_idp/keys/vault"

	version    = 1
	idSize     = 8
	headSize   = 1 + idSize // length of the version and key id at the start of a sealed value
	secretSize = 32
)

// file is the content of the file. The oldest key comes first.
type file struct {
	Keys []secret `json:"keys"`
}

type secret struct {
	Secret  []byte    `json:"secret"`
	Created time.Time `json:"created"`
}

// ring contains the keys of the file, oldest first. It is never empty.
type ring struct {
	keys []*key
	read time.Time
}

func (r *ring) newest() *key { return r.keys[len(r.keys)-1] }
func (r *ring) oldest() *key { return r.keys[0] }

func (r *ring) find(id string) *key {
	for _, key := range r.keys {
		if key.id == id {
			return key
		}
	}
	return nil
}

// key contains the keys derived from one secret.
type key struct {
	id            string
	pepper, keyed [sha256.Size]byte
	aead          cipher.AEAD
}

func newKey(secret []byte) (*key, error) {
	if len(secret) != secretSize {
		return nil, fmt.Errorf("a key has %d bytes, not %d", len(secret), secretSize)
	}
	expand := func(purpose string, size int) []byte {
		out, err := hkdf.Expand(sha256.New, secret, "caddy-oidc-rp idp v1 "+purpose, size)
		if err != nil {
			panic(err) // only for sizes beyond 255 hashes
		}
		return out
	}
	block, err := aes.NewCipher(expand("seal", 32))
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make AEAD: %w", err)
	}
	return &key{
		id:     hex.EncodeToString(expand("id", idSize)),
		pepper: [sha256.Size]byte(expand("pepper", sha256.Size)),
		keyed:  [sha256.Size]byte(expand("keyed", sha256.Size)),
		aead:   aead,
	}, nil
}

func (k *key) seal(row, column string, value []byte) ([]byte, error) {
	id, err := hex.DecodeString(k.id)
	if err != nil {
		return nil, err
	}
	head := append([]byte{version}, id...)
	return k.aead.Seal(head, nil, value, additionalData(head, row, column)), nil
}

func (k *key) open(row, column string, sealed []byte) ([]byte, error) {
	head := sealed[:headSize]
	value, err := k.aead.Open(nil, nil, sealed[headSize:], additionalData(head, row, column))
	if err != nil {
		return nil, ErrBroken
	}
	return value, nil
}

// additionalData binds a sealed value to its row and column. It is unambiguous: the
// length of the row comes first.
func additionalData(head []byte, row, column string) []byte {
	data := append(bytes.Clone(head), strconv.Itoa(len(row))...)
	data = append(data, ':')
	data = append(data, row...)
	return append(data, column...)
}

// change reads the file, adds a key if add is true or there is none, and stores the
// resulting ring in k.
func (k *Keys) change(ctx context.Context, add bool) (*ring, error) {
	found, err := k.readFile(ctx)
	if err != nil {
		return nil, err
	}
	if add || len(found.Keys) == 0 {
		if found, err = k.addKey(ctx, add); err != nil {
			return nil, err
		}
	}
	ring := &ring{read: k.now()}
	for _, s := range found.Keys {
		key, err := newKey(s.Secret)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fileName, err)
		}
		ring.keys = append(ring.keys, key)
	}
	k.ring.Store(ring)
	return ring, nil
}

// addKey adds a key to the file, under the lock. Unless wanted is true, it adds none if
// another node has meanwhile created the first key.
func (k *Keys) addKey(ctx context.Context, wanted bool) (found file, err error) {
	unlock, err := clusterstore.Lock(ctx, k.storage, lockName)
	if err != nil {
		return found, fmt.Errorf("lock: %w", err)
	}
	defer unlock()
	if found, err = k.readFile(ctx); err != nil || len(found.Keys) > 0 && !wanted {
		return found, err
	}
	fresh := secret{Secret: make([]byte, secretSize), Created: k.now().UTC().Truncate(time.Second)}
	rand.Read(fresh.Secret)
	found.Keys = append(found.Keys, fresh)
	return found, k.writeFile(ctx, found)
}

func (k *Keys) writeFile(ctx context.Context, f file) error {
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode keys: %w", err)
	}
	if err := k.storage.Store(ctx, fileName, data); err != nil {
		return fmt.Errorf("store keys: %w", err)
	}
	return nil
}

// readFile reads the file. A missing file has no keys. A damaged file is an error:
// replacing it would make all existing values unreadable.
func (k *Keys) readFile(ctx context.Context) (found file, err error) {
	data, err := k.storage.Load(ctx, fileName)
	if errors.Is(err, fs.ErrNotExist) {
		return file{}, nil
	}
	if err != nil {
		return file{}, fmt.Errorf("load keys: %w", err)
	}
	if err := json.Unmarshal(data, &found); err != nil || len(found.Keys) == 0 {
		return file{}, fmt.Errorf("%s is damaged: restore it from a backup", fileName)
	}
	return found, nil
}

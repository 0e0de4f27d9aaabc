// Package seal encrypts and authenticates what the browser carries for us.
//
// A sealed value opens only for the purpose and the additional data that it was sealed
// with. Every purpose has keys of its own, derived with HKDF (RFC 5869), and AES-256-GCM
// authenticates the additional data (such as the site and the cookie's name). A ring has
// several keys, so that they can be rotated: the first one seals, and all of them open.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
)

// Purpose is what a value is sealed for. Each purpose has keys of its own.
type Purpose string

// The purposes of this project.
const (
	ForSession     Purpose = "session"
	ForTransaction Purpose = "transaction"
	ForIDToken     Purpose = "id_token_hint"
	ForLogout      Purpose = "logout confirmation"
	ForTicket      Purpose = "session ticket"
	ForProvider    Purpose = "provider documents"
	ForMark        Purpose = "sign-in mark"
	ForChoice      Purpose = "chosen provider"
	ForLast        Purpose = "last session"
	ForHandover    Purpose = "handover"
)

var purposes = [...]Purpose{ForSession, ForTransaction, ForIDToken, ForLogout, ForTicket, ForProvider, ForMark, ForChoice, ForLast, ForHandover}

// MinSecret is the minimum length of a secret in bytes.
const MinSecret = 32

const (
	version    = 1
	keyIDSize  = 4
	nonceSize  = 12
	tagSize    = 16
	headerSize = 1 + keyIDSize
	overhead   = headerSize + nonceSize + tagSize
)

var strict = base64.RawURLEncoding.Strict()

// ErrUnknownKey is returned by Open for a value that was sealed with a key that is
// not in the ring. A newer ring may have it.
var ErrUnknownKey = errors.New("sealed with a key that is not in the ring")

// ErrBroken is returned by Open for a value that was not sealed by us, was changed,
// or was sealed for another purpose or additional data.
var ErrBroken = errors.New("does not open")

// Ring is an immutable set of keys. The first one seals, all open.
type Ring struct {
	keys   []derived
	serial uint64
}

var rings atomic.Uint64

// Serial returns a number that is unique among the rings of this process, for use
// in cache keys.
func (r *Ring) Serial() uint64 { return r.serial }

type derived struct {
	id    uint32
	prk   []byte // for Seeds
	aeads [len(purposes)]cipher.AEAD
}

// NewRing returns a ring with keys derived from secrets of at least MinSecret bytes
// each. The first one seals.
func NewRing(secrets ...[]byte) (*Ring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("a ring needs at least one secret")
	}
	ring := &Ring{keys: make([]derived, 0, len(secrets)), serial: rings.Add(1)}
	for _, secret := range secrets {
		if len(secret) < MinSecret {
			return nil, fmt.Errorf("a secret needs at least %d bytes, this one has %d", MinSecret, len(secret))
		}
		key, err := derive(secret)
		if err != nil {
			return nil, err
		}
		ring.keys = append(ring.keys, key)
	}
	return ring, nil
}

// IDs returns the ids of the keys in hexadecimal, as in the values that they
// sealed. Ids reveal nothing else about the keys.
func (r *Ring) IDs() []string {
	ids := make([]string, len(r.keys))
	for i := range r.keys {
		ids[i] = fmt.Sprintf("%08x", r.keys[i].id)
	}
	return ids
}

// Seeds returns a secret of the given size for each key of the ring, from which to
// derive keys of other kinds. Each purpose has seeds of its own.
func (r *Ring) Seeds(purpose string, size int) ([][]byte, error) {
	seeds := make([][]byte, len(r.keys))
	for i := range r.keys {
		var err error
		if seeds[i], err = hkdf.Expand(sha256.New, r.keys[i].prk, "caddy-oidc-rp v1 seed "+purpose, size); err != nil {
			return nil, fmt.Errorf("expand seed: %w", err)
		}
	}
	return seeds, nil
}

func derive(secret []byte) (derived, error) {
	var d derived
	prk, err := hkdf.Extract(sha256.New, secret, nil)
	if err != nil {
		return d, fmt.Errorf("extract key: %w", err)
	}
	id, err := hkdf.Expand(sha256.New, prk, "caddy-oidc-rp v1 key id", keyIDSize)
	if err != nil {
		return d, fmt.Errorf("expand key id: %w", err)
	}
	d.id, d.prk = binary.BigEndian.Uint32(id), prk
	for i, purpose := range purposes {
		key, err := hkdf.Expand(sha256.New, prk, "caddy-oidc-rp v1 seal "+string(purpose), 32)
		if err != nil {
			return d, fmt.Errorf("expand key: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return d, fmt.Errorf("make cipher: %w", err)
		}
		if d.aeads[i], err = cipher.NewGCM(block); err != nil {
			return d, fmt.Errorf("make AEAD: %w", err)
		}
	}
	return d, nil
}

func (p Purpose) index() int {
	for i, known := range purposes {
		if p == known {
			return i
		}
	}
	panic("seal: unknown purpose " + string(p))
}

// Seal encrypts plain for a purpose with additional data. It returns text that is
// valid in a cookie.
func (r *Ring) Seal(purpose Purpose, aad string, plain []byte) string {
	key := &r.keys[0]
	sealed := make([]byte, headerSize+nonceSize, overhead+len(plain))
	sealed[0] = version
	binary.BigEndian.PutUint32(sealed[1:], key.id)
	nonce := sealed[headerSize : headerSize+nonceSize]
	rand.Read(nonce) // never fails
	sealed = key.aeads[purpose.index()].Seal(sealed, nonce, plain, []byte(aad))
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// OpenSize returns the size in bytes of the buffer that OpenIn needs.
func OpenSize(aad, text string) int { return strict.DecodedLen(len(text)) + len(aad) }

// Open decrypts what Seal returned for the same purpose and additional data. stale
// reports whether it was sealed with another key than the first, so that the caller
// can seal it again. The errors are ErrUnknownKey and ErrBroken.
func (r *Ring) Open(purpose Purpose, aad, text string) (plain []byte, stale bool, err error) {
	return r.OpenIn(nil, purpose, aad, text)
}

// OpenIn is Open with a buffer, which holds the plaintext afterwards if its
// capacity is at least OpenSize.
func (r *Ring) OpenIn(buffer []byte, purpose Purpose, aad, text string) (plain []byte, stale bool, err error) {
	size := strict.DecodedLen(len(text))
	if size < overhead {
		return nil, false, ErrBroken
	}
	// One buffer for the decoded text, which is opened in place, and the aad.
	if need := OpenSize(aad, text); cap(buffer) >= need {
		buffer = buffer[:need]
	} else {
		buffer = make([]byte, need)
	}
	associated := buffer[size:]
	copy(associated, aad)
	// Accept only the canonical text of a value: no trailing bits, and none of the line
	// ends that the decoder ignores.
	n, err := strict.Decode(buffer[:size], []byte(text))
	if err != nil || n < overhead || strict.EncodedLen(n) != len(text) || buffer[0] != version {
		return nil, false, ErrBroken
	}
	id := binary.BigEndian.Uint32(buffer[1:])
	nonce, sealed := buffer[headerSize:headerSize+nonceSize], buffer[headerSize+nonceSize:n]
	for i := range r.keys {
		if r.keys[i].id != id {
			continue
		}
		plain, err = r.keys[i].aeads[purpose.index()].Open(sealed[:0], nonce, sealed, associated)
		if err != nil {
			return nil, false, ErrBroken // ids hardly ever collide, and the buffer is overwritten
		}
		return plain, i > 0, nil
	}
	return nil, false, ErrUnknownKey
}

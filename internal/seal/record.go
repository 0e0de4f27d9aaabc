package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// RecordSecret opens one record of a session store, and determines its name.
// Nothing in the store itself opens a record. Each record has a new secret, which
// leaves the process only sealed, as a ticket.
type RecordSecret [32]byte

// NewRecordSecret returns a random secret.
func NewRecordSecret() (s RecordSecret) {
	rand.Read(s[:])
	return s
}

// Name returns the name of the record. It reveals nothing about the secret.
func (s *RecordSecret) Name() (string, error) {
	name, err := hkdf.Expand(sha256.New, s[:], "caddy-oidc-rp v1 record name", 16)
	if err != nil {
		return "", fmt.Errorf("expand record name: %w", err)
	}
	return hex.EncodeToString(name), nil
}

func (s *RecordSecret) aead() (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, s[:], "caddy-oidc-rp v1 record key", 32)
	if err != nil {
		return nil, fmt.Errorf("expand record key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make AEAD: %w", err)
	}
	return aead, nil
}

// Seal encrypts a record with additional data.
func (s *RecordSecret) Seal(aad string, plain []byte) ([]byte, error) {
	aead, err := s.aead()
	if err != nil {
		return nil, err
	}
	record := make([]byte, 1, 1+len(plain)+aead.Overhead())
	record[0] = version
	return aead.Seal(record, nil, plain, []byte(aad)), nil
}

// Open decrypts what Seal returned for the same additional data. It returns
// ErrBroken for anything else. It does not modify record.
func (s *RecordSecret) Open(aad string, record []byte) ([]byte, error) {
	if len(record) < 1 || record[0] != version {
		return nil, ErrBroken
	}
	aead, err := s.aead()
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, record[1:], []byte(aad))
	if err != nil {
		return nil, ErrBroken
	}
	return plain, nil
}

// Package accesskey implements the access keys of programs: their form, the file that
// lists their hashes, and their verification.
//
// A key is random, so that a plain hash of it tells nothing, and the file can be read
// by whoever may read configurations. The package knows files and the time. It does
// not know requests: where a key is in one, package program knows.
package accesskey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
)

const (
	// maxName is the maximum length of a name.
	maxName = 64
	// secretBytes is the number of random bytes in a key, and secretSize that of
	// the characters encoding them.
	secretBytes, secretSize = 32, 43
	checksumSize            = 8
	// tailSize is the length of what follows a name: the secret and the checksum,
	// each after an underscore.
	tailSize = 1 + secretSize + 1 + checksumSize
	// maxKey is the maximum length of a key.
	maxKey = len(program.KeyPrefix) + maxName + tailSize
)

// Hash is the SHA-256 of a key, which files contain.
type Hash [sha256.Size]byte

// HashOf returns the hash of a key.
func HashOf(key string) Hash {
	var room [maxKey]byte // most are copied without an allocation
	return sha256.Sum256(append(room[:0], key...))
}

// New returns a new key for a program of this name.
func New(name string) (key string, err error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	var secret [secretBytes]byte
	rand.Read(secret[:])
	key = program.KeyPrefix + name + "_" + base64.RawURLEncoding.EncodeToString(secret[:])
	sum := checksumOf(key)
	return key + "_" + string(sum[:]), nil
}

var (
	errForm     = errors.New("it has not the form of an access key: orp_<name>_<43 characters>_<checksum>")
	errChecksum = errors.New("its checksum is wrong: a character is missing or another one")
)

// NameIn returns the name in a key, if it has the form of one. It is cheap, and
// proves nothing.
func NameIn(key string) (name string, err error) {
	end := len(key) - tailSize
	if len(key) > maxKey || end <= len(program.KeyPrefix) || !strings.HasPrefix(key, program.KeyPrefix) {
		return "", errForm
	}
	name = key[len(program.KeyPrefix):end]
	secret, checksum := key[end+1:end+1+secretSize], key[len(key)-checksumSize:]
	if !isName(name) || key[end] != '_' || key[end+1+secretSize] != '_' || !isSecret(secret) {
		return "", errForm
	}
	if sum := checksumOf(key[:len(key)-checksumSize-1]); checksum != string(sum[:]) {
		return "", errChecksum
	}
	return name, nil
}

// checksumOf returns the checksum of the preceding part of a key. It detects typing
// errors and has no security function.
func checksumOf(text string) (hex [checksumSize]byte) {
	const digits = "0123456789abcdef"
	var room [maxKey]byte
	sum := crc32.ChecksumIEEE(append(room[:0], text...))
	for i := range hex {
		hex[i] = digits[sum>>28]
		sum <<= 4
	}
	return hex
}

// CheckName returns an error for what cannot be a key's name.
func CheckName(name string) error {
	if !isName(name) {
		return fmt.Errorf("the name of an access key is made of 1 to %d letters, digits, and . _ -", maxName)
	}
	return nil
}

func isName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func isSecret(text string) bool {
	for i := range len(text) {
		if c := text[i]; !isAlphanumeric(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

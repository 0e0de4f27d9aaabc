package passwords

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// params are the cost parameters of an argon2 hash.
type params struct {
	variant string // argon2id or argon2i
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// ours are the parameters of new hashes. They are constant, because all nodes must agree
// on them, and because hashing times must not distinguish accounts.
var ours = params{variant: "argon2id", memory: 64 << 10, time: 3, threads: 2}

const (
	saltSize = 16
	hashSize = 32

	// Limits for imported hashes.
	maxMemory     = 256 << 10 // KiB
	maxTime       = 10
	maxThreads    = 16
	maxBcryptCost = 13
	maxBcrypt     = 72 // length of a password in bytes
	maxEncoded    = 512
)

// encoded is an argon2 hash. String returns it in PHC string format:
// $argon2id$v=19$m=65536,t=3,p=2,keyid=0123456789abcdef$salt$hash. keyid is the id of the
// key that the password was keyed with. Imported hashes have none.
type encoded struct {
	params
	keyID      string
	salt, hash []byte
}

func (e *encoded) String() string {
	key := ""
	if e.keyID != "" {
		key = ",keyid=" + e.keyID
	}
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d%s$%s$%s", e.variant, argon2.Version, e.memory, e.time, e.threads, key,
		base64.RawStdEncoding.EncodeToString(e.salt), base64.RawStdEncoding.EncodeToString(e.hash))
}

var errEncoding = errors.New("this is not a hash of argon2id, argon2i or bcrypt")

// parse parses an argon2 hash, and checks that its costs are within the limits.
func parse(text string) (*encoded, error) {
	parts := strings.Split(text, "$")
	if len(text) > maxEncoded || len(parts) != 6 || parts[0] != "" {
		return nil, errEncoding
	}
	if parts[1] != "argon2id" && parts[1] != "argon2i" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, errEncoding
	}
	e := &encoded{params: params{variant: parts[1]}}
	if err := e.parseParams(parts[3]); err != nil {
		return nil, err
	}
	var err error
	if e.salt, err = decode(parts[4], 8, 64); err != nil {
		return nil, err
	}
	e.hash, err = decode(parts[5], 16, 64)
	return e, err
}

func decode(text string, min, max int) ([]byte, error) {
	data, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || len(data) < min || len(data) > max {
		return nil, errEncoding
	}
	return data, nil
}

func (e *encoded) parseParams(text string) error {
	numbers := map[string]uint64{}
	for i, param := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(param, "=")
		if i == 3 && name == "keyid" && isKeyID(value) {
			e.keyID = value
			continue
		}
		number, err := strconv.ParseUint(value, 10, 32)
		if err != nil || i > 2 || name != []string{"m", "t", "p"}[i] {
			return errEncoding
		}
		numbers[name] = number
	}
	m, t, p := numbers["m"], numbers["t"], numbers["p"]
	switch {
	case m > maxMemory:
		return fmt.Errorf("argon2 with %d KiB: more than %d would let a sign-in take too much memory", m, maxMemory)
	case t > maxTime:
		return fmt.Errorf("argon2 with %d passes: more than %d would let a sign-in take too long", t, maxTime)
	case p > maxThreads || p < 1 || t < 1 || m < 8*p:
		return errEncoding
	}
	e.memory, e.time, e.threads = uint32(m), uint32(t), uint8(p)
	return nil
}

func isKeyID(text string) bool {
	return text != "" && len(text) <= 64 && !strings.ContainsFunc(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'f')
	})
}

// checkBcrypt returns an error if text is not a bcrypt hash, or if its cost is too high.
func checkBcrypt(text string) error {
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil || len(text) != 60 {
		return errEncoding
	}
	if cost > maxBcryptCost {
		return fmt.Errorf("bcrypt with cost %d: more than %d would let a sign-in take too long", cost, maxBcryptCost)
	}
	return nil
}

package passwords

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
)

// Passwords hashes and verifies passwords. There should be only one in a process, because
// it limits what hashes take. It is safe for concurrent use.
type Passwords struct {
	vault Vault
	queue *queue
	room  room
	costs params // of new hashes

	measured measured
	turns    atomic.Int64 // nanoseconds that each verification occupies the queue; zero for as long as needed
}

// New returns a Passwords that uses the keys of a vault.
func New(vault Vault) *Passwords {
	p := &Passwords{vault: vault, queue: newQueue(), costs: ours}
	if lowCosts.Load() {
		p.SetLowCosts()
	}
	return p
}

// lowCosts is set by UseLowCosts.
var lowCosts atomic.Bool

// UseLowCosts calls SetLowCosts on everything that New returns from now on. Only tests of
// complete programs call it.
func UseLowCosts() { lowCosts.Store(true) }

// SetLowCosts makes hashes take next to no time. Only tests call it.
func (p *Passwords) SetLowCosts() {
	p.costs = params{variant: ours.variant, memory: 64, time: 1, threads: 1}
}

// errPassword reports a password that is unacceptable whatever the rules.
var errPassword = errors.New("this cannot be a password: it is empty, too long, or no text")

// Hash returns the encoded hash of a user's new password, with everything needed to
// verify it. The hash is bound to the user's ID.
func (p *Passwords) Hash(ctx context.Context, caller Caller, userID, password string) (string, error) {
	password, ok := authenticator.Normalize(password)
	if !ok {
		return "", errPassword
	}
	release, err := p.queue.acquire(ctx, caller, 1)
	if err != nil {
		return "", err
	}
	defer release()
	return p.hash(ctx, userID, password)
}

// hash is Hash for a caller that has a slot.
func (p *Passwords) hash(ctx context.Context, userID, password string) (string, error) {
	e := &encoded{params: p.costs, salt: make([]byte, saltSize)}
	rand.Read(e.salt)
	key, id, err := p.pepper(ctx, "", userID, password)
	if err != nil {
		return "", err
	}
	e.keyID = id
	e.hash = p.argon2(key, e.salt, e.params, hashSize)
	return e.String(), nil
}

func (p *Passwords) pepper(ctx context.Context, keyID, userID, password string) (key []byte, id string, err error) {
	key, id, err = p.vault.Pepper(ctx, keyID, []byte(userID+"\x00"+password))
	if err != nil {
		return nil, "", fmt.Errorf("key password: %w", err)
	}
	return key, id, nil
}

// argon2 computes a hash, within the memory that p.room allows.
func (p *Passwords) argon2(password, salt []byte, costs params, size int) []byte {
	defer p.room.enter(costs.memory)()
	if costs.variant == "argon2i" {
		return argon2.Key(password, salt, costs.time, costs.memory, costs.threads, uint32(size))
	}
	return argon2.IDKey(password, salt, costs.time, costs.memory, costs.threads, uint32(size))
}

// Verify reports whether password matches hash. An empty hash, for users who do not exist
// or have no password, takes the same time and the same share of the queue. If the hash
// is outdated and the password matches, upgraded is the hash to store instead.
func (p *Passwords) Verify(ctx context.Context, caller Caller, userID, hash, password string) (ok bool, upgraded string, err error) {
	turn, err := p.takeTurn(ctx, caller, hash)
	if err != nil {
		return false, "", err
	}
	defer turn.end(ctx)
	return p.verify(ctx, userID, hash, password)
}

// verify is Verify for a caller that has the slots.
func (p *Passwords) verify(ctx context.Context, userID, hash, password string) (ok bool, upgraded string, err error) {
	password, possible := authenticator.Normalize(password)
	if hash, imported := strings.CutPrefix(hash, importedPrefix); imported {
		return p.verifyImported(ctx, userID, hash, password)
	}
	if hash == "" {
		return false, "", p.dummy(ctx)
	}
	e, err := parse(hash)
	if err != nil {
		return false, "", fmt.Errorf("hash of a password: %w", err)
	}
	key, _, err := p.pepper(ctx, e.keyID, userID, password)
	if err != nil {
		return false, "", err
	}
	ok = p.matches(e, key) && possible
	if _, newest, err := p.pepper(ctx, "", "", ""); ok && err == nil && (e.params != p.costs || e.keyID != newest) {
		upgraded, err = p.hash(ctx, userID, password)
		return ok, upgraded, err
	}
	return ok, "", nil
}

func (p *Passwords) matches(e *encoded, password []byte) bool {
	return subtle.ConstantTimeCompare(e.hash, p.argon2(password, e.salt, e.params, len(e.hash))) == 1
}

// dummy takes as long as computing a hash.
func (p *Passwords) dummy(ctx context.Context) error {
	_, err := p.hash(ctx, "", "dummy")
	return err
}

package accesskey

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/expiring"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

const (
	// remembered is how long the answer about a key counts: a key that is removed
	// counts no longer after that.
	remembered = 3 * time.Second
	// maxRemembered bounds the keys that are remembered.
	maxRemembered = 10_000
	// lookupTimeout bounds one question, and retryAfter is when to ask again after
	// one that had no answer.
	lookupTimeout, retryAfter = 5 * time.Second, 5 * time.Second
)

// ErrUnknown is returned by a Lookup for a key that does not count.
var ErrUnknown = errors.New("no such access key")

// Lookup returns what another keeper of keys says of one.
type Lookup func(ctx context.Context, key string) (*Line, error)

// Remote are keys that something else keeps. Its word counts for a few seconds. It is
// a program.Verifier.
type Remote struct {
	lookup Lookup
	now    func() time.Time

	mu   sync.Mutex
	good expiring.Map[Hash, *answer]
}

// answer is what is known about a key that counts.
type answer struct {
	key   key
	until time.Time
}

var _ program.Verifier = (*Remote)(nil)

// NewRemote returns a verifier that has asked nothing yet.
func NewRemote(lookup Lookup, now func() time.Time) *Remote {
	return &Remote{lookup: lookup, now: now, good: expiring.Map[Hash, *answer]{Within: remembered, Max: maxRemembered}}
}

// Kind implements program.Verifier.
func (r *Remote) Kind() program.Kind { return program.Key }

// Recognizes implements program.Verifier.
func (r *Remote) Recognizes(token string) bool { return strings.HasPrefix(token, program.KeyPrefix) }

// Verify implements program.Verifier. What has not the form of a key is never asked
// about, and what is no key is not remembered: others cannot fill the memory.
func (r *Remote) Verify(ctx context.Context, token string) (*sessionstore.Loaded, error) {
	name, err := NameIn(token)
	if err != nil {
		return nil, &program.Refusal{Reason: err.Error()}
	}
	now, hash := r.now(), HashOf(token)
	known := r.known(hash, now)
	if known == nil {
		if known, err = r.ask(ctx, token, hash, now); err != nil {
			return nil, err
		}
	}
	switch {
	case known.key.Name != name:
		return nil, &program.Refusal{Reason: "its keeper knows the access key by another name"}
	case known.key.IsExpired(now):
		return nil, &program.Refusal{Reason: "the access key has expired", Session: &known.key.session().Session}
	}
	return known.key.session(), nil
}

func (r *Remote) known(hash Hash, now time.Time) *answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a, ok := r.good.Get(hash); ok && now.Before(a.until) {
		return a
	}
	return nil
}

func (r *Remote) ask(ctx context.Context, token string, hash Hash, now time.Time) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	line, err := r.lookup(ctx, token)
	if errors.Is(err, ErrUnknown) {
		return nil, &program.Refusal{Reason: err.Error()}
	}
	if err != nil {
		return nil, &program.UnavailableError{Err: err, RetryAfter: retryAfter}
	}
	a := &answer{key: key{Line: *line}, until: now.Add(remembered)}
	a.key.Hash = hash
	r.mu.Lock()
	defer r.mu.Unlock()
	r.good.Put(hash, a, now)
	return a, nil
}

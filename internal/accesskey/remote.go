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
	// remembered is how long the result of a lookup is cached, and so how long a
	// removed key remains valid.
	remembered = 3 * time.Second
	// maxRemembered is the maximum number of cached keys.
	maxRemembered = 10_000
	// lookupTimeout limits a lookup, and retryAfter is the wait after a failed one.
	lookupTimeout, retryAfter = 5 * time.Second, 5 * time.Second
)

// ErrUnknown is returned by a Lookup for a key that is not valid.
var ErrUnknown = errors.New("no such access key")

// Lookup looks a key up elsewhere.
type Lookup func(ctx context.Context, key string) (*Line, error)

// Remote verifies keys that are kept elsewhere. It caches results for a few
// seconds. It is a program.Verifier.
type Remote struct {
	lookup Lookup
	now    func() time.Time

	mu   sync.Mutex
	good expiring.Map[Hash, *answer]
}

// answer is the cached result for a valid key.
type answer struct {
	key   key
	until time.Time
}

var _ program.Verifier = (*Remote)(nil)

// NewRemote returns a Remote with an empty cache.
func NewRemote(lookup Lookup, now func() time.Time) *Remote {
	return &Remote{lookup: lookup, now: now, good: expiring.Map[Hash, *answer]{Within: remembered, Max: maxRemembered}}
}

// Kind implements program.Verifier.
func (r *Remote) Kind() program.Kind { return program.Key }

// Recognizes implements program.Verifier.
func (r *Remote) Recognizes(token string) bool { return strings.HasPrefix(token, program.KeyPrefix) }

// Verify implements program.Verifier. It does not look up tokens without the form
// of a key, and does not cache unknown keys, so that clients cannot fill the cache.
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

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
	// remoteFor is how long a key counts, or does not, without another look: a
	// removed one ends within twice that.
	remoteFor = 2 * time.Second
	remoteMax = 10_000
)

// ErrUnknown is what Remote's Find returns for what is no key, or none any more.
var ErrUnknown = errors.New("this is no access key of the identity provider")

// Remote are the access keys of somebody else. It is safe for concurrent use.
type Remote struct {
	// Find returns the line that a key would have in a file. The error is
	// ErrUnknown, or the keys cannot be judged now.
	Find func(ctx context.Context, key string) (Line, error)
	Now  func() time.Time

	mu    sync.Mutex
	known expiring.Map[Hash, *remote]
}

// remote is what was found out about a key; loaded is nil for one that is none.
type remote struct {
	loaded *sessionstore.Loaded
	since  time.Time
}

// Kind implements program.Verifier.
func (r *Remote) Kind() program.Kind { return program.Key }

// Recognizes implements program.Verifier.
func (r *Remote) Recognizes(token string) bool { return strings.HasPrefix(token, program.KeyPrefix) }

// Verify implements program.Verifier.
func (r *Remote) Verify(ctx context.Context, token string) (*sessionstore.Loaded, error) {
	if _, err := NameIn(token); err != nil {
		return nil, &program.Refusal{Reason: err.Error()}
	}
	hash, now := HashOf(token), r.Now()
	found := r.remembered(hash, now)
	if found == nil {
		line, err := r.Find(ctx, token)
		switch {
		case errors.Is(err, ErrUnknown):
			found = &remote{since: now}
		case err != nil:
			return nil, &program.UnavailableError{Err: err, RetryAfter: time.Second}
		default:
			line.Hash = hash
			found = &remote{loaded: (&key{Line: line}).session(), since: now}
		}
		r.remember(hash, found, now)
	}
	switch {
	case found.loaded == nil:
		return nil, &program.Refusal{Reason: ErrUnknown.Error()}
	case !found.loaded.Session.Expires.IsZero() && !now.Before(found.loaded.Session.Expires):
		return nil, &program.Refusal{Reason: "the access key has expired", Session: &found.loaded.Session}
	}
	return found.loaded, nil
}

func (r *Remote) remembered(hash Hash, now time.Time) *remote {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.known.Get(hash)
	if !ok || now.Before(found.since) || now.Sub(found.since) >= remoteFor {
		return nil
	}
	return found
}

func (r *Remote) remember(hash Hash, found *remote, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known.Within, r.known.Max = remoteFor, remoteMax
	r.known.Put(hash, found, now)
}

var _ program.Verifier = (*Remote)(nil)

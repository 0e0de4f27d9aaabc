package bearer

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

const (
	// MaxIntrospectionAge is the longest time for which an introspection response
	// is cached.
	MaxIntrospectionAge = 30 * time.Second
	// negativeAge is how long a refusal is cached.
	negativeAge = 5 * time.Second
	// maxOpaque is the maximum size in bytes of a token to introspect.
	maxOpaque = 8 << 10
	// maxCalls limits concurrent introspections.
	maxCalls = 32
)

// Ask introspects a token at a provider.
type Ask func(ctx context.Context, token string) (*op.AccessToken, error)

// Introspector verifies tokens by introspection. It is safe for concurrent use.
type Introspector struct {
	ask     Ask
	users   Users
	age     time.Duration
	revoked Revocations
	now     func() time.Time

	memory *memory
	calls  chan struct{}
	flight singleflight.Group
}

// NewIntrospector returns an Introspector. Responses are cached for age, at most
// MaxIntrospectionAge; zero disables caching.
func NewIntrospector(ask Ask, users Users, age time.Duration, revoked Revocations, now func() time.Time) *Introspector {
	return &Introspector{
		ask: ask, users: users, age: min(age, MaxIntrospectionAge), revoked: revoked, now: now,
		memory: newMemory(MaxIntrospectionAge), calls: make(chan struct{}, maxCalls),
	}
}

// Kind implements program.Verifier.
func (i *Introspector) Kind() program.Kind { return program.Introspection }

// Recognizes implements program.Verifier. All tokens are for this verifier.
func (i *Introspector) Recognizes(string) bool { return true }

var errNoToken = &program.Refusal{Reason: string(op.ReasonMalformed) + ": it is empty, has more than 8 KiB, or has characters that no bearer token has"}

// errKey refuses an access key, which must not be sent to a provider.
var errKey = &program.Refusal{Reason: "it is an access key, and none is accepted here"}

// Verify implements program.Verifier.
func (i *Introspector) Verify(ctx context.Context, token string) (*sessionstore.Loaded, error) {
	if len(token) > maxOpaque || !isB64Token(token) {
		return nil, errNoToken
	}
	if strings.HasPrefix(token, program.KeyPrefix) {
		return nil, errKey
	}
	now := i.now()
	k := i.memory.keyOf(token)
	if e := i.memory.get(&k, now); e != nil {
		return i.revoked.confirm(ctx, e)
	}
	if err := i.memory.refusal(&k, now); err != nil {
		return nil, err
	}
	answer := i.flight.DoChan(string(k.sum[:]), func() (any, error) { return i.look(context.WithoutCancel(ctx), k, token) })
	select {
	case <-ctx.Done():
		return nil, &program.UnavailableError{Err: context.Cause(ctx), RetryAfter: retryAfter}
	case result := <-answer:
		if result.Err != nil {
			return nil, result.Err
		}
		return i.revoked.confirm(ctx, result.Val.(*entry))
	}
}

var errBusy = errors.New("too many tokens are being checked")

// look introspects a token and caches the result.
func (i *Introspector) look(ctx context.Context, k key, token string) (*entry, error) {
	if i.users.Disabled {
		return nil, errDisabled
	}
	select {
	case i.calls <- struct{}{}:
		defer func() { <-i.calls }()
	default:
		return nil, &program.UnavailableError{Err: errBusy, RetryAfter: retryAfter}
	}
	asked := i.now() // the response is not older than this
	checked, err := i.ask(ctx, token)
	var e *entry
	if err != nil {
		err = failure(err)
	} else {
		e, err = i.users.accept(k, token, checked, asked)
	}
	if err != nil {
		if refusal := (*program.Refusal)(nil); errors.As(err, &refusal) {
			i.memory.putRefusal(&k, err, i.now())
		}
		return nil, err
	}
	e.until = asked.Add(i.age)
	if expires := checked.Expires; !expires.IsZero() && expires.Before(e.until) {
		e.until = expires
	}
	if i.age > 0 {
		i.memory.put(&k, e, asked)
	}
	return e, nil
}

// isB64Token reports whether a text has the form of a bearer token (RFC 6750 2.1).
func isB64Token(token string) bool {
	body := token
	for len(body) > 0 && body[len(body)-1] == '=' {
		body = body[:len(body)-1]
	}
	if body == "" {
		return false
	}
	for _, c := range []byte(body) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return true
}

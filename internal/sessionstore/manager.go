// Package sessionstore keeps the sessions of one instance of the directive: sealed in the
// browser's cookies, or as records in a store, with a ticket in the browser's cookie. It
// opens cookies, caches what it opened, and checks whether a session is still valid: that
// it has not expired and was not revoked.
//
// A Manager is created when a configuration is loaded, from a Config and either Cookies or
// Records:
//
//   - Config has what depends on the instance: the cache that all instances share, the
//     clock, the two times that limit a session, the issuer of a session, and functions to
//     call when a session is opened or too large.
//   - Cookies and Records have what depends on where sessions are kept, and what nodes
//     share there.
//
// For each request the Manager gets the keys, a cookie's value and its additional data. It
// returns a *Loaded, or the values of cookies to set.
//
// The package does not know requests, responses, cookie names, providers, configurations
// or loggers. It reports to operators by errors and the functions of Config. It imports
// neither Caddy nor the public store package.
package sessionstore

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Manager keeps sessions. Errors other than those of this package mean that sessions or
// revocations cannot be read, so that it is unknown whether a session is valid: the request
// is unauthenticated, but should not begin a login.
//
// The parameter aad is the additional data that the cookie's value is sealed with.
type Manager interface {
	// Load returns the valid session of a cookie's value, or nil if there is none.
	// seal.ErrUnknownKey means that a newer ring may open the value.
	Load(ctx context.Context, ring *seal.Ring, aad, value string, now time.Time) (*Loaded, error)

	// Valid reports whether the session is still not revoked.
	Valid(ctx context.Context, l *Loaded) (bool, error)

	// EndedByTime reports whether a session has expired and was not revoked. Stores
	// delete the records of revoked sessions, so that for those only revocations of
	// more than one session are known.
	EndedByTime(ctx context.Context, s *session.Session, now time.Time) (bool, error)

	// Create stores a new session and returns the values of its cookies. ErrRevoked
	// means that the provider has already ended the session.
	Create(ctx context.Context, ring *seal.Ring, aad string, fresh *session.Session) (chunks []string, err error)

	// Update stores a newer state of a session, or seals the same one again, and
	// returns the values of its cookies: none if the browser's need no change.
	// ErrRevoked means that the session was revoked since it was loaded.
	Update(ctx context.Context, ring *seal.Ring, aad string, l *Loaded, newer *session.Session) (chunks []string, err error)

	// Revoke ends a session on all nodes, including copies of its cookie.
	Revoke(ctx context.Context, l *Loaded) error

	// IsRevoked reports whether the session of a token, which is not kept here, was
	// revoked.
	IsRevoked(ctx context.Context, target *revocation.Target) (bool, error)

	// RevokeParent ends the session at a login host that a session was handed over
	// from, and all sessions that were handed over from it.
	RevokeParent(ctx context.Context, parent *session.Parent) error

	// Revocations returns where all nodes learn of revocations.
	Revocations() Revocations

	// Ready returns an error if sessions cannot be stored now.
	Ready(ctx context.Context) error

	// Superseded reports whether a newer state of the session is known here, so
	// that the browser must not get this one.
	Superseded(s *session.Session) bool

	// UpdateDue reports whether a session has to be updated because it was used.
	// Updates cost a cookie, so they are not due on every request, but often enough
	// to lose at most a tenth of the idle timeout.
	UpdateDue(s *session.Session, now time.Time) bool

	// Close removes the sessions of this Manager from the cache.
	Close() error
}

// Revocations stores revocations.
type Revocations interface {
	Add(ctx context.Context, events ...revocation.Event) error
}

// Config is what a Manager needs to know of its instance.
type Config struct {
	Cache *Cache
	Now   func() time.Time

	Lifetime    time.Duration // maximum age of sessions; may have been longer when a session began
	IdleTimeout time.Duration // zero for none

	// IssuerOf returns the issuer that revocations of a session refer to, or "" if
	// the instance does not have the session's provider.
	IssuerOf func(*session.Session) string
	// Opened is called with every session that was not in the cache, and with the
	// additional data and the value of its cookie.
	Opened func(s *session.Session, aad, value string)
	// TooLarge returns the error, for operators, about a session that exceeds the
	// limit in bytes.
	TooLarge func(s *session.Session, bytes, limit int) error
}

// RevocationMargin is how much longer than its session a revocation is kept,
// because clocks differ.
const RevocationMargin = 10 * time.Minute

// ErrRevoked means that the session was revoked meanwhile.
var ErrRevoked = errors.New("the session ended")

// TooLargeError means that a session is too large to be kept. Config.TooLarge makes
// its text.
type TooLargeError struct{ error }

// instances counts the Managers of this process. Each has a number, so that none
// gets another's entries from the cache.
var instances atomic.Uint64

// base is common to all Managers.
type base struct {
	Config
	instance uint64
}

func newBase(c Config) base { return base{c, instances.Add(1)} }

func (b *base) Close() error {
	b.Cache.removeInstance(b.instance)
	return nil
}

func (b *base) UpdateDue(s *session.Session, now time.Time) bool {
	return b.IdleTimeout > 0 && now.Sub(s.Seen) >= b.IdleTimeout/10
}

// key returns the cache key of a cookie's value.
func (b *base) key(ring *seal.Ring, aad, value string) key {
	return key{b.instance, ring.Serial(), aad, value}
}

// expired reports whether the session has reached its lifetime or idle timeout. The
// configured lifetime may have become shorter since the login.
func (b *base) expired(s *session.Session, now time.Time) bool {
	return s.Over(now, b.IdleTimeout) || now.Sub(s.SignedIn) >= b.Lifetime
}

// target returns what revocations of a session are matched against. It is computed
// once.
func (b *base) target(l *Loaded) *revocation.Target {
	if made := l.target.Load(); made != nil {
		return made
	}
	made := revocation.TargetOf(&l.Session, b.IssuerOf(&l.Session))
	l.target.Store(&made)
	return &made
}

// begin dates a new session after the known revocations of its user, so that it is
// not ended by what an operator or a provider revoked before on another node. It
// first reads the newest revocations of other nodes. ErrRevoked means that the
// provider ended the session during the login.
func (b *base) begin(ctx context.Context, log *revocation.Log, fresh *session.Session) error {
	log.CatchUp(ctx)
	if log.Begin(fresh, b.IssuerOf(fresh), fresh.Began) {
		return ErrRevoked
	}
	return nil
}

// revokedIn reports whether the log has a revocation of the session.
func (b *base) revokedIn(log *revocation.Log, l *Loaded) bool {
	if log.OnlySessions() { // the usual case, for which the issuer is not needed
		return log.RevokedSession(&l.Session, "")
	}
	return log.Revoked(b.target(l))
}

// isRevokedIn reports whether the log has a revocation of a target.
func isRevokedIn(ctx context.Context, log *revocation.Log, target *revocation.Target) (bool, error) {
	if err := log.Ready(ctx); err != nil {
		return false, err
	}
	return log.Revoked(target), nil
}

// revocationOf returns the revocation of one session.
func (b *base) revocationOf(s *session.Session, at time.Time) revocation.Event {
	return revocation.ForSession(s.ID, at, b.revocationExpiry(s))
}

// revocationExpiry returns how long a revocation of a session is kept. A refresh
// may have shortened the session, but older copies of its cookie last longer.
func (b *base) revocationExpiry(s *session.Session) time.Time {
	longest := s.SignedIn.Add(b.Lifetime)
	if s.Expires.After(longest) {
		longest = s.Expires
	}
	return longest.Add(RevocationMargin)
}

// revocationOfParent returns the revocation of a session at a login host. The
// lifetime there is assumed to be the same as here.
func (b *base) revocationOfParent(p *session.Parent) revocation.Event {
	return b.revocationOf(&session.Session{ID: p.ID, SignedIn: p.SignedIn, Expires: p.Expires}, b.Now())
}

// unlessUnknownKey drops the error about a value that anyone may have sent, unless
// a newer ring may open the value.
func unlessUnknownKey(err error) error {
	if errors.Is(err, seal.ErrUnknownKey) {
		return err
	}
	openedInvalid.Inc()
	return nil
}

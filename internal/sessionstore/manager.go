// Package sessionstore keeps the sessions of one instance of the directive: sealed in the
// browser's cookies, or as records in a store to which the browser has a
// ticket. It opens what a browser sends, remembers what it opened, and knows
// whether a session is still valid: its own times, and what was revoked.
//
// The seam. A Manager is made once, when a configuration is loaded, of a Config
// and a place to keep sessions:
//
//   - Config has what a Manager needs of the instance: the cache that all
//     instances share, the clock, the two times that bound a session, the issuer
//     of a session, and what to call when a session is opened or does not fit.
//   - Cookies or Records is the place, with what the instances on all nodes share
//     there.
//
// A request brings the keys, the cookie's value and the place that the cookie
// belongs to: a text that is sealed with it, so that it opens nowhere else. The
// Manager returns a *Loaded, or values of cookies to set.
//
// The package does not know requests, responses, names of cookies, providers,
// configurations or loggers. It writes no logs: what operators are to know are
// errors, or calls of a func of the Config. It imports neither Caddy nor the
// public store package.
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

// Manager keeps sessions. An error of its methods that is not one of this
// package comes from the place where sessions or revocations are kept: it is
// unknown then whether a session is valid, so that the request is
// unauthenticated, but should not be sent to a new login.
//
// A place is the text that a cookie's value was sealed with.
type Manager interface {
	// Load returns the valid session that a cookie's value stands for, or nil.
	// seal.ErrUnknownKey means that a newer ring may open the value.
	Load(ctx context.Context, ring *seal.Ring, place, value string, now time.Time) (*Loaded, error)

	// Valid reports whether the session was not revoked since it was loaded.
	Valid(ctx context.Context, l *Loaded) (bool, error)

	// EndedByTime reports whether a session is over because of its own times, and
	// was not revoked. Of a store, which forgets sessions that it has deleted, only
	// revocations of more than one session are known.
	EndedByTime(ctx context.Context, s *session.Session, now time.Time) (bool, error)

	// Create keeps a new session and returns the values of its cookies.
	// ErrRevoked means that the provider has ended it already.
	Create(ctx context.Context, ring *seal.Ring, place string, fresh *session.Session) (chunks []string, err error)

	// Update keeps a newer state of a session, or seals the same one again, and
	// returns the values of its cookies: none if the browser's can stay.
	// ErrRevoked means that the session was revoked since it was loaded.
	Update(ctx context.Context, ring *seal.Ring, place string, l *Loaded, newer *session.Session) (chunks []string, err error)

	// Revoke ends a session on all nodes, copies of its cookie included.
	Revoke(ctx context.Context, l *Loaded) error

	// IsRevoked reports whether a session that is not kept here was revoked: that of a
	// token.
	IsRevoked(ctx context.Context, target *revocation.Target) (bool, error)

	// RevokeParent ends the session that a session was handed over from, and with it
	// all that were handed over from it.
	RevokeParent(ctx context.Context, parent *session.Parent) error

	// Revocations is where all nodes learn what was revoked.
	Revocations() Revocations

	// Ready returns an error if no session can be kept now.
	Ready(ctx context.Context) error

	// Superseded reports whether a newer state of the session is known here, so
	// that the browser must not get this one.
	Superseded(s *session.Session) bool

	// UpdateDue reports whether a session has to be updated because it was used:
	// not on every request, since each update costs a cookie, but often enough
	// that at most a tenth of the idle timeout is lost.
	UpdateDue(s *session.Session, now time.Time) bool

	// Close drops from the cache what this Manager has loaded.
	Close() error
}

// Revocations is where revocations are kept.
type Revocations interface {
	Add(ctx context.Context, events ...revocation.Event) error
}

// Config is what a Manager needs of the instance whose sessions it keeps.
type Config struct {
	Cache *Cache
	Now   func() time.Time

	Lifetime    time.Duration // of a session since its sign-in; it may have been longer when the session began
	IdleTimeout time.Duration // 0: none

	// IssuerOf returns the issuer that revocations of a session name; empty if
	// the instance does not have the session's provider.
	IssuerOf func(*session.Session) string
	// Opened is called with every session that was not in the cache, and with the
	// cookie's place and value.
	Opened func(s *session.Session, place, value string)
	// TooLarge describes to an operator a session that takes more bytes than fit.
	TooLarge func(s *session.Session, bytes, limit int) error
}

// RevocationMargin is how much longer than the session its revocation is kept,
// since clocks differ.
const RevocationMargin = 10 * time.Minute

// ErrRevoked is the error for a session that was revoked meanwhile.
var ErrRevoked = errors.New("the session ended")

// TooLargeError is the error for a session that cannot be kept. Its text is the
// Config's.
type TooLargeError struct{ error }

// instances numbers the Managers of this process, so that none loads what
// another has put into the cache.
var instances atomic.Uint64

// base is what all kinds of Manager have in common.
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

// key is what a cookie's value is cached by.
func (b *base) key(ring *seal.Ring, place, value string) key {
	return key{b.instance, ring.Serial(), place, value}
}

// expired reports whether the session's lifetime or its idle timeout is over.
// The lifetime may have been shortened since the sign-in.
func (b *base) expired(s *session.Session, now time.Time) bool {
	return s.Over(now, b.IdleTimeout) || now.Sub(s.SignedIn) >= b.Lifetime
}

// target returns what revocations of a session are known by, made once.
func (b *base) target(l *Loaded) *revocation.Target {
	if made := l.target.Load(); made != nil {
		return made
	}
	made := revocation.TargetOf(&l.Session, b.IssuerOf(&l.Session))
	l.target.Store(&made)
	return &made
}

// begin dates a new session after what is known to be revoked of its user: what
// an operator or a provider ended before on another node must not end it as
// well. It asks the log for the newest revocations of other nodes first.
// ErrRevoked means that the provider ended the session during the login.
func (b *base) begin(ctx context.Context, log *revocation.Log, fresh *session.Session) error {
	log.CatchUp(ctx) // of the parent, too, of a session that is handed over
	if log.Begin(fresh, b.IssuerOf(fresh), fresh.Began) {
		return ErrRevoked
	}
	return nil
}

// revokedIn reports whether the log has a revocation of the session.
func (b *base) revokedIn(log *revocation.Log, l *Loaded) bool {
	if log.OnlySessions() { // the usual case, where the issuer means nothing
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

// revocationOf is the revocation of one session, by itself or by its user.
func (b *base) revocationOf(s *session.Session, at time.Time) revocation.Event {
	return revocation.ForSession(s.ID, at, b.lastUntil(s))
}

// lastUntil returns for how long a revocation of a session is kept. A refresh may
// have shortened the session; copies of its cookie from before last longer.
func (b *base) lastUntil(s *session.Session) time.Time {
	longest := s.SignedIn.Add(b.Lifetime)
	if s.Expires.After(longest) {
		longest = s.Expires
	}
	return longest.Add(RevocationMargin)
}

// revocationOfParent is the revocation of a session of another Manager, of which only
// what a session has that was handed over is known. The lifetime there is taken to be
// the same as here.
func (b *base) revocationOfParent(p *session.Parent) revocation.Event {
	return b.revocationOf(&session.Session{ID: p.ID, SignedIn: p.SignedIn, Expires: p.Expires}, b.Now())
}

// unlessUnknownKey drops what is wrong with a value that a stranger sent. What
// matters is only whether a newer ring may open it.
func unlessUnknownKey(err error) error {
	if errors.Is(err, seal.ErrUnknownKey) {
		return err
	}
	openedInvalid.Inc()
	return nil
}

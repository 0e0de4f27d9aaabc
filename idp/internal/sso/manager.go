package sso

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// cookieName is the name of the session cookie, without the prefix that request.Cookies
// adds.
const cookieName = "oidc_idp_session"

// ErrUserGone is returned if the user has been locked or removed.
var ErrUserGone = errors.New("the user is locked or removed")

// Limits are the limits on the duration of a session.
type Limits struct {
	Lifetime time.Duration // since the last authentication
	Idle     time.Duration // since the last request; zero means no limit
}

// Options are the arguments of New.
type Options struct {
	Store        store.Store
	Cookies      request.Cookies
	Applications Applications
	// Limits returns the limits of a user's login authenticator.
	Limits func(*store.User) Limits
	// Address returns the client address of a request, for display to the user. It may be
	// nil.
	Address func(*http.Request) string
	Now     func() time.Time
	Logger  *slog.Logger
}

// Manager implements Sessions.
type Manager struct{ o Options }

var _ Sessions = (*Manager)(nil)

// New returns a Manager.
func New(o Options) *Manager {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Manager{o}
}

// IsGone reports whether a user is locked or removed, and so must have no sessions or
// tokens.
func IsGone(u *store.User) bool { return u.Locked || !u.Removed.IsZero() }

// Current implements Sessions. It writes the time of use to the database at most once a
// minute.
func (m *Manager) Current(r *http.Request) (session *store.Session, user *store.User, err error) {
	secret := m.o.Cookies.Get(r, cookieName)
	if secret == "" {
		return nil, nil, nil
	}
	now := m.o.Now()
	err = m.o.Store.View(r.Context(), func(tx store.Tx) error {
		session, user, err = m.load(tx, secret, now)
		return err
	})
	if err != nil || session == nil {
		return nil, nil, err
	}
	if now.Sub(session.LastSeen) >= time.Minute {
		session.LastSeen = now
		err = m.o.Store.Update(r.Context(), func(tx store.Tx) error { return touch(tx, session.SID, now) })
	}
	return session, user, err
}

// load returns the session with a secret and its user, or nil if there is no valid one.
func (m *Manager) load(tx store.Tx, secret string, now time.Time) (*store.Session, *store.User, error) {
	session, err := tx.SessionByCookie(store.HashOf(secret), now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load a session: %w", err)
	}
	user, err := tx.User(session.UserID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load the user of a session: %w", err)
	}
	if IsGone(user) || m.isIdle(session, user, now) {
		return nil, nil, nil
	}
	return session, user, nil
}

// isIdle reports whether a session has been unused for too long. LastSeen may lag by up
// to a minute, so a session may end up to a minute early.
func (m *Manager) isIdle(session *store.Session, user *store.User, now time.Time) bool {
	idle := m.o.Limits(user).Idle
	return idle > 0 && now.Sub(session.LastSeen) >= idle
}

// touch records that a session was used, unless it has ended meanwhile.
func touch(tx store.Tx, sid string, now time.Time) error {
	session, err := tx.Session(sid)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	session.LastSeen = now
	return tx.PutSession(*session)
}

// Start implements Sessions.
func (m *Manager) Start(w http.ResponseWriter, r *http.Request, a Authentication) (*store.Session, error) {
	var (
		started store.Session
		ended   []store.Delivery
		secret  = rand.Text()
		former  = m.o.Cookies.Get(r, cookieName)
	)
	err := m.o.Store.Update(r.Context(), func(tx store.Tx) error {
		user, err := tx.User(a.User.ID)
		if err != nil {
			return err
		}
		if IsGone(user) {
			return ErrUserGone
		}
		started, ended, err = m.succeed(tx, former, user)
		if err != nil {
			return err
		}
		m.fill(&started, r, user, a)
		started.Cookie = store.HashOf(secret)
		return tx.PutSession(started)
	})
	if err != nil {
		return nil, fmt.Errorf("start a session: %w", err)
	}
	m.o.Cookies.SetTransient(w, cookieName, secret)
	m.o.Applications.Notify(r.Context(), ended)
	return &started, nil
}

// succeed returns the session to continue: that of the same user in this browser, or else
// a new one. A session of another user in this browser ends.
func (m *Manager) succeed(tx store.Tx, secret string, user *store.User) (store.Session, []store.Delivery, error) {
	now := m.o.Now()
	fresh := store.Session{SID: rand.Text(), UserID: user.ID, Created: now}
	if secret == "" {
		return fresh, nil, nil
	}
	former, owner, err := m.load(tx, secret, now)
	if err != nil || former == nil {
		return fresh, nil, err
	}
	if owner.ID == user.ID {
		return *former, nil, nil
	}
	ended, err := m.end(tx, former)
	return fresh, ended, err
}

// fill records an authentication in a session.
func (m *Manager) fill(s *store.Session, r *http.Request, user *store.User, a Authentication) {
	now := m.o.Now()
	s.AuthTime, s.AMR, s.ACR, s.External = a.Time, slices.Clone(a.AMR), a.ACR, a.External
	s.LastSeen = now
	s.Expires = now.Add(m.o.Limits(user).Lifetime)
	if !a.Expires.IsZero() && a.Expires.Before(s.Expires) {
		s.Expires = a.Expires
	}
	s.UserAgent = logtext.Clean(r.UserAgent(), 256)
	if m.o.Address != nil {
		s.Address = m.o.Address(r)
	}
	if a.Proven != nil {
		s.Proven = maps.Clone(a.Proven)
		return
	}
	proven := make(map[string]time.Time, len(s.Proven)+len(a.AMR))
	for method, at := range s.Proven {
		proven[method] = at
	}
	for _, method := range a.AMR {
		proven[method] = a.Time
	}
	s.Proven = proven
}

// List returns the valid sessions of a user, most recently used first.
func (m *Manager) List(ctx context.Context, userID string) (sessions []store.Session, err error) {
	now := m.o.Now()
	err = m.o.Store.View(ctx, func(tx store.Tx) error {
		user, err := tx.User(userID)
		if err != nil {
			return err
		}
		sessions, err = tx.SessionsOf(userID)
		sessions = slices.DeleteFunc(sessions, func(s store.Session) bool {
			return !now.Before(s.Expires) || m.isIdle(&s, user, now)
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	slices.SortStableFunc(sessions, func(a, b store.Session) int { return b.LastSeen.Compare(a.LastSeen) })
	return sessions, nil
}

// FormToken returns a token for forms on pages that belong to the browser's session.
// Other sites cannot know it. It is empty if the request has no session cookie.
func (m *Manager) FormToken(r *http.Request, purpose string) string {
	return formToken(m.o.Cookies.Get(r, cookieName), purpose)
}

// HasCookie reports whether a request has a session cookie. Browsers do not send it with
// forms posted by other sites.
func (m *Manager) HasCookie(r *http.Request) bool { return m.o.Cookies.Get(r, cookieName) != "" }

// Forget deletes the session cookie.
func (m *Manager) Forget(w http.ResponseWriter) { m.o.Cookies.Set(w, cookieName, "", 0) }

package sso

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// deliveryLasts is how long delivery to an application is attempted.
const deliveryLasts = 24 * time.Hour

// firstRetry is when any node may make the second attempt. The first one is made
// immediately.
const firstRetry = 15 * time.Second

// Applications are the applications at which sessions are used.
type Applications interface {
	// Receives reports whether an application must be told about ended sessions.
	Receives(clientID string) bool
	// Builtin returns the client ids of the applications in this Caddy.
	Builtin() []string
	// Notify sends deliveries, which are also in the database for later attempts. It
	// returns when the applications in this Caddy have ended their sessions, or after a
	// bounded time.
	Notify(ctx context.Context, deliveries []store.Delivery)
}

// End implements Sessions. It is not an error if the session has already ended.
func (m *Manager) End(ctx context.Context, sid string) error {
	var session *store.Session
	var ended []store.Delivery
	err := m.o.Store.Update(ctx, func(tx store.Tx) (err error) {
		session, err = tx.Session(sid)
		if errors.Is(err, store.ErrNotFound) {
			session = nil
			return nil
		}
		if err != nil {
			return err
		}
		ended, err = m.end(tx, session)
		return err
	})
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	if session == nil {
		return nil
	}
	m.o.Logger.LogAttrs(ctx, slog.LevelInfo, "a session ended",
		slog.String("event", "session_ended"), slog.String("sub", session.UserID), slog.String("sid", sid))
	m.o.Applications.Notify(ctx, ended)
	return nil
}

// EndOf ends a session of a user. The error is store.ErrNotFound if the session does not
// belong to the user.
func (m *Manager) EndOf(ctx context.Context, userID, sid string) error {
	err := m.o.Store.View(ctx, func(tx store.Tx) error {
		session, err := tx.Session(sid)
		if err == nil && session.UserID != userID {
			err = store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return m.End(ctx, sid)
}

// EndAll implements Sessions.
func (m *Manager) EndAll(ctx context.Context, userID, but string) error {
	var ended []store.Delivery
	err := m.o.Store.Update(ctx, func(tx store.Tx) (err error) {
		ended, err = m.endAll(tx, userID, but)
		return err
	})
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	m.o.Logger.LogAttrs(ctx, slog.LevelInfo, "the sessions of a user ended",
		slog.String("event", "sessions_ended"), slog.String("sub", userID), slog.String("except", but))
	m.o.Applications.Notify(ctx, ended)
	return nil
}

// EndEverything ends the sessions of all users within a transaction. After the commit,
// the caller must pass the result to Notify.
func (m *Manager) EndEverything(tx store.Tx) (ended []store.Delivery, err error) {
	for after := ""; ; {
		users, err := tx.Users(store.UserFilter{Removed: true}, after, usersAtOnce)
		if err != nil || len(users) == 0 {
			return ended, err
		}
		for _, user := range users {
			sessions, err := tx.SessionsOf(user.ID)
			if err != nil {
				return nil, err
			}
			if len(sessions) == 0 {
				continue
			}
			some, err := m.endAll(tx, user.ID, "")
			if err != nil {
				return nil, err
			}
			ended = append(ended, some...)
		}
		after = users[len(users)-1].ID
	}
}

// usersAtOnce is the number of users read by one query.
const usersAtOnce = 500

// Notify tells applications about ended sessions.
func (m *Manager) Notify(ctx context.Context, ended []store.Delivery) {
	m.o.Applications.Notify(ctx, ended)
}

func (m *Manager) endAll(tx store.Tx, userID, but string) (ended []store.Delivery, err error) {
	sessions, err := tx.SessionsOf(userID)
	if err != nil {
		return nil, err
	}
	for _, session := range sessions {
		if session.SID == but {
			continue
		}
		one, err := m.end(tx, &session)
		if err != nil {
			return nil, err
		}
		ended = append(ended, one...)
	}
	now := m.o.Now()
	if but != "" {
		return ended, tx.RevokeOtherGrants(userID, but, now)
	}
	if err := tx.RevokeGrants(userID, "", "", now); err != nil {
		return nil, err
	}
	// Applications in this Caddy may have sessions that outlived ours.
	for _, clientID := range m.o.Applications.Builtin() {
		delivery := m.delivery(clientID, userID, "")
		if err := tx.AddDelivery(delivery); err != nil {
			return nil, err
		}
		ended = append(ended, delivery)
	}
	return ended, nil
}

// end ends a session within a transaction, revokes the grants made from it, and returns
// the deliveries to applications that must be told.
func (m *Manager) end(tx store.Tx, session *store.Session) (ended []store.Delivery, err error) {
	clients, err := tx.SessionClients(session.SID)
	if err != nil {
		return nil, err
	}
	for _, clientID := range clients {
		if !m.o.Applications.Receives(clientID) {
			continue
		}
		delivery := m.delivery(clientID, session.UserID, session.SID)
		if err := tx.AddDelivery(delivery); err != nil {
			return nil, err
		}
		ended = append(ended, delivery)
	}
	if err := tx.RevokeGrants(session.UserID, session.SID, "", m.o.Now()); err != nil {
		return nil, err
	}
	return ended, tx.DeleteSession(session.SID)
}

func (m *Manager) delivery(clientID, userID, sid string) store.Delivery {
	now := m.o.Now()
	return store.Delivery{
		ID: rand.Text(), ClientID: clientID, UserID: userID, SID: sid,
		Next: now.Add(firstRetry), Expires: now.Add(deliveryLasts),
	}
}

func formToken(secret, purpose string) string {
	if secret == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(purpose))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

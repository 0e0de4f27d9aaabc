package flow

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// attempt returns a refresh of the session, for the coordinator.
func (f *refreshFlow) attempt(old session.Session) refresh.Attempt {
	aad := "refresh\x00" + f.scope.SessionAAD + "\x00" + string(old.ID[:])
	return refresh.Attempt{
		Session: old, Provider: string(f.provider.Registration[:]),
		Call: f.call,
		Seal: func(ctx context.Context, plain []byte) (string, error) {
			ring, err := f.Keys.Ring(ctx)
			if err != nil {
				return "", err
			}
			return ring.Seal(seal.ForSession, aad, plain), nil
		},
		Open: func(ctx context.Context, sealed string) ([]byte, error) {
			var plain []byte
			_, opened, unavailable := seal.OpenWith(ctx, f.Keys, func(ring *seal.Ring) (err error) {
				plain, _, err = ring.Open(seal.ForSession, aad, sealed)
				return err
			})
			return plain, cmp.Or(unavailable, opened)
		},
		Keep: f.keep,
		Lost: func(err error) {
			f.warn("refresh_not_shared", "other instances cannot learn of a refreshed session; requests there that are late may have to sign in again",
				slog.String("provider", f.provider.ID), errAttr(err))
		},
	}
}

// keep stores a refreshed session, unless it is kept in the browser's cookies.
func (f *refreshFlow) keep(ctx context.Context, newer *session.Session) error {
	if f.loaded.InCookies() {
		return nil
	}
	ring, err := f.Keys.Ring(ctx)
	if err == nil {
		_, err = f.Sessions.Update(ctx, ring, f.scope.SessionAAD, f.loaded, newer)
	}
	if errors.Is(err, sessionstore.ErrRevoked) {
		return nil
	}
	return err
}

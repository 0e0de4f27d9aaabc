package flow

import (
	"context"
	"errors"
	"log/slog"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// attempt is all that the coordinator needs to know.
func (f *refreshFlow) attempt(old session.Session) refresh.Attempt {
	place := "refresh\x00" + f.scope.SessionAAD + "\x00" + string(old.ID[:])
	return refresh.Attempt{
		Session: old, Provider: string(f.provider.Registration[:]),
		Call: f.call,
		Seal: func(ctx context.Context, plain []byte) (string, error) {
			ring, err := f.Keys.Ring(ctx)
			if err != nil {
				return "", err
			}
			return ring.Seal(seal.ForSession, place, plain), nil
		},
		Open: func(ctx context.Context, sealed string) ([]byte, error) {
			ring, err := f.Keys.Ring(ctx)
			if err != nil {
				return nil, err
			}
			plain, _, err := ring.Open(seal.ForSession, place, sealed)
			if errors.Is(err, seal.ErrUnknownKey) {
				if ring, err = f.Keys.Renewed(ctx); err == nil {
					plain, _, err = ring.Open(seal.ForSession, place, sealed)
				}
			}
			return plain, err
		},
		Keep: f.keep,
		Lost: func(err error) {
			f.warn("refresh_not_shared", "other instances cannot learn of a refreshed session; late requests there may have to sign in again",
				slog.String("provider", f.provider.ID), errAttr(err))
		},
	}
}

// keep keeps a refreshed session where it is not in the browser's cookie.
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

package oidcrp

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/callback"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

// sessionStore is a store that sites of one configuration use, with what
// belongs to it. Sites that say the same of their store share it.
type sessionStore struct {
	store.Store
	// on is the storage that the store is on, nil for any other store.
	onStorage *storageState
	// revocations are in the store itself; nil for a store on a storage.
	events    *revocation.Records
	refresher *refresh.Coordinator
	// callbacks are the answers to logins that were taken.
	callbacks *callback.Coordinator
	// watched is the store itself where it knows of changes, else nil.
	watched store.Versioned
}

// sessionStore returns the store of a site's configuration.
func (a *App) sessionStore(raw json.RawMessage) (*sessionStore, error) {
	if s := a.stores[string(raw)]; s != nil {
		return s, nil
	}
	module, err := a.ctx.LoadModule(&SessionConfig{StoreRaw: raw}, "StoreRaw")
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	kind, ok := module.(store.Store)
	if !ok {
		return nil, fmt.Errorf("store: %T is not a session store", module)
	}
	s := &sessionStore{Store: kind}
	if on, ok := kind.(store.OnStorage); ok {
		if s.onStorage, err = acquire(&a.release, func() (*storageState, func() error, error) { return acquireStorageState(on.Storage(), a.clock) }); err != nil {
			return nil, err
		}
		s.refresher, s.callbacks = s.onStorage.refresher, s.onStorage.callbacks
	} else {
		s.events = revocation.NewRecords(kind)
		s.watched, _ = kind.(store.Versioned) // with its revocations; those on a storage come by themselves
		records := clusterstore.NewRecordStorage(kind, a.clock.Now)
		s.refresher = refresh.NewCoordinator(func() clusterstore.Storage { return records }, a.clock.Now)
		s.callbacks = callback.NewCoordinator(func() clusterstore.Storage { return records }, a.clock.Now)
	}
	if a.stores == nil {
		a.stores = make(map[string]*sessionStore)
	}
	a.stores[string(raw)] = s
	return s, nil
}

// cookieManager returns the manager of sessions in the browser's cookies.
func (h *Handler) cookieManager() sessionstore.Manager {
	advice := sizeAdvice{h.instance, h.logger}
	return sessionstore.NewCookieManager(h.managerConfig(advice.tooLargeForCookies), sessionstore.Cookies{
		Log: h.storageState.revocationLog, Refreshes: h.instance.Refreshes,
		MaxChunks:    func() int { return h.instance.MaxChunks }, // which addCookieName may lower
		TokenDropped: advice.warnOfDroppedToken,
	})
}

// recordManager returns the manager of sessions in a store.
func (h *Handler) recordManager(s *sessionStore) sessionstore.Manager {
	in := sessionstore.Records{Store: s, Revoked: s.events, Versioned: s.watched}
	if s.onStorage != nil {
		in.Log = s.onStorage.revocationLog
	}
	return sessionstore.NewRecordManager(h.managerConfig(sizeAdvice{h.instance, h.logger}.tooLargeForStore), in)
}

func (h *Handler) managerConfig(tooLarge func(s *session.Session, bytes, limit int) error) sessionstore.Config {
	idle := time.Duration(0)
	if h.session.IdleTimeout != nil {
		idle = time.Duration(*h.session.IdleTimeout)
	}
	return sessionstore.Config{
		Cache: sessionstore.Shared, Now: h.now,
		Lifetime: time.Duration(h.session.Lifetime), IdleTimeout: idle,
		IssuerOf: h.instance.IssuerOf, Opened: h.instance.MarkLive, TooLarge: tooLarge,
	}
}

var _ clusterstore.Storage = certmagic.Storage(nil)

package oidcrp

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/callback"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/store/memory" // needs nothing but Caddy
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/store/storage"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/telemetry"
)

// sessionStore is a configured store with what depends on it. Sites with equal
// store options share it.
type sessionStore struct {
	store.Store
	onStorage *storageState         // state of the storage that the store uses; nil for other stores
	events    *revocation.Records   // revocations in the store itself; nil if it uses a storage
	watched   store.Versioned       // the store itself if it reports changes, else nil
	refresher *refresh.Coordinator  // coordinates refreshes of the store's sessions
	callbacks *callback.Coordinator // coordinates the logins that create them
	handovers *handover.Records     // handovers in the store itself; nil if it uses a storage
}

// resolveSession merges the session settings of the app and the site, and
// determines the keys.
func (h *Handler) resolveSession(_ caddy.Context) error {
	merged := h.Session.over(h.app.Session).withDefaults()
	h.session = merged
	if err := merged.check(); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	if err := h.resolveStore(merged.StoreRaw); err != nil {
		return err
	}
	if merged.Secret == nil {
		h.instance.Keys = h.storageState.keys
		return nil
	}
	var secrets [][]byte
	for _, text := range merged.Secret {
		secret, err := siteconfig.Expand(text)
		if err != nil {
			return fmt.Errorf("session: secret: %w", err)
		}
		telemetry.WarnOfFileName(h.logger, "session: secret", secret)
		secrets = append(secrets, []byte(secret))
	}
	ring, err := seal.NewRing(secrets...)
	if err != nil {
		return fmt.Errorf("session: secret: %w", err)
	}
	h.instance.Keys = seal.Fixed{Keys: ring}
	return nil
}

// resolveStore determines where sessions are kept.
func (h *Handler) resolveStore(raw json.RawMessage) error {
	h.storageState = h.app.storageState
	if kind, err := storeKind(raw); err != nil {
		return fmt.Errorf("session: store: %w", err)
	} else if kind == cookieStore {
		h.session.StoreRaw = nil
		h.instance.Refreshes, h.instance.Callbacks = h.storageState.refresher, h.storageState.callbacks
		h.instance.Sessions = h.cookieManager()
		h.instance.LoginHost.Handovers, h.instance.LoginHost.Store = handoversOf(h, nil)
		h.release = append(h.release, h.instance.Sessions.Close)
		return nil
	}
	s, err := h.app.sessionStore(raw)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	if s.onStorage != nil {
		h.storageState = s.onStorage
	}
	h.instance.Refreshes, h.instance.Callbacks = s.refresher, s.callbacks
	h.instance.Sessions = h.recordManager(s)
	h.instance.LoginHost.Handovers, h.instance.LoginHost.Store = handoversOf(h, s)
	h.release = append(h.release, h.instance.Sessions.Close)
	return nil
}

// handoversOf returns the storage of handovers, and the name of the place where
// sessions are kept.
func handoversOf(h *Handler, s *sessionStore) (handover.Storage, string) {
	if s == nil || s.onStorage != nil {
		return h.storageState.handovers, "storage"
	}
	kind, _ := storeKind(h.session.StoreRaw)
	return s.handovers, kind
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
		s.watched, _ = kind.(store.Versioned) // for its own revocations; storageState watches those in a storage
		s.handovers = handover.NewRecords(kind, a.clock.Now)
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

// requirementsOf returns what the sessions of an instance require of their storage.
func requirementsOf(h *Handler) requirements {
	needed := requirements{revocations: h.instance.Sessions.Revocations() == sessionstore.Revocations(h.storageState.revocationLog)}
	if h.session.Secret == nil { // with a secret, the storage has no keys
		needed.rotate, needed.lifetime = time.Duration(h.session.Rotate), time.Duration(h.session.Lifetime)
	}
	return needed
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
	kind, _ := storeKind(h.session.StoreRaw)
	in := sessionstore.Records{Store: sessionstore.Observed(s, kind), Revoked: s.events, Versioned: s.watched}
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

// sizeAdvice tells operators what to do about sessions that are too large.
type sizeAdvice struct {
	instance *flow.Instance
	logger   *zap.Logger
}

// tooLargeForCookies returns the error for a session that does not fit max_chunks
// cookies.
func (a sizeAdvice) tooLargeForCookies(s *session.Session, bytes, limit int) error {
	return fmt.Errorf("the session takes %d bytes, and %d fit max_chunks %d; the largest claims, before they are compressed, are %s; list those to keep with session { claims … }%s, or keep sessions in a store",
		bytes, limit, a.instance.MaxChunks, a.largestClaims(s), a.orMoreChunks())
}

// tooLargeForStore returns the error for a session that does not fit a record.
func (a sizeAdvice) tooLargeForStore(s *session.Session, bytes, limit int) error {
	return fmt.Errorf("the session has %d bytes, and %d at most are kept; the largest claims are %s; list those to keep with session { claims … }",
		bytes, limit, a.largestClaims(s))
}

// warnOfDroppedToken logs that a session continues without its refresh token.
func (a sizeAdvice) warnOfDroppedToken(s *session.Session, bytes int) {
	a.logger.Warn("the refresh token does not fit into the session, which goes on without; keep less with session { claims … }"+a.orMoreChunks(), zap.String("event", "refresh_token_dropped"),
		zap.String("provider", s.Provider), zap.Int("refresh_token_bytes", bytes), zap.Int("max_chunks", a.instance.MaxChunks))
}

// orMoreChunks returns the advice to raise max_chunks, if that is possible.
func (a sizeAdvice) orMoreChunks() string {
	if a.instance.MaxChunks < cookie.MaxChunks {
		return fmt.Sprintf(", or raise max_chunks (%d at most)", cookie.MaxChunks)
	}
	return ""
}

// largestClaims returns the names of the largest claims.
func (a sizeAdvice) largestClaims(s *session.Session) string {
	var mapping *identity.Mapping
	if p := a.instance.Providers[s.Provider]; p != nil {
		mapping = &p.Mapping
	}
	return strings.Join(mapping.LargestClaims(s, 3), ", ")
}

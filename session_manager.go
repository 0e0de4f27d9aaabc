package oidcrp

import (
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// maxCached bounds the sessions that are remembered after they were opened, in
// bytes. With cookies of 1 KiB that is some 20,000 active users; for any others
// their cookie is opened again, which takes microseconds.
const maxCached = 48 << 20

// sessionCache is one for all instances of this process.
var sessionCache = sessionstore.NewCache(maxCached)

// cookieManager returns the manager of sessions in the browser's cookies.
func (h *Handler) cookieManager() sessionstore.Manager {
	return sessionstore.NewCookieManager(h.managerConfig(h.tooLargeForCookies), sessionstore.Cookies{
		Log: h.shared.journal, Refreshes: h.renewer,
		MaxChunks:    func() int { return h.session.MaxChunks }, // which shareCookies may lower
		TokenDropped: h.warnOfDroppedToken,
	})
}

// recordManager returns the manager of sessions in a store.
func (h *Handler) recordManager(s *sessionStore) sessionstore.Manager {
	in := sessionstore.Records{Store: s, Revoked: s.facts, Versioned: s.watched}
	if s.on != nil {
		in.Log = s.on.journal
	}
	return sessionstore.NewRecordManager(h.managerConfig(h.tooLargeForStore), in)
}

func (h *Handler) managerConfig(tooLarge func(s *session.Session, bytes, limit int) error) sessionstore.Config {
	idle := time.Duration(0)
	if h.session.IdleTimeout != nil {
		idle = time.Duration(*h.session.IdleTimeout)
	}
	return sessionstore.Config{
		Cache: sessionCache, Now: h.now,
		Lifetime: time.Duration(h.session.Lifetime), IdleTimeout: idle,
		IssuerOf: h.issuerOf, Opened: h.seeLive, TooLarge: tooLarge,
	}
}

// issuerOf returns the issuer that revocations of a session name; empty for a
// session of a provider that this instance does not have.
func (h *Handler) issuerOf(s *session.Session) string {
	if p := h.parties[s.Provider]; p != nil {
		return p.issuerOf(s)
	}
	return ""
}

// seeLive remembers that the provider's session of this one is in use here.
func (h *Handler) seeLive(s *session.Session) {
	if s.SID != "" {
		h.app.shared.live.See(h.issuerOf(s), s.SID)
	}
}

func (h *Handler) tooLargeForCookies(s *session.Session, bytes, limit int) error {
	return fmt.Errorf("the session takes %d bytes, and %d fit max_chunks %d; the largest claims, before they are compressed, are %s; list those to keep with session { claims … }%s, or keep sessions in a store",
		bytes, limit, h.session.MaxChunks, h.largestClaims(s), h.orMoreChunks())
}

func (h *Handler) tooLargeForStore(s *session.Session, bytes, limit int) error {
	return fmt.Errorf("the session has %d bytes, and %d at most are kept; the largest claims are %s; list those to keep with session { claims … }",
		bytes, limit, h.largestClaims(s))
}

func (h *Handler) warnOfDroppedToken(s *session.Session, bytes int) {
	h.logger.Warn("the refresh token does not fit into the session, which goes on without; keep less with session { claims … }"+h.orMoreChunks(),
		zap.String("provider", s.Provider), zap.Int("refresh_token_bytes", bytes), zap.Int("max_chunks", h.session.MaxChunks))
}

// orMoreChunks is advice for an instance that may have more cookies.
func (h *Handler) orMoreChunks() string {
	if h.session.MaxChunks < cookie.MaxChunks {
		return fmt.Sprintf(", or raise max_chunks (%d at most)", cookie.MaxChunks)
	}
	return ""
}

// largestClaims names the claims that an operator could leave out.
func (h *Handler) largestClaims(s *session.Session) string {
	groups := groupsEntry
	if p := h.parties[s.Provider]; p != nil {
		groups = p.groups
	}
	return strings.ReplaceAll(strings.Join(s.Claims.Largest(3), ", "), groupsEntry, groups)
}

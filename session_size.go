package oidcrp

import (
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// sizeAdvice tells an operator what to do about sessions that are too large.
type sizeAdvice struct {
	instance *flow.Instance
	logger   *zap.Logger
}

// tooLargeForCookies is the error of a session that max_chunks cookies cannot hold.
func (a sizeAdvice) tooLargeForCookies(s *session.Session, bytes, limit int) error {
	return fmt.Errorf("the session takes %d bytes, and %d fit max_chunks %d; the largest claims, before they are compressed, are %s; list those to keep with session { claims … }%s, or keep sessions in a store",
		bytes, limit, a.instance.MaxChunks, a.largestClaims(s), a.orMoreChunks())
}

// tooLargeForStore is the error of a session that no record may hold.
func (a sizeAdvice) tooLargeForStore(s *session.Session, bytes, limit int) error {
	return fmt.Errorf("the session has %d bytes, and %d at most are kept; the largest claims are %s; list those to keep with session { claims … }",
		bytes, limit, a.largestClaims(s))
}

// warnOfDroppedToken logs that a session goes on without its refresh token.
func (a sizeAdvice) warnOfDroppedToken(s *session.Session, bytes int) {
	a.logger.Warn("the refresh token does not fit into the session, which goes on without; keep less with session { claims … }"+a.orMoreChunks(),
		zap.String("provider", s.Provider), zap.Int("refresh_token_bytes", bytes), zap.Int("max_chunks", a.instance.MaxChunks))
}

// orMoreChunks is advice for an instance that may have more cookies.
func (a sizeAdvice) orMoreChunks() string {
	if a.instance.MaxChunks < cookie.MaxChunks {
		return fmt.Sprintf(", or raise max_chunks (%d at most)", cookie.MaxChunks)
	}
	return ""
}

// largestClaims names the claims that an operator could leave out.
func (a sizeAdvice) largestClaims(s *session.Session) string {
	var mapping *identity.Mapping
	if p := a.instance.Providers[s.Provider]; p != nil {
		mapping = &p.Mapping
	}
	return strings.Join(mapping.LargestClaims(s, 3), ", ")
}

package flow

import (
	"context"
	"log/slog"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
)

// EndedAtProvider ends the session with the given sid, or all sessions of the
// subject if sid is empty, because the identity provider in this process ended
// them. It is a back-channel logout without a logout token. It returns once the
// revocation is stored.
func (s *Shared) EndedAtProvider(ctx context.Context, logger *slog.Logger, issuer, subject, sid string) error {
	now := s.Clock.Now()
	at, until := now.Add(ClocksApart), now.Add(s.RevocationLifetime())
	kind, event := "subject", revocation.ForSubject(issuer, subject, at, until).Issued(now, now)
	if sid != "" {
		kind, event = "sid", revocation.ForSID(issuer, sid, at, until).Issued(now, at)
	}
	if err := s.Revoke(ctx, event); err != nil {
		countLogout("back_channel", failed)
		return err
	}
	observe.Revocations.With(kind).Inc()
	e := audit.Event{Kind: audit.SignedOut, Message: "signed out", Via: "back_channel", Issuer: issuer, Subject: subject, SID: sid}
	countAudited(&e)
	if s.wants(e.Kind) {
		s.Events.Emit(&e)
	}
	logger.LogAttrs(ctx, e.Level, e.Message, append(e.Attrs(), slog.Bool("one_session", sid != ""))...)
	return nil
}
